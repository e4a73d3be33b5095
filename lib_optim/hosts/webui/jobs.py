"""``shared.state``: the WebUI's progress display and its Interrupt and Skip buttons."""

from __future__ import annotations

import contextlib
import io
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

from lib_optim.hosts.base import GenerationProgress

__all__ = ["JobDesk"]


class JobDesk:
    """Announces work, tells our own interrupts from the user's, and reads progress.

    The user's Interrupt sets `interrupted`, or with several images planned `stopping_generation` first; pressed between
    two of our jobs it counts for the next, unless somebody else has begun a job since. Ours uses
    `skipped`, which ends an image just as fast and which the WebUI resets by itself at the next one, so that it cannot
    be mistaken for the user's and cannot stop anything later.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._generating = False
        self._cut = False  # our own interrupt hit the present image
        self._skipped = False  # the user's Skip hit the last image
        self._stopped = False
        self._ended: float | None = None  # start time on show when our last job ended: tells whether others began one
        self._preview: tuple[int, bytes] | None = None
        self._earlier = 0  # number of the last preview of the image before
        self.task_id = ""
        """Id of the job for the WebUI's ``/internal/progress``; empty while there is none."""

    def listen(self) -> None:
        """Take what was pressed before now as not meant for us: a run begins, or goes on after a pause."""
        self._ended = None

    @contextlib.contextmanager
    def job(self, title: str) -> Iterator[None]:
        """Begin a job (clears the sticky flags, but see `stop_requested`), end it, and leave no flag behind."""
        from modules import progress

        state = _state()
        pressed = bool(state.interrupted or state.stopping_generation)
        self._stopped = pressed and self._ended is not None and state.time_start == self._ended
        task_id = f"task(optim-{uuid.uuid4().hex[:12]})"
        progress.add_task_to_queue(task_id)
        try:
            state.begin(job=title)
            # Else the hires pass of the first image doubles the number of images that we report.
            state.processing_has_refined_job_count = True
            progress.start_task(task_id)
            self.task_id = task_id
            yield
        finally:
            self._stopped = self.stop_requested()
            self.task_id = ""
            state.end()
            state.skipped = state.interrupted = state.stopping_generation = False
            state.textinfo = None
            self._ended = state.time_start
            progress.finish_task(task_id)

    @contextlib.contextmanager
    def image(self, steps: int) -> Iterator[None]:
        """Mark the time in which an image of `steps` sampling steps is generated."""
        state = _state()
        state.sampling_step, state.sampling_steps = 0, steps  # the WebUI leaves the last image's until it samples
        state.skipped = False  # a Skip that came when there was nothing to skip
        self._earlier = int(state.id_live_preview)
        with self._lock:
            self._generating, self._cut = True, False
        try:
            yield
        finally:
            with self._lock:
                self._generating = False
                self._skipped = bool(state.skipped) and not self._cut

    def cut_short(self) -> bool:
        """Tell whether the image just made may be partial, or whether we or the user wanted none."""
        state = _state()
        return self._cut or bool(state.interrupted or state.skipped)

    def interrupt(self) -> None:
        """End the image now being generated, if any."""
        with self._lock:
            if self._generating:
                self._cut = True
                _state().skip()

    def stop_requested(self) -> bool:
        """Tell whether the user pressed Interrupt since the job began, or since our last one ended."""
        state = _state()
        return self._stopped or bool(self.task_id and (state.interrupted or state.stopping_generation))

    def forget_skip(self) -> None:
        """Take no earlier Skip as meant for the image that comes now."""
        self._skipped = False

    def skip_requested(self) -> bool:
        """Tell whether the user pressed Skip while the last image was made."""
        return self._skipped

    def report(self, text: str, done: int, total: int, left: float | None = None) -> None:
        """Show `text`, `done` of `total` images, and that it takes `left` more seconds."""
        state = _state()
        if not self.task_id:
            return
        state.textinfo, state.job_no, state.job_count = text, done, total
        if left is not None and 0 < done < total:
            # The WebUI takes the pace from the start of the job, which for us is one trial of many.
            state.time_start = time.time() - left * done / (total - done)

    def progress(self) -> GenerationProgress | None:
        """Return where the image now being generated stands, or None."""
        if not self._generating:
            return None
        state = _state()
        ask = getattr(state, "set_current_image", None)
        if ask is not None:
            ask()
        step, steps = int(state.sampling_step), int(state.sampling_steps)
        return GenerationProgress(min(step, steps), steps, self._encoded(state.current_image, state.id_live_preview))

    def _encoded(self, image: Any, number: int) -> bytes | None:
        if image is None or number == self._earlier:
            return None
        if self._preview is None or self._preview[0] != number:
            buffer = io.BytesIO()
            image.convert("RGB").save(buffer, "JPEG", quality=85)
            self._preview = (number, buffer.getvalue())
        return self._preview[1]


def _state() -> Any:
    from modules import shared

    return shared.state
