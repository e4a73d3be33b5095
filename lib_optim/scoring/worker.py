"""The scoring thread: images in, raw scores out, while the next image is being generated."""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lib_optim.plan.errors import RunError, ScorerError
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring.base import ImageContext, Progress, Scorer, ScorerRow
from lib_optim.scoring.devices import batch_size, chosen_device, out_of_memory
from lib_optim.scoring.doubts import doubt_key, doubts_of
from lib_optim.scoring.registry import scorer_row
from lib_optim.scoring.state_dicts import free

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["ScoringWorker"]

_log = logging.getLogger(__name__)


class _Work(NamedTuple):
    trial: int
    index: int
    image: Image.Image
    prompt: str
    context: ImageContext

    @property
    def group(self) -> tuple[int, str]:
        """What may be scored together."""
        return self.trial, self.context.payload


class ScoringWorker:
    """Scores images on one thread of its own, with the automatic scorers of a run.

    Threads: every method may be called from any thread. The callbacks run on the scoring thread and must be
    quick; what they raise is logged, and fails the trial if it came from `on_score`. Scorers are built at once,
    loaded for the first image, and used by the scoring thread only.

    A trial whose image could not be scored has failed: `on_error` is called once for it, and its other
    images are dropped. A scorer that failed to load is loaded anew for the next trial. One that does not fit into
    the GPU's memory is loaded on the CPU, says so, and stays there until it is unloaded.

    Images of one payload of one trial that wait together are scored together by scorers that can use that
    (`ScorerRow.batches`); nothing waits for others to come.

    Args:
        specs: The scorers of the run; manual ones are left to the user.
        models_dir: Where scorers' weights are kept.
        on_score: Called with trial, image index, scorer id and raw score; per scorer in order of submission. For a
            scorer that doubts (`doubts`) its doubt comes before its score, under a key of its own.
        on_error: Called with trial and error, at most once per trial.
        on_progress: Called with one sentence while weights load or download.

    Raises:
        ScorerError: A scorer cannot be built from its options.
    """

    def __init__(
        self,
        specs: Sequence[ScorerSpec],
        models_dir: Path,
        on_score: Callable[[int, int, str, float], None],
        on_error: Callable[[int, ScorerError], None],
        on_progress: Progress | None = None,
    ) -> None:
        automatic = [(spec, scorer_row(spec.id)) for spec in specs if not scorer_row(spec.id).manual]
        self._scorers = [(spec, row, row.build(spec.options, models_dir)) for spec, row in automatic]
        self._on_score, self._on_error, self._on_progress = on_score, on_error, on_progress
        self._queue: queue.SimpleQueue[_Work | Callable[[], None] | None] = queue.SimpleQueue()
        self._next: _Work | Callable[[], None] | None = None  # taken from the queue too early
        self._loaded: dict[str, str] = {}
        self._crowded: set[str] = set()
        self._failed: set[int] = set()
        self._pending = 0
        self._idle = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def scorers(self) -> tuple[str, ...]:
        """Ids of the scorers it runs; empty for a purely manual run."""
        return tuple(spec.id for spec, _, _ in self._scorers)

    def submit(
        self, trial: int, image_index: int, image: Image.Image, prompt: str, context: ImageContext | None = None
    ) -> None:
        """Queue one image. It must not be changed afterwards.

        Args:
            trial: Number of its trial.
            image_index: Its position in the trial.
            image: Any size and mode.
            prompt: What it is compared with, as `prompts.scoring_text` gives it.
            context: Payload and seed, which scorers with a reference per image need (see `base.context_of`).

        Raises:
            RunError: The worker is closed.
        """
        work = _Work(trial, image_index, image, prompt, context or ImageContext(index=image_index))
        self._put(work)

    @property
    def comparing(self) -> frozenset[str]:
        """Ids of those of its scorers that compare the images of a payload: `submit_together` is for them."""
        return frozenset(spec.id for spec, row, _ in self._scorers if row.across)

    def submit_together(self, trial: int, images: Sequence[tuple[int, Image.Image, str, ImageContext]]) -> None:
        """Queue all images of one payload of a trial for the scorers that compare them; `submit` leaves those out.

        Args:
            trial: Number of its trial.
            images: Index in the trial, image, prompt and context of each, in order of the index. Not to be changed.

        Raises:
            RunError: The worker is closed.
        """
        together = [_Work(trial, *image) for image in images]
        self._put(lambda: self._score(together, across=True))

    def drain(self, timeout: float | None = None) -> bool:
        """Wait until all that was submitted is scored or has failed; False if `timeout` seconds pass before."""
        end = None if timeout is None else time.monotonic() + timeout
        with self._idle:
            while self._pending:
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._idle.wait(left)
        return True

    def unload(self) -> None:
        """Free the scorers' memory once what is queued is done; the next image loads them again."""
        self._put(self._unload_all)

    def close(self) -> None:
        """Drop what is queued, finish the image in work (a download just ends), unload, end the thread. Idempotent."""
        with self._idle:
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._queue.put(None)
            if thread is not threading.current_thread():
                thread.join()

    def _put(self, item: _Work | Callable[[], None]) -> None:
        with self._idle:
            if self._closed:
                raise RunError("The run's scorers are already closed; start or resume the run first.")
            self._pending += 1
            self._queue.put(item)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="optim-scoring", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while (item := self._take()) is not None:
            together = self._with_siblings(item) if isinstance(item, _Work) else []
            try:
                if self._closed:
                    continue
                if isinstance(item, _Work):
                    self._score(together)
                else:
                    item()
            except Exception:  # noqa: BLE001 (a callback's bug must not end the thread)
                _log.exception("The scoring thread met an error that no scorer raised.")
            finally:
                with self._idle:
                    self._pending -= max(1, len(together))
                    self._idle.notify_all()
        self._unload_all()
        with self._idle:
            while not self._queue.empty():
                self._queue.get()
            self._pending = 0
            self._idle.notify_all()

    def _take(self) -> _Work | Callable[[], None] | None:
        if self._next is not None:
            item, self._next = self._next, None
            return item
        return self._queue.get()

    def _with_siblings(self, first: _Work) -> list[_Work]:
        """Return `first` and what waits right behind it of the same trial and payload, as far as anybody wants it."""
        alone = [(spec, row) for spec, row, _ in self._scorers if not row.across]
        most = max((batch_size(row, self._device(spec, row)) for spec, row in alone), default=1)
        together = [first]
        while len(together) < most and not self._queue.empty():
            item = self._queue.get()
            if item is None:
                self._queue.put(None)  # closed: nothing comes after it
                break
            if not isinstance(item, _Work) or item.group != first.group:
                self._next = item
                break
            together.append(item)
        return together

    def _score(self, together: list[_Work], across: bool = False) -> None:
        trial = together[0].trial
        for spec, row, scorer in self._scorers:
            if row.across != across or not spec.judges(together[0].context.payload):
                continue
            for work in _in_groups(together, len(together) if across else batch_size(row, self._device(spec, row))):
                if self._closed or trial in self._failed:
                    return
                try:
                    scores = self._raw(spec, row, scorer, work)
                    for one, doubt in zip(work, doubts_of(scorer), strict=False):  # first: the score is acted upon
                        self._on_score(trial, one.index, doubt_key(spec.id), doubt)
                    for one, raw in zip(work, scores, strict=True):
                        self._on_score(trial, one.index, spec.id, raw)
                except ScorerError as error:
                    self._fail(trial, error)
                except Exception as error:  # noqa: BLE001 (whatever a scorer raises fails its trial only)
                    _log.exception("Scorer %s failed on %s of trial %d.", spec.id, work[0].context, trial)
                    reason = " ".join(str(error).split()) or type(error).__name__
                    self._fail(trial, ScorerError(f"The scorer {spec.id} failed on {_names(work)}: {reason}."))

    def _raw(self, spec: ScorerSpec, row: ScorerRow, scorer: Scorer, work: list[_Work]) -> list[float]:
        try:
            raw = self._ask(spec, row, scorer, work)
        except Exception as error:
            if self._device(spec, row) == "cpu" or not out_of_memory(error):
                raise
            raw = None
        if raw is None:  # out here, where the error and the tensors that it holds are gone
            self._move_to_cpu(spec, row, scorer)
            raw = self._ask(spec, row, scorer, work)
        if len(raw) != len(work):
            count = "one" if len(work) == 1 else str(len(work))
            raise ScorerError(f"The scorer {spec.id} gave {len(raw)} scores for {_names(work)} instead of {count}.")
        for one, value in zip(work, raw, strict=True):
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ScorerError(f"The scorer {spec.id} gave {value} for {one.context}, which is no score.")
        return [float(value) for value in raw]

    def _ask(self, spec: ScorerSpec, row: ScorerRow, scorer: Scorer, work: list[_Work]) -> list[float]:
        if spec.id not in self._loaded:
            device = self._device(spec, row)
            scorer.load(device, self._report)
            self._loaded[spec.id] = device
        return scorer.score([w.image for w in work], [w.prompt for w in work], [w.context for w in work])

    def _device(self, spec: ScorerSpec, row: ScorerRow) -> str:
        if spec.id in self._crowded:
            return "cpu"
        return self._loaded.get(spec.id) or chosen_device(spec, row)

    def _move_to_cpu(self, spec: ScorerSpec, row: ScorerRow, scorer: Scorer) -> None:
        device = self._device(spec, row)
        self._loaded.pop(spec.id, None)
        scorer.unload()
        free(device)
        self._crowded.add(spec.id)
        sentence = f"{row.title} found no room in the memory of {device}; it goes on on the CPU, which is slower."
        _log.warning(sentence)
        self._report(sentence)

    def _report(self, sentence: str) -> None:
        if self._closed:
            raise ScorerError("The run was closed while a scorer was loading.")
        if self._on_progress is not None:
            self._on_progress(sentence)

    def _fail(self, trial: int, error: ScorerError) -> None:
        self._failed.add(trial)
        if not self._closed:
            self._on_error(trial, error)

    def _unload_all(self) -> None:
        self._crowded.clear()
        for spec, _, scorer in self._scorers:
            self._loaded.pop(spec.id, None)
            try:
                scorer.unload()
            except Exception:  # noqa: BLE001 (the other scorers must be unloaded too)
                _log.exception("Scorer %s did not unload.", spec.id)


def _in_groups(work: list[_Work], size: int) -> list[list[_Work]]:
    return [work[start : start + size] for start in range(0, len(work), size)]


def _names(work: list[_Work]) -> str:
    return str(work[0].context) + (f" or the {len(work) - 1} after it" if len(work) > 1 else "")
