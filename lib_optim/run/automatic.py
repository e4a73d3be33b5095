"""The automatic scores of a run: who scores which image, in threads of their own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim.plan.errors import ScorerError, StoreError
from lib_optim.plan.records import ImageRecord, Score
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.control import Control
from lib_optim.run.passes import RunPass
from lib_optim.run.score_sheet import ScoreSheet
from lib_optim.run.wanted import automatic, automatic_keys, same_payload
from lib_optim.scoring.base import context_of
from lib_optim.scoring.prompts import scoring_text
from lib_optim.scoring.worker import ScoringWorker

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["AutomaticScores"]

_log = logging.getLogger(__name__)


class AutomaticScores:
    """Has images scored, and knows which are not. Thread-safe.

    Args:
        sheet: What is known.
        control: Woken when a score arrives.
        scorers_dir: Weights of scorers.
        heard: Told trial, image and scorer of a new score, under the sheet's guard.
    """

    def __init__(
        self, sheet: ScoreSheet, control: Control, scorers_dir: Path, heard: Callable[[int, int, str], None]
    ) -> None:
        self._sheet, self._control, self._scorers_dir, self._heard = sheet, control, scorers_dir, heard
        self._kept: dict[int, dict[int, Image.Image]] = {}  # until all of their payload are there
        self._errors: dict[int, ScorerError] = {}
        self._broken: StoreError | None = None
        self._workers: list[tuple[tuple[ScorerSpec, ...], ScoringWorker]] = []
        self._worker(sheet.passes.current)  # what is wrong with a scorer's options shows before anything is made

    def begin(self, trial: int) -> None:
        """Take note of a trial: the pictures of others that were kept are let go."""
        with self._sheet.guard:
            for number in [n for n in self._kept if n == trial or self._sheet.ended(n)]:
                del self._kept[number]

    def forgive(self, trial: int) -> None:
        """Forget that a scorer failed on an image of `trial`, which is scored again."""
        with self._sheet.guard:
            self._errors.pop(trial, None)

    def failed(self, trial: int) -> bool:
        """Whether a scorer failed on an image of `trial`, or no score can be recorded."""
        return self._broken is not None or trial in self._errors

    def _worker(self, run_pass: RunPass) -> ScoringWorker | None:
        """Return the scoring thread of a pass; passes with the same scorers share one. Others free their memory."""
        wanted = automatic(run_pass)
        if not wanted:
            return None
        with self._sheet.guard:
            for specs, worker in self._workers:
                if specs == wanted:
                    return worker
            for _, worker in self._workers:
                worker.unload()
            made = ScoringWorker(wanted, self._scorers_dir, self._scored, self._failed, self._sheet.view.say)
            self._workers.append((wanted, made))
            return made

    def wait(self, trial: int) -> None:
        """Wait until every image that counts has its automatic scores, or the user skips the trial.

        Raises:
            ScorerError: A scorer failed on an image of this trial.
            StoreError: A score could not be recorded.
            StopRun: The run is being stopped.
        """
        control = self._control

        def over() -> bool:
            return self.failed(trial) or control.skipping_trial or not self.unscored(trial)

        control.wait(over)
        with self._sheet.guard:
            if self._broken is not None:
                raise self._broken
            if trial in self._errors:
                raise self._errors.pop(trial)

    def unscored(self, trial: int) -> list[ImageRecord]:
        """Return the images of `trial` that count and have not all automatic scores."""
        with self._sheet.guard:
            run_pass, scores = self._sheet.pass_of[trial], self._sheet.scores_of
            return [
                i
                for i in self._sheet.counted(trial)
                if not automatic_keys(run_pass, i.index) <= set(scores(trial, i.index))
            ]

    def submit(self, record: ImageRecord, image: Image.Image) -> None:
        """Have an image scored."""
        run_pass = self._sheet.pass_of[record.trial]
        worker = self._worker(run_pass)
        job = run_pass.jobs[record.index]
        if worker is None or job.payload.score_weight <= 0:
            return
        with self._sheet.guard:
            asked = automatic_keys(run_pass, record.index)
            if worker.comparing & asked:
                self._kept.setdefault(record.trial, {})[record.index] = image
            done = asked - worker.comparing <= set(self._sheet.scores_of(record.trial, record.index))
        if not done:
            worker.submit(record.trial, record.index, image, scoring_text(job.payload), context_of(job))

    def submit_together(self, record: ImageRecord) -> None:
        """Have the images of a payload compared, once all of them are there or skipped."""
        run_pass, trial = self._sheet.pass_of[record.trial], record.trial
        worker = self._worker(run_pass)
        if worker is None or not worker.comparing & automatic_keys(run_pass, record.index):
            return
        with self._sheet.guard:
            images, kept = self._sheet.images[trial], self._kept.get(trial, {})
            jobs = same_payload(run_pass, record)
            if any(job.index not in images for job in jobs):
                return
            jobs = [job for job in jobs if not images[job.index].skipped]
            if not jobs or any(job.index not in kept for job in jobs):
                return
            group = [(j.index, kept.pop(j.index), scoring_text(j.payload), context_of(j)) for j in jobs]
        worker.submit_together(trial, group)

    def with_others(self, trial: int, images: list[ImageRecord]) -> list[ImageRecord]:
        """Return `images`, and where a scorer compares those of a payload, all others of their payloads."""
        run_pass = self._sheet.pass_of[trial]
        worker = self._worker(run_pass)
        if worker is None or not worker.comparing:
            return images
        wanted = {job.index for image in images for job in same_payload(run_pass, image)}
        return [image for image in self._sheet.counted(trial) if image.index in wanted]

    def _scored(self, trial: int, image: int, scorer: str, raw: float) -> None:
        with self._sheet.guard:
            try:
                self._sheet.store.add_score(Score(trial, image, scorer, raw, created=time.time()))
            except StoreError as error:  # not the scorer's fault, and not the trial's: the run ends
                _log.exception("A score was not recorded")
                self._broken = error
                self._control.wake()
                return
            self._sheet.scores_of(trial, image)[scorer] = raw
            self._heard(trial, image, scorer)
            self._sheet.show(trial, image)
        self._control.wake()

    def _failed(self, trial: int, error: ScorerError) -> None:
        _log.error("Scoring trial %d failed", trial, exc_info=error)
        with self._sheet.guard:
            self._errors.setdefault(trial, error)
            self._kept.pop(trial, None)
        self._control.wake()

    def close(self) -> None:
        """Free the scorers."""
        for _, worker in self._workers:
            worker.close()
