"""One trial: merge into the live model, generate, score, restore. Can be left and taken up again at any image."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from lib_optim.plan.errors import HostError, Interrupted, MergeError, StoreError
from lib_optim.plan.payload import ImageJob
from lib_optim.plan.records import ImageRecord, Trial
from lib_optim.run.pictures import ending_of
from lib_optim.run.results import image_file, pixel_hash, read_image, write_image
from lib_optim.run.swapping import refuse_changed, swap
from lib_optim.scoring.devices import out_of_memory

if TYPE_CHECKING:
    from lib_optim.hosts.base import LiveWeights, MergeSession
    from lib_optim.run.context import RunContext
    from lib_optim.run.hosting import Turn

__all__ = ["TrialBroken", "TrialRunner", "TrialSkipped"]

_FULL_CHECK_EVERY = 50
_UNASKED_INTERRUPTIONS = 3
_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class TrialSkipped(Exception):
    """The user skipped the trial. Never leaves the run package."""


class TrialBroken(Exception):
    """The user marked an image of the trial as broken. Never leaves the run package."""


class TrialRunner:
    """Makes the missing images of one trial. Used by the worker thread only.

    Args:
        run: The run it belongs to.
        trial: Its record, state ``running``; images that exist already are not made again.

    Attributes:
        done: Indices of the images that are there, or were skipped.

    Raises:
        MergeError: The recipe is not the one that the record names.
    """

    def __init__(self, run: RunContext, trial: Trial) -> None:
        self._run = run
        self._trial = trial
        self._jobs = run.passes.of(trial).jobs
        self._seconds: dict[str, float] = dict(trial.seconds)
        self.done = {image.index for image in run.store.images(trial.number) if self._is_there(image)}
        self._unasked = 0
        self._recipe = run.recipe(trial.values)
        if trial.recipe and trial.recipe != self._recipe.digest:
            raise MergeError(
                f"The recipe of trial {trial.number} is no longer the one its images were made with "
                f"({self._recipe.digest} instead of {trial.recipe})."
            )

    def _is_there(self, image: ImageRecord) -> bool:
        """Whether an image need not be made again: same weights, same seed, same picture."""
        if image.skipped:
            return True
        try:
            return pixel_hash(read_image(self._run.folder, image.file)) == image.pixels
        except StoreError as error:
            _log.warning("%s It is made again.", error)
            return False

    @property
    def remaining(self) -> list[ImageJob]:
        """Images still to be made."""
        return [job for job in self._jobs if job.index not in self.done]

    def make_images(self, session: MergeSession) -> Trial:
        """Make images until all are there or the user wants the model back (pause, stop, skip).

        The host's lock is held from the first write to the restore; where nobody waits for the host and all images are
        there, the merge stays in the model: the caller has the next trial follow at once, or calls `HostHold.end_turn`.

        Returns:
            The trial with its times so far.

        Raises:
            TrialSkipped: The user skipped it.
            StopRun: The user stopped the run, also while waiting for the host.
            HostChanged: Somebody changed the model; nothing of theirs was touched.
            OptimError: The trial failed.
        """
        run, control = self._run, self._run.control
        # job() clears the host's sticky flags, so our own are looked at after it.
        with run.hold.turn(session) as turn, run.host.job(f"Optim trial {self._trial.number}"):
            self._work(turn, session)
        self._heed_interrupt()  # pressed during the last image, it lets that end
        if control.leave_model or self.remaining or run.host.others_waiting():
            left = time.perf_counter()
            run.hold.end_turn()
            self._add("restore", time.perf_counter() - left)
        if control.skipping_trial:
            raise TrialSkipped("Skipped by the user.")
        return dataclasses.replace(self._trial, recipe=self._recipe.digest, seconds=dict(self._seconds))

    def _work(self, turn: Turn, session: MergeSession) -> None:
        with contextlib.suppress(Interrupted):  # the user wanted the model back in the middle of the merge
            if self._heed_interrupt():
                return
            self._swap(turn)
            for job in self.remaining:
                leave = self._run.control.leave_model or self._run.book.sheet.broken(self._trial.number)
                if leave or not self._image(job, session):
                    break
            refuse_changed(turn.digests, turn.live.digests())

    def _swap(self, turn: Turn) -> None:
        run, number = self._run, self._trial.number
        started = time.perf_counter()
        with run.merging:
            report = self._with_room(
                lambda: swap(run.merger, self._trial.values, turn, lambda: run.control.leave_model)
            )
        self._add("merge", time.perf_counter() - started)
        run.view.set_swap_seconds(time.perf_counter() - started)
        if run.trials_since_start % _FULL_CHECK_EVERY == 0:
            self._verify_in_full(turn.live)
            _log.info("Trial %d: all %d live tensors equal the merge.", number, len(report.written))

    def _with_room(self, work: Callable[[], _T]) -> _T:
        """Do `work`; if the GPU's memory runs out, once more without the models in it."""
        run = self._run
        try:
            return work()
        except Exception as error:
            if not (out_of_memory(error) and run.memory.take_back(run.merger)):
                raise
        run.view.error("The GPU's memory ran out, so Optim no longer keeps the models there; the run goes on.")
        return work()

    def _verify_in_full(self, live: LiveWeights) -> None:
        import torch

        with self._run.merging:
            for key, tensor in self._run.merger.tensors(self._trial.values):
                seen = live.read(key)
                if not torch.equal(seen, tensor.to(device=seen.device, dtype=seen.dtype)):
                    raise MergeError(f"The live tensor {key} does not hold what was merged; nothing was scored.")

    def _image(self, job: ImageJob, session: MergeSession) -> bool:
        """Make one image; return whether to go on with the next."""
        run, number = self._run, self._trial.number
        run.view.set_current(number, job.index)
        run.report_progress()
        stamp = {"Optim trial": f"{run.folder.name} {number}", "Optim recipe": self._recipe.digest}
        started = time.perf_counter()
        run.control.take_skip_image()
        try:
            with run.hold.generating():
                made = self._with_room(lambda: run.host.generate(job, stamp))
        except Interrupted:
            return self._interrupted(job)
        session.check()  # an image of somebody else's model must not be recorded
        run.memory.offer(run.merger)
        if run.control.take_skip_image():
            self._keep_skipped(job)
            return True
        seconds = time.perf_counter() - started
        self._add("generate", seconds)
        disk = run.resolved.plan.disk
        file = image_file(number, job.index, job.payload.name, ending_of(disk))
        pixels = write_image(run.folder, file, made.image, made.infotext, disk)
        record = ImageRecord(number, job.index, job.payload.name, job.seed, file, made.infotext, pixels, seconds)
        run.keep_image(record, made.image)
        self.done.add(job.index)
        return True

    def _keep_skipped(self, job: ImageJob) -> None:
        record = ImageRecord(self._trial.number, job.index, job.payload.name, job.seed, "", "", "", skipped=True)
        self._run.keep_image(record, None)
        self.done.add(job.index)

    def _interrupted(self, job: ImageJob) -> bool:
        run = self._run
        if run.control.take_skip_image() or run.host.skip_requested():
            self._keep_skipped(job)
            return True
        if run.control.leave_model or self._heed_interrupt():
            return False
        # A click that came a moment too late leaves the host's flag set; the next job() clears it.
        self._unasked += 1
        if self._unasked >= _UNASKED_INTERRUPTIONS:
            raise HostError(f"The image was interrupted {self._unasked} times and nobody asked for it.")
        return False

    def _heed_interrupt(self) -> bool:
        """The host's own Interrupt pauses the run, which gives the model back and loses nothing."""
        control = self._run.control
        if control.leave_model or not self._run.host.stop_requested():
            return False
        control.pause()
        self._run.view.error("The WebUI's Interrupt was pressed, so the run paused; continue or stop it here.")
        return True

    def _add(self, step: str, seconds: float) -> None:
        self._seconds[step] = self._seconds.get(step, 0.0) + seconds
