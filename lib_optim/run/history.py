"""What a run has tried: the record first, then the study, then the page, and last the files for people."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Mapping

from lib_optim.merging.merger import Recipe
from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import StoreError
from lib_optim.plan.records import Trial, TrialState
from lib_optim.run.check import Resolved
from lib_optim.run.folder import RunFolder, write_atomic
from lib_optim.run.results import TrialTable
from lib_optim.run.scores import ScoreBook
from lib_optim.run.store import Store
from lib_optim.run.view import RunView
from lib_optim.search.study import Search

__all__ = ["History"]

_ENDED = ("complete", "failed", "skipped")
_UNFINISHED = ("running", "waiting")
_log = logging.getLogger(__name__)


class History:
    """The trials of a run. Thread-safe: human scores change finished trials while the worker makes new ones.

    Args:
        resolved: The plan.
        folder: Where ``trials.csv`` and ``best.mecha`` go.
        store: The record.
        view: What the page shows.
        book: The scores.
        recipe: Returns the recipe of one point of the space.
    """

    def __init__(
        self,
        resolved: Resolved,
        folder: RunFolder,
        store: Store,
        view: RunView,
        book: ScoreBook,
        recipe: Callable[[Mapping[str, Value]], Recipe],
    ) -> None:
        self._folder, self._store, self._view, self._book = folder, store, view, book
        self._recipe = recipe
        self._pass = store.last_pass() or 0
        self._search = Search(resolved.space, resolved.blocks, resolved.plan.sampler, resolved.plan.seed)
        scorers = [spec.id for spec in resolved.plan.scorers]
        self._space = resolved.space
        self._table = TrialTable(folder.trials_csv, [p.name for p in resolved.space.parameters], scorers)
        self._tabled: set[int] | None = None  # None: the table has to be written anew
        self._best: tuple[int, Mapping[str, Value]] | None = None
        self._guard = threading.RLock()
        self._trials = {trial.number: trial for trial in store.trials()}

    def show(self) -> None:
        """Give everything recorded to the page."""
        with self._guard:
            if self._space.curves or self._space.ways:
                self._view.set_drawn(self._space.drawn)
            for trial in self._trials.values():
                self._view.put_trial(trial)
                self._book.load(trial.number)

    def open(self) -> None:
        """Take up the record: the study and the files are made from it anew. The recipes must be readable."""
        with self._guard:
            for trial in list(self._trials.values()):
                # A kill between a human score and the trial's new value leaves the score recorded and the value old.
                self._revalue(trial)
                current = self._trials[trial.number]
                if current.state in _ENDED:
                    self._search.add(current)
            self._book.update_waiting()
            self._write_files(None)

    @property
    def complete(self) -> int:
        """How many trials have a value."""
        with self._guard:
            return sum(trial.state == "complete" for trial in self._trials.values())

    def next_trial(self) -> Trial:
        """Return the trial that was left unfinished, or a new one, already recorded."""
        with self._guard:
            for trial in self._trials.values():
                if trial.state in _UNFINISHED:
                    return trial
            number = max(self._trials, default=-1) + 1
            started = time.perf_counter()
            suggestion = self._search.suggest(number)
            _log.info("Trial %d: %s, suggested in %.3f s", number, suggestion.origin, time.perf_counter() - started)
            digest = self._recipe(suggestion.values).digest
            values, origin = suggestion.values, suggestion.origin
            return self.put(Trial(number, "running", values, origin, digest, started=time.time()))

    def put(self, trial: Trial) -> Trial:
        """Record a trial that goes on."""
        with self._guard:
            self._store.put_trial(trial, self._pass)
            self._trials[trial.number] = trial
            self._view.put_trial(trial)
            return trial

    def complete_if_scored(self, trial: Trial) -> bool:
        """Record `trial` as complete with its combined score; False if a human score is still missing.

        Raises:
            ScorerError: An automatic score is missing, or nothing was scored.
        """
        with self._guard:
            if self._book.waiting(trial.number):
                return False
            value = self._book.value(trial.number)
            self._end(dataclasses.replace(trial, state="complete", value=value, finished=time.time()))
            return True

    def end(self, number: int, state: TrialState, reason: str) -> Trial:
        """Record the end of a trial without a value."""
        with self._guard:
            known = self._trials[number]
            trial = dataclasses.replace(known, state=state, reason=reason, value=None, finished=time.time())
            self._end(trial)
            return trial

    def score(self, trial: int, image: int, value: float | None, request: str) -> None:
        """Take a human score (None takes it back). A complete trial gets its new value, or waits again.

        Raises:
            RunError: See `ScoreBook.human`.
        """
        with self._guard:
            if not self._book.human(trial, image, value, request):
                return
            known = self._trials.get(trial)
            if known is not None and self._revalue(known):
                self._search.add(self._trials[trial])
                self._book.update_waiting()
                self._write_files(trial)

    def _revalue(self, trial: Trial) -> bool:
        if not self._book.manual or trial.state != "complete":
            return False
        waits = bool(self._book.waiting(trial.number))
        value = None if waits else self._book.value(trial.number)
        if value == trial.value:
            return False
        self.put(dataclasses.replace(trial, state="waiting" if waits else "complete", value=value))
        return True

    def _end(self, trial: Trial) -> None:
        self.put(trial)
        self._search.add(trial)
        self._book.update_waiting()
        self._write_files(trial.number)

    def _write_files(self, changed: int | None) -> None:
        """Bring ``trials.csv`` and ``best.mecha`` up to date. They are copies: what goes wrong here ends no run."""
        try:
            if changed is None or self._tabled is None or changed in self._tabled:
                self._tabled = None
                ended = [trial for trial in self._trials.values() if trial.state in _ENDED]
                self._table.rewrite([(trial, self._store.scores(trial.number)) for trial in ended])
                self._tabled = {trial.number for trial in ended}
            else:
                self._table.append(self._trials[changed], self._store.scores(changed))
                self._tabled.add(changed)
            best = self._view.best
            if best is None:
                self._folder.best_recipe.unlink(missing_ok=True)
                self._best = None
            elif self._best != (best.number, best.values):
                write_atomic(self._folder.best_recipe, self._recipe(best.values).text)
                self._best = (best.number, best.values)
        except (StoreError, OSError) as error:
            self._tabled = None
            _log.warning("A file of the run was not written: %s", error)
            self._view.error(f"{error} The run goes on; run.db has everything.")
