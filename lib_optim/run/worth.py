"""What the trials of a run are worth, from all that is known of their images."""

from __future__ import annotations

from collections.abc import Collection

from lib_optim.run.passes import RunPass
from lib_optim.run.score_sheet import ScoreSheet
from lib_optim.scoring.calibration import silent

__all__ = ["Worth"]


class Worth:
    """Makes values of scores, and has judges measured. Thread-safe.

    Args:
        sheet: What is known.
    """

    def __init__(self, sheet: ScoreSheet) -> None:
        self._sheet = sheet

    def value(self, trial: int, images: Collection[int] | None = None) -> float:
        """Return the trial's combined score, or that of some of its images.

        Raises:
            ScorerError: Nothing was scored.
        """
        with self._sheet.guard:
            run_pass = self._sheet.pass_of[trial]
            skipped = {i for i, image in self._sheet.images.get(trial, {}).items() if image.skipped}
            jobs = [job for job in run_pass.jobs if images is None or job.index in images]
            skipped |= self._sheet.marks.marked(trial, "mark: left out")
            unrated = self._sheet.marks.marked(trial, "mark: unrated")
            return self._sheet.values.combination(run_pass).trial(self._sheet.raw_of(trial), jobs, skipped, unrated)

    def calibrates(self, run_pass: RunPass) -> bool:
        """Whether the values of a pass depend on a calibration."""
        return self._sheet.values.calibrates(run_pass)

    def provisional(self, run_pass: RunPass) -> bool:
        """Whether the values of a pass wait for its calibration."""
        with self._sheet.guard:
            return self._sheet.values.provisional(run_pass)

    def inherits(self, run_pass: RunPass) -> bool:
        """Whether all that a search is measured by is known from an earlier one, or from the run it was forked from."""
        with self._sheet.guard:
            return self._sheet.values.whole(run_pass, self._sheet.values.inherited(run_pass, self._before(run_pass)))

    def _before(self, run_pass: RunPass) -> list[RunPass]:
        return [earlier for earlier in self._sheet.passes.all if earlier.id < run_pass.id]

    def calibrate(self, run_pass: RunPass, trials: Collection[int]) -> None:
        """Measure the judges of a search on `trials`, for good; its values are others from now on."""
        with self._sheet.guard:
            known = self._sheet.values.inherited(run_pass, self._before(run_pass))
            raw = {n: {i: dict(self._sheet.scores_of(n, i)) for i in self._sheet.counting(n)} for n in trials}
            calibration = self._sheet.values.measure(run_pass, raw, known)
            self._sheet.values.freeze(run_pass, calibration)
            for trial in self._sheet.images:
                if self._sheet.pass_of[trial].number == run_pass.number:
                    self._sheet.show(trial, *self._sheet.images[trial])
        for row in silent(calibration):
            self._sheet.view.error(
                f"At the start, {row.scorer} gave all images of '{row.payload}' the same score, so it says nothing "
                "there and is left out on that payload."
            )

    def show_calibration(self, run_pass: RunPass) -> None:
        """Show what the scores of a pass are measured by."""
        with self._sheet.guard:
            self._sheet.view.set_calibration(self._sheet.values.to_json(run_pass))

    def axes(self, trial: int, images: Collection[int] | None = None) -> dict[str, float]:
        """Return the trial's value on each axis of its pass, or that of some of its images; empty without axes.

        Raises:
            ScorerError: Nothing was scored.
        """
        with self._sheet.guard:
            wanted = self._sheet.counting(trial)
            wanted = wanted if images is None else [image for image in wanted if image in images]
            unrated = self._sheet.marks.marked(trial, "mark: unrated")
            return self._sheet.values.axes(self._sheet.pass_of[trial], self._sheet.raw_of(trial), wanted, unrated)

    def opinions(self, trial: int, images: Collection[int] | None = None) -> dict[str, float]:
        """Return what the judges that decide nothing think of a trial, or of some of its images: mean raw scores."""
        with self._sheet.guard:
            wanted = self._sheet.counting(trial) if images is None else images
            return self._sheet.values.opinions(self._sheet.pass_of[trial], self._sheet.raw.get(trial, {}), wanted)
