"""Which trial the user chose among those of a Pareto run: a note in the record, and what it changes."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from lib_optim.plan.errors import RunError, ScorerError
from lib_optim.plan.records import Trial
from lib_optim.run.axes import points_of
from lib_optim.run.folder import write_atomic
from lib_optim.run.passes import Passes, RunPass
from lib_optim.run.saving import open_merger
from lib_optim.run.store import Store
from lib_optim.run.view import RunView
from lib_optim.search.pareto import chosen_by

if TYPE_CHECKING:
    from lib_optim.hosts.base import Host
    from lib_optim.run.recorded import Recorded
    from lib_optim.run.scores import ScoreBook

__all__ = ["Objectives", "by_weights", "choose_recorded", "noted_choice", "points_of_last"]

_NOTE = "chosen"
_log = logging.getLogger(__name__)


class Objectives:
    """The axes of a run's passes, and the choice. Used under the history's guard.

    Args:
        passes: The passes.
        store: Where the choice is recorded before anybody learns of it.
        view: Where it is shown.
        book: The scores.
    """

    def __init__(self, passes: Passes, store: Store, view: RunView, book: ScoreBook) -> None:
        self._passes, self._store, self._view, self._book = passes, store, view, book

    @property
    def chosen(self) -> int | None:
        """The trial that the user chose, if any."""
        return noted_choice(self._store)

    def show(self) -> None:
        """Show the choice."""
        self._view.set_chosen(self.chosen)

    def valued(self, trial: Trial) -> Trial:
        """Return `trial`, whose scores the book has loaded, with what is computed from them: its value on each axis of
        its pass, and the opinions of judges that are only watched."""
        axes: Mapping[str, float] = {}
        watched: Mapping[str, float] = {}
        if trial.state == "complete":
            watched = self._book.worth.opinions(trial.number)
            try:
                axes = self._book.worth.axes(trial.number)
            except ScorerError as error:  # it is on no front then
                _log.warning("Trial %d: %s", trial.number, error)
        same = (dict(trial.axes), dict(trial.watched)) == (axes, watched)
        return trial if same else dataclasses.replace(trial, axes=axes, watched=watched)

    def choose(self, number: int | None, trials: Sequence[Trial]) -> None:
        """Record the user's choice among `trials`, or (None) that there is none any more.

        Raises:
            RunError: It cannot be chosen.
        """
        _refuse(number, trials, self._passes.current)
        self._store.set_note(_NOTE, "" if number is None else str(number))
        self._view.set_chosen(number)


def noted_choice(store: Store) -> int | None:
    """Return the trial that was chosen in this run, or None."""
    text = store.note(_NOTE)
    return int(text) if text else None


def choose_recorded(run: Recorded, number: int | None, host: Host) -> None:
    """Record the choice in a run that is not going on, and write its recipe into ``best.mecha``.

    Raises:
        RunError: It cannot be chosen, or the run is going on in another process.
        OptimError: The record cannot be written, or the models are gone.
    """
    search = _last_search(run)
    _refuse(number, run.trials, search)
    with run.folder.locked(), contextlib.closing(Store(run.folder.database)) as store:
        store.set_note(_NOTE, "" if number is None else str(number))
        best = number if number is not None else run.unchosen
        trial = next((trial for trial in run.trials if trial.number == best), None)
        if trial is not None:
            with contextlib.closing(open_merger(run.resolved, host, run.resolved.plan.save)) as merger:
                write_atomic(run.folder.best_recipe, merger.recipe(trial.values).text)


def points_of_last(run: Recorded) -> tuple[tuple[str, ...], dict[int, tuple[float, ...]]]:
    """Return the axes and the points of the last search of a run.

    Raises:
        RunError: It has one objective.
    """
    search = _last_search(run)
    _refuse(None, run.trials, search)
    return search.record.axes, points_of(run.trials, search)


def by_weights(run: Recorded, weights: Mapping[str, float]) -> int:
    """Return the trial on the front of the last search that these weights, by axis, want; an axis left out has none.

    Raises:
        RunError: It has one objective, no such axis or no scored trial, or a weight is below 0.
    """
    axes, points = points_of_last(run)
    for name, weight in weights.items():
        if name not in axes:
            raise RunError(f"The run has no goal '{name}'; it has {', '.join(axes)}.")
        if not weight >= 0:
            raise RunError(f"The weight of {name} must not be below 0, as {weight:g} is.")
    found = chosen_by(points, [weights.get(axis, 0.0) for axis in axes])
    if found is None:
        raise RunError("No trial of this run is scored, so there is nothing to choose.")
    return found


def _last_search(run: Recorded) -> RunPass:
    searches = [run_pass for run_pass in run.passes if run_pass.searches and run_pass.record.begun]
    if not searches:
        raise RunError(f"The run {run.folder.name} has made no trial yet.")
    scored = {trial.pass_id for trial in run.last_search}
    return next((run_pass for run_pass in searches if run_pass.id in scored), searches[-1])


def _refuse(number: int | None, trials: Iterable[Trial], search: RunPass) -> None:
    if not search.record.axes:
        raise RunError("This run has one goal, so its best trial is the winner; to save another one, save it.")
    if number is None:
        return
    trial = next((trial for trial in trials if trial.number == number), None)
    if trial is None or trial.state != "complete" or trial.pass_id != search.id:
        raise RunError(f"Trial {number} is no scored trial of the current search; choose one that is.")
