"""The trials of a run as they are recorded, shown and scored."""

from __future__ import annotations

from collections.abc import Callable

from lib_optim.plan.records import Trial
from lib_optim.run.passes import RunPass
from lib_optim.run.scores import ScoreBook
from lib_optim.run.store import Store
from lib_optim.run.view import RunView

__all__ = ["Trials"]


class Trials:
    """All trials of a run, by number. Used under the history's guard.

    Args:
        store: The record.
        view: What the page shows.
        book: The scores.
        valued: Returns a trial whose scores the book has loaded with what is computed from them.
    """

    def __init__(self, store: Store, view: RunView, book: ScoreBook, valued: Callable[[Trial], Trial]) -> None:
        self._store, self._view, self._book, self._valued = store, view, book, valued
        # A fork counts on where its parent stopped: a suggestion depends on its number, and none comes twice.
        self._least = int(store.note("first_number") or 0)
        self._all = {trial.number: trial for trial in store.trials()}

    def __getitem__(self, number: int) -> Trial:
        return self._all[number]

    def __contains__(self, number: object) -> bool:
        return number in self._all

    @property
    def all(self) -> list[Trial]:
        """All of them, by number."""
        return [trial for _, trial in sorted(self._all.items())]

    def of(self, run_pass: RunPass) -> list[Trial]:
        """Return those of a pass, by number."""
        return [trial for trial in self.all if trial.pass_id == run_pass.id]

    @property
    def next_number(self) -> int:
        """The number of a new one, where this worker alone makes them."""
        return max(max(self._all, default=-1) + 1, self._least)

    def load(self, trial: Trial) -> None:
        """Take over a recorded trial, and its images and scores."""
        self._book.begin(trial)
        self._book.sheet.load(trial.number)
        self._all[trial.number] = trial = self._valued(trial)
        self._view.put_trial(trial)

    def put(self, trial: Trial) -> None:
        """Record a trial, then show it."""
        self._store.put_trial(trial)
        self._all[trial.number] = trial
        self._view.put_trial(trial)
        self._book.begin(trial)
