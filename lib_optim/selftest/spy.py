"""A host that passes everything on to the real one and notes what the run manager does with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.hosts.base import Checkpoint, GeneratedImage, Host, HostPaths, LiveWeights, MergeSession
from lib_optim.plan.payload import ImageJob

if TYPE_CHECKING:
    import torch

__all__ = ["MadeImage", "SpyHost"]


@dataclass(frozen=True)
class MadeImage:
    """An image that the host handed to the run: hash of its pixels, and what it was stamped with."""

    pixels: str
    stamp: Mapping[str, str]


class SpyHost:
    """Implements ``hosts.base.Host`` by passing it on.

    Args:
        host: The real one.
        folder: Run folders and caches go here.

    Attributes:
        loose: What was called without holding the lock: ``write key``, ``generate``, ….
        writes: Number of tensors written.
        images: What `generate` returned.
        swapped: Whether the merge is in place now.
        before_image: Called before each image with its number, from 0; may raise, or act as others.
        before_job: Called before each job with its number, from 0: after the lock was taken, before flags are cleared.
        before_write: Called before each write with its number, from 0.
        change_image: Applied to each image on its way to the run.
    """

    def __init__(self, host: Host, folder: Path) -> None:
        self._host, self._folder = host, folder
        self._holder: int | None = None
        self.loose: list[str] = []
        self.writes = 0
        self.images: list[MadeImage] = []
        self.swapped = False
        self.before_image: Callable[[int], None] = lambda number: None
        self.before_job: Callable[[int], None] = lambda number: None
        self.before_write: Callable[[int], None] = lambda number: None
        self.change_image: Callable[[GeneratedImage], GeneratedImage] = lambda image: image
        self._asked = self._jobs = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def paths(self) -> HostPaths:
        """The real host's paths, with our own folder for what a run leaves behind."""
        paths = self._host.paths()
        for folder in ("outputs", "data", "models"):
            (self._folder / folder).mkdir(exist_ok=True)
        return replace(
            paths, outputs=self._folder / "outputs", data=self._folder / "data", models=self._folder / "models"
        )

    @contextmanager
    def exclusive(self, give_up: Callable[[], bool] | None = None) -> Iterator[None]:
        """Hold the lock, and remember who does."""
        with self._host.exclusive(give_up):
            self._holder = threading.get_ident()
            try:
                yield
            finally:
                self._holder = None

    def held(self, what: str) -> None:
        """Note `what` if this thread does not hold the lock."""
        if self._holder != threading.get_ident():
            self.loose.append(what)

    def open_session(self, base: Checkpoint, components: frozenset[str]) -> MergeSession:
        """Open the real session, spied upon."""
        self.held("open_session")
        return _SpySession(self, self._host.open_session(base, components))  # type: ignore[return-value]

    @contextmanager
    def job(self, title: str) -> Iterator[None]:
        """Begin a job."""
        self.held("job")
        number, self._jobs = self._jobs, self._jobs + 1
        self.before_job(number)
        with self._host.job(title):
            yield

    def load(self, checkpoint: Checkpoint) -> None:
        """Load."""
        self.held("load")
        self._host.load(checkpoint)

    def restore(self, state: Any) -> None:
        """Restore."""
        self.held("restore")
        self._host.restore(state)

    def generate(self, job: ImageJob, stamp: Mapping[str, str]) -> GeneratedImage:
        """Generate, and note what came of it."""
        import hashlib

        self.held("generate")
        number, self._asked = self._asked, self._asked + 1
        self.before_image(number)
        image = self._host.generate(job, stamp)
        digest = hashlib.sha256(image.image.convert("RGB").tobytes()).hexdigest()[:12]
        self.images.append(MadeImage(digest, dict(stamp)))
        return self.change_image(image)


class _SpySession:
    def __init__(self, spy: SpyHost, session: MergeSession) -> None:
        self._spy, self._session = spy, session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    @contextmanager
    def live_weights(self) -> Iterator[_SpyLive]:
        self._spy.held("live_weights")
        with self._session.live_weights() as live:
            self._spy.swapped = True
            try:
                yield _SpyLive(self._spy, live)
            finally:
                self._spy.held("restoring")
        self._spy.swapped = False


class _SpyLive:
    def __init__(self, spy: SpyHost, live: LiveWeights) -> None:
        self._spy, self._live = spy, live

    def __getattr__(self, name: str) -> Any:
        return getattr(self._live, name)

    def write(self, key: str, tensor: torch.Tensor) -> None:
        self._note(key)
        self._live.write(key, tensor)

    def place(self, key: str) -> torch.Tensor | None:
        place = self._live.place(key)
        if place is not None:
            self._note(key)
        return place

    def guard(self) -> AbstractContextManager[object]:
        return self._live.guard()

    def is_original(self, key: str) -> bool:
        return self._live.is_original(key)

    def keys(self) -> Iterable[str]:
        return self._live.keys()

    def digests(self) -> Mapping[str, int]:
        return self._live.digests()

    def _note(self, key: str) -> None:
        self._spy.held(f"write {key}")
        self._spy.before_write(self._spy.writes)
        self._spy.writes += 1
