"""What a check does to the host: take the lock, open a session, write a blend, generate, act as others do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lib_optim.hosts.base import Checkpoint, GenerationProgress, Host, HostState, LiveWeights, MergeSession
from lib_optim.hosts.probe import HostProbe, Unavailable
from lib_optim.plan.architectures import architecture_of
from lib_optim.plan.errors import Interrupted, OptimError
from lib_optim.plan.header import read_header
from lib_optim.plan.payload import ImageJob, Payload
from lib_optim.selftest.background import PATIENCE, Background, Failed
from lib_optim.selftest.files import FLOATING, blended, varied
from lib_optim.selftest.pixels import Comparison, Picture, distance, fingerprint, picture

if TYPE_CHECKING:
    import torch

__all__ = ["PROMPT", "Stage"]

T = TypeVar("T")

PROMPT = "a photo of a cat on a mat"
_REAL_BYTES = 1_500_000_000
_LONG_SECONDS = 1.2


class Stage(Comparison):
    """One self-test's hold on a host. Used by one thread, which is never the host's main thread.

    Args:
        host: The host.
        probe: What others can do to it.
        base: The loaded checkpoint, a ``.safetensors`` file.
        folder: A temporary folder for what the host need not list.

    Attributes:
        before: ``plain``, ``long`` (a prompt of several chunks), ``lora`` and ``client`` (made for another client):
            images of the untouched host, as far as it can make them.
        long_steps: Steps of an image that takes long enough to be interrupted.
        state: The host's account of itself before anything was done.
    """

    def __init__(self, host: Host, probe: HostProbe, base: Checkpoint, folder: Path) -> None:
        self.host, self.probe, self.base, self.folder = host, probe, base, folder
        self.header = read_header(base.path)
        self.architecture = architecture_of(self.header)
        self.capabilities = host.capabilities()
        able = {"unet": True, "text_encoder": self.capabilities.text_encoder}
        self.components = frozenset(c for c, can in able.items() if can and c in self.architecture.components)
        real = self.header.file_bytes > _REAL_BYTES and _has_gpu()
        self.size, self.steps = (512, 6) if real else (64, 2)
        self.plain = self.job()
        self.long = self.job(prompt=", ".join([PROMPT] * 12))
        self.long_steps = 30
        self.before: dict[str, Picture] = {}
        self.state: HostState | None = None
        self._unsettled = False
        self._settled = 0
        self._file: object = None

    def look(self) -> None:
        """Note how the untouched host is: state and images. The base must be loaded."""
        self.state = self.host.state()
        self.before["plain"] = self.fresh_image(self.plain)
        started = time.monotonic()
        self.floor = max(distance(self.fresh_image(self.plain), self.before["plain"]) for _ in range(2))
        per_step = (time.monotonic() - started) / (2 * self.steps)
        self.long_steps = min(max(int(_LONG_SECONDS / per_step), 20), 150)
        self.before["long"] = self.fresh_image(self.long)
        with suppress(Unavailable):
            self.before["client"] = self.client_image(self.plain)

    # --- what to generate -------------------------------------------------------------------------------------

    def job(self, prompt: str = PROMPT, steps: int | None = None, seed: int = 1) -> ImageJob:
        """Return one small image to generate."""
        payload = Payload("self-test", prompt, "blurry", seed, steps or self.steps, width=self.size, height=self.size)
        return ImageJob(0, payload, seed, 0)

    # --- as Optim ---------------------------------------------------------------------------------------------

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the host's lock.

        Raises:
            RunError: It was not to be had in `PATIENCE` seconds.
        """
        until = time.monotonic() + PATIENCE
        with self.host.exclusive(lambda: time.monotonic() > until):
            yield

    @contextmanager
    def session(self, components: Iterable[str] | None = None) -> Iterator[MergeSession]:
        """Open a merge session on the base, and close it, each under the lock; the lock is free in between."""
        with self.exclusive():
            opened = self.host.open_session(self.base, frozenset(components or self.components))
        try:
            yield opened
        finally:
            with self.exclusive():
                opened.close()

    def image(self, job: ImageJob, stamp: Mapping[str, str] | None = None) -> Picture:
        """Generate one image. Under `exclusive`."""
        self._unsettled |= "<lora:" in job.payload.prompt
        with self.host.job("Optim self-test"):
            made = self.host.generate(job, stamp or {})
        if made is None:
            raise Failed("the host returned nothing instead of an image or an error")
        return picture(made)

    def fresh_image(self, job: ImageJob) -> Picture:
        """Generate one image with nothing merged, taking the lock for it."""
        with self.exclusive():
            return self.image(job)

    def write(self, live: LiveWeights, alpha: float, keys: Iterable[str] | None = None) -> None:
        """Write the blend of base and variant to `keys`, by default to all; every second in place, as a merger does."""
        for number, key in enumerate(live.keys() if keys is None else keys):
            if self.header.tensors[key].dtype not in FLOATING:
                continue
            blend = self.blend(key, alpha)
            place = live.place(key) if number % 2 else None
            if place is None:
                live.write(key, blend)
            else:
                with live.guard():
                    place.copy_(blend)

    def trial(
        self, session: MergeSession, alpha: float, jobs: Iterable[ImageJob], keys: Iterable[str] | None = None
    ) -> list[Picture]:
        """Write a blend, generate `jobs`, restore: what the run manager does for one trial."""
        with self.exclusive(), session.live_weights() as live:
            self.write(live, alpha, keys)
            return [self.image(job) for job in jobs]

    def weights(self) -> dict[str, int]:
        """Return a digest of every live tensor, after an image if need be. Takes the lock.

        That takes out LoRAs, and lets Forge finish a load (it changes the type of embeddings at the first prompt).

        Raises:
            Unavailable: The host does not show them.
        """
        with self.exclusive():
            self._settle()
            return fingerprint(self.probe.live_tensors())

    def _settle(self) -> None:
        """Have every part run once without a LoRA; a prompt that was seen before might come out of a cache."""
        if self._unsettled:
            self._settled += 1
            self.image(self.job(f"{PROMPT}, {self._settled}"))
            self._unsettled = False

    def live_digests(self) -> dict[str, int]:
        """Return what `weights` would, with the lock held already; empty where the host does not show its tensors."""
        try:
            self._settle()
            return fingerprint(self.probe.live_tensors())
        except Unavailable:
            return {}

    def interrupted_image(self, press: Callable[[], None] | None = None) -> None:
        """Begin a long image and interrupt it (or `press` a button) once it is under way. Under `exclusive`.

        Raises:
            Failed: An image came back all the same, or the host never showed a step.
        """
        with self.when_generating(press or self.host.interrupt) as seen:
            try:
                self.image(self.job(steps=self.long_steps))
            except Interrupted:
                return
        at = f"at step {seen[-1].step} of {seen[-1].steps}" if seen else "never, as no step was shown"
        raise Failed(f"an image came back although it was interrupted {at}")

    @contextmanager
    def when_generating(self, act: Callable[[], object]) -> Iterator[list[GenerationProgress]]:
        """Call `act` once, from another thread, as soon as an image is under way; yield where it stood then."""
        over, seen = threading.Event(), list[GenerationProgress]()

        def watch() -> None:
            while not over.is_set():
                now = self.host.progress()
                if now is not None and now.step >= 1:
                    seen.append(now)
                    act()
                    return
                time.sleep(0.0005)

        watching = self.in_thread(watch)
        try:
            yield seen
        finally:
            over.set()
            watching.result("watching an image")

    # --- as others --------------------------------------------------------------------------------------------

    def client_image(self, job: ImageJob) -> Picture:
        """Generate one image as another client of the host. Not under `exclusive`.

        Raises:
            Unavailable: The host has no other clients.
        """
        self._unsettled |= "<lora:" in job.payload.prompt
        return picture(self.probe.request(job))

    def in_thread(self, call: Callable[[], T]) -> Background[T]:
        """Start `call` on a thread of its own."""
        return Background(call)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until `condition` holds.

        Raises:
            Failed: It does not, in `PATIENCE` seconds.
        """
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise Failed(f"{what} did not happen in {PATIENCE:.0f} s")
            time.sleep(0.005)

    def load(self, checkpoint: Checkpoint) -> None:
        """Have Optim load `checkpoint`. Under `exclusive`."""
        self._unsettled = True
        self.host.load(checkpoint)
        self.probe.as_started()

    def new_model(self) -> None:
        """Have the host load its model anew from disk. Under `exclusive`."""
        self._unsettled = True
        self.probe.new_model()
        self.probe.as_started()

    def unsettle(self) -> None:
        """Say that the host has loaded something by itself (see `weights`)."""
        self._unsettled = True

    def back_to_base(self) -> None:
        """Put the host's first selection back. Takes the lock."""
        with self.exclusive():
            assert self.state is not None
            self.host.restore(self.state)
            self.load(self.base)

    def problem(self, wanted: Mapping[str, int] | None) -> str:
        """Return how the host differs from what it was, in a sentence; empty if it does not.

        Args:
            wanted: Its weights then, or None where it does not show them.
        """
        try:
            if self.host.state().checkpoint != (self.state.checkpoint if self.state else None):
                return "another checkpoint is loaded than before"
            if wanted is not None:
                self.unchanged(self.weights(), dict(wanted), "The model was left changed")
            else:
                self.same(self.fresh_image(self.plain), self.before["plain"], "The model was left changed")
        except (Failed, OptimError) as error:
            return str(error)
        return ""

    # --- tensors ----------------------------------------------------------------------------------------------

    def tensor(self, key: str) -> torch.Tensor:
        """Return the base's tensor from its file."""
        from safetensors import safe_open

        if self._file is None:
            self._file = safe_open(str(self.base.path), framework="pt").__enter__()
        tensor: torch.Tensor = self._file.get_tensor(key)  # type: ignore[attr-defined]
        return tensor

    def blend(self, key: str, alpha: float) -> torch.Tensor:
        """Return base (0) to variant (1) at `alpha` for `key`, in the file's dtype. The variant's VAE is the base's."""
        a = self.tensor(key)
        return blended(a, varied(a), alpha) if self.architecture.component_of(key) in self.components else a


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
