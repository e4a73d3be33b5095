"""The verification of a run: which trial is made again next, and what came of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.records import Finalist, Trial, Verdict
from lib_optim.run.choosing import Objectives
from lib_optim.run.passes import Passes, RunPass
from lib_optim.run.scores import ScoreBook
from lib_optim.run.store import Store
from lib_optim.run.view import RunView
from lib_optim.search.verification import finalists, reruns, together

__all__ = ["Verification"]

_log = logging.getLogger(__name__)


class Verification:
    """Compares the best trials of the current search with themselves, made again. Used under the history's guard.

    A pure function of the record: it says the same after a resume, and something else once the search went on.

    Args:
        passes: The passes of the run.
        store: Where a verdict is recorded before anybody learns of it.
        view: Where it is shown.
        book: The scores.
        objectives: Which trial the user chose.
    """

    def __init__(self, passes: Passes, store: Store, view: RunView, book: ScoreBook, objectives: Objectives) -> None:
        self._passes, self._store, self._view, self._book = passes, store, view, book
        self._objectives = objectives
        self.verdict: Verdict | None = None
        recorded = store.verdicts()
        self._recorded = recorded[-1] if recorded else ""

    def pending(self, trials: Sequence[Trial]) -> tuple[Trial, Trial | None] | None:
        """Return the next finalist, and its trial under way if it was begun; None when all are through."""
        chosen, again = self._finalists(trials)
        for trial in chosen:
            made = again.get(trial.number)
            if made is None or made.state != "complete":
                return trial, made
        return None

    def progress(self, trials: Sequence[Trial]) -> tuple[int, int]:
        """Return which finalist is being made again (from 1), and of how many."""
        chosen, again = self._finalists(trials)
        done = sum(trial.number in again and again[trial.number].state == "complete" for trial in chosen)
        return min(done + 1, len(chosen)), len(chosen)

    def conclude(self, trials: Sequence[Trial]) -> None:
        """Find the verdict that `trials` allow, record it if it is new, and show it."""
        self.verdict = self._verdict(trials)
        if self.verdict is not None:
            text = json.dumps(self.verdict.to_json())
            if text != self._recorded:
                self._store.add_verdict(text)
                self._recorded = text
                _log.info("Verified: %s", text)
        self._view.set_verdict(self.verdict)

    def _finalists(self, trials: Sequence[Trial]) -> tuple[list[Trial], dict[int, Trial]]:
        search, verification = self._passes.current, self._passes.verification
        again = reruns(trial for trial in trials if verification is not None and trial.pass_id == verification.id)
        ours = [trial for trial in trials if trial.pass_id == search.id]
        axes, chosen = search.record.axes, self._objectives.chosen
        return finalists(ours, again, self._passes.finalists, axes, chosen), again

    def _verdict(self, trials: Sequence[Trial]) -> Verdict | None:
        verification = self._passes.verification
        if verification is None:
            return None
        chosen, again = self._finalists(trials)
        if not chosen or any(t.number not in again or again[t.number].state != "complete" for t in chosen):
            return None
        # An image that was skipped for one of them is left out for all: only the same images can be compared.
        common = set.intersection(*(set(self._book.sheet.counting(again[trial.number].number)) for trial in chosen))
        if not common:
            return None
        rows = tuple(self._finalist(trial, again[trial.number], common, verification) for trial in chosen)
        # What the user chose; else, of equals, the one that was better in the search.
        winner = max(rows, key=lambda row: (row.trial == self._objectives.chosen, row.together))
        failed = sorted(number for number, made in again.items() if made.state in ("failed", "skipped"))
        return Verdict(winner.trial, rows, tuple(failed))

    def _finalist(self, trial: Trial, made: Trial, common: set[int], verification: RunPass) -> Finalist:
        known = {index for index in common if index < verification.known_jobs}
        search = self._passes.of(trial)
        # Of a trial that another worker made, the images stayed there; all of them counted.
        counted = self._book.sheet.counting(trial.number) or [
            j.index for j in search.jobs if j.payload.score_weight > 0
        ]
        before, after = trial.value or 0.0, self._book.worth.value(made.number, common)
        weights = [
            sum(run_pass.jobs[i].payload.score_weight for run_pass, i in pairs)
            for pairs in (
                [(search, i) for i in counted],
                [(verification, i) for i in common],
            )
        ]
        return Finalist(
            trial.number, made.number, before, self._part(made, known), self._part(made, common - known),
            self._book.worth.opinions(made.number, common), together(before, weights[0], after, weights[1]),
            dict(trial.axes), self._axes(made, known),
        )  # fmt: skip

    def _axes(self, made: Trial, images: set[int]) -> dict[str, float]:
        try:
            return self._book.worth.axes(made.number, images) if images else {}
        except ScorerError:
            return {}

    def _part(self, made: Trial, images: set[int]) -> float | None:
        try:
            return self._book.worth.value(made.number, images) if images else None
        except ScorerError:
            return None
