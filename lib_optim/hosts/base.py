"""What Optim needs of a program that holds a model and makes images.

Life cycle, as the run manager uses it (one worker thread; every other thread only calls what is marked *any
thread*)::

    before = host.state()
    with host.exclusive():                          # the host's own queue lock
        host.load(base)
        session = host.open_session(base, components)   # no write yet
    for each trial:
        with host.exclusive(), session.live_weights() as live:
            live.write(key, tensor) …               # checkpoint keys, in any order
            host.generate(job, stamp) …
            # while nobody else waits for the host, the next trial may write over this one
        # leaving live_weights() has put the originals back, verified, and dropped stale caches
    with host.exclusive():
        session.close(); host.restore(before)

`exclusive` is never held while waiting for a human, for a scorer that takes its time, or for a pause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from lib_optim.plan.payload import ImageJob
from lib_optim.plan.settings import SettingValue

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = [
    "Checkpoint",
    "GeneratedImage",
    "GenerationProgress",
    "Host",
    "HostCapabilities",
    "HostPaths",
    "HostScript",
    "HostState",
    "LiveWeights",
    "MergeSession",
]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that the host lists.

    Attributes:
        title: The host's name for it, as its dropdown shows it.
        path: The file, absolute.
        sha256: Lower-case hex if the host already knows it, else empty.
    """

    title: str
    path: Path
    sha256: str = ""


@dataclass(frozen=True)
class HostPaths:
    """Where things are.

    Attributes:
        outputs: Parent of run folders.
        models: Where the host looks for checkpoints; a file put there is listed after a refresh.
        data: Our own caches.
        loras: Where the host looks for LoRAs, or None where it has none.
        vaes: Where VAE files lie, or None.
        methods: The user's own merge methods, or None for their place in `data`.
        scorers: The user's own scorers; likewise.
    """

    outputs: Path
    models: Path
    data: Path
    loras: Path | None = None
    vaes: Path | None = None
    methods: Path | None = None
    scorers: Path | None = None


@dataclass(frozen=True)
class HostScript:
    """A script of the host that can work on images beside its own.

    Attributes:
        name: As the host's API calls it.
        arguments: What each of its arguments is called, and its value where nothing is said; None where that is no
            plain JSON.
    """

    name: str
    arguments: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class HostCapabilities:
    """What the host can do.

    Attributes:
        architectures: Ids of ``plan.architectures`` whose live weights this host can write.
        payload_fields: Names of payload fields it honours; using another is refused by name.
        samplers: Names for `Payload.sampler_name`, the default first.
        schedulers: Names for `Payload.scheduler`, the default first; empty if it has none.
        loras: Whether ``<lora:…>`` in a prompt works.
        text_encoder: Whether text encoders can be written.
        vae: Whether the VAE can be written.
        styles: Names for `Payload.styles`.
        upscalers: Names for `Payload.hr_upscaler`, the default first.
        scripts: What `Payload.alwayson_scripts` may name.
        own_settings: Whether `Host.change_settings` works; else the host has a page of its own for them.
    """

    architectures: tuple[str, ...]
    payload_fields: frozenset[str]
    samplers: tuple[str, ...]
    schedulers: tuple[str, ...]
    loras: bool
    text_encoder: bool = True
    vae: bool = True
    styles: tuple[str, ...] = ()
    upscalers: tuple[str, ...] = ()
    scripts: tuple[HostScript, ...] = ()
    own_settings: bool = False


@dataclass(frozen=True)
class HostState:
    """What the user has selected and loaded, enough for `Host.restore`. `details` is the adapter's own."""

    checkpoint: str | None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class GenerationProgress:
    """Where the image now being generated stands. `preview` is a JPEG or PNG, or None."""

    step: int
    steps: int
    preview: bytes | None = None


@dataclass(frozen=True)
class GeneratedImage:
    """One finished image (mode RGB) and its infotext, which names trial and recipe (see `Host.generate`)."""

    image: Image.Image
    infotext: str


class LiveWeights(Protocol):
    """Writable weights of the loaded model, addressed by checkpoint keys. Valid inside its context only."""

    def keys(self) -> Iterable[str]:
        """Return the checkpoint keys that have live counterparts, of the session's components."""

    def shape_of(self, key: str) -> tuple[int, ...]:
        """Return the shape that `write` expects for `key` (the checkpoint's own)."""

    def dtype_of(self, key: str) -> torch.dtype:
        """Return the dtype in which the host stores `key`."""

    def device_of(self, key: str) -> torch.device:
        """Return the device on which the host stores `key`."""

    def write(self, key: str, tensor: torch.Tensor) -> None:
        """Copy `tensor` into the live tensor(s) of `key`, casting dtype and device.

        Raises:
            MergeError: Unknown key, wrong shape, or non-finite values (also after the cast); nothing written.
        """

    def place(self, key: str) -> torch.Tensor | None:
        """Return the live memory of `key` in checkpoint layout, to be filled at once; None if there is no such memory.

        It is contiguous. Counts as written. The caller sees to it that what it fills in is finite.
        """

    def guard(self) -> AbstractContextManager[object]:
        """Return the context in which a thread may fill what `place` gave."""

    def is_original(self, key: str) -> bool:
        """Tell whether `key` is known to hold what the base's file holds, cast to the live dtype."""

    def read(self, key: str) -> torch.Tensor:
        """Return a copy of the live value of `key`, in checkpoint layout and the live dtype."""

    def digests(self) -> dict[str, int]:
        """Return one digest per key written in this context, computed from the live tensors now."""


class MergeSession(Protocol):
    """One run's hold on the host's model: knows the originals, and how keys map to live tensors.

    Originals are captured when first needed and belong to the session: from the base's file where the live
    tensor equals the file cast to the live dtype (checked bit for bit), else a copy in RAM.
    """

    def keys(self) -> tuple[str, ...]:
        """Return all checkpoint keys of the session's components with a live counterpart."""

    def unmapped(self) -> tuple[str, ...]:
        """Return keys of the base's file in the session's components that have no live counterpart."""

    def copied_bytes(self) -> int:
        """Return how many bytes of originals are held as copies in RAM."""

    def live_weights(self) -> AbstractContextManager[LiveWeights]:
        """Open the live weights for one trial. Call under `Host.exclusive`.

        On entry: finds the model afresh; un-bakes LoRAs; checks that a sample of tensors still has the
        original bits. On exit, however it is left: writes the originals back to every key written, checks
        them by digest, and drops the caches that depend on weights (prompt conditioning, …). Also after
        text-encoder writes the next `Host.generate` must see them.

        Raises:
            HostChanged: The model is not the one the session was opened on, on entry or on exit. Nothing
                is written to a foreign model.
        """

    def chosen(self) -> bool:
        """Tell whether the session's base is still what the user has chosen in the host. Changes nothing."""

    def check(self, thorough: bool = False) -> None:
        """Raise `HostChanged` if the live weights or the selection are not what they should be right now.

        Inside `live_weights`: same model object, nothing reloaded. Outside: also original bits, of a sample of
        the tensors or (`thorough`) of all. Call under `Host.exclusive`.
        """

    def close(self) -> None:
        """Let go of originals and files. Idempotent."""


class Host(Protocol):
    """A program that holds a model and makes images."""

    id: str
    title: str
    version: str
    delivery: Literal["in_process", "by_file"]

    def capabilities(self) -> HostCapabilities:
        """Return what it can do. Any thread."""

    def paths(self) -> HostPaths:
        """Return where things are. Any thread."""

    def settings(self) -> Mapping[str, SettingValue]:
        """Return a value for every row of ``plan.settings.SETTINGS``. Any thread."""

    def change_settings(self, values: Mapping[str, object]) -> None:
        """Change some of the settings. Any thread.

        Raises:
            PlanError: Unknown or impossible ones.
            HostError: The host keeps them itself (`HostCapabilities.own_settings`), or they cannot be kept.
        """

    def checkpoints(self, refresh: bool = False) -> tuple[Checkpoint, ...]:
        """Return what can be chosen, in the host's order; `refresh` looks at the folders again. Any thread."""

    def state(self) -> HostState:
        """Return what is selected and loaded now, without loading anything. Any thread."""

    def exclusive(self, give_up: Callable[[], bool] | None = None) -> AbstractContextManager[None]:
        """Hold the host's queue lock.

        Args:
            give_up: Asked about every quarter second while waiting; True ends the wait.

        Raises:
            RunError: `give_up` said so; the lock is not held.
        """

    def others_waiting(self) -> bool:
        """Tell whether somebody else waits for `exclusive`. Any thread."""

    def load(self, checkpoint: Checkpoint) -> None:
        """Make `checkpoint` the loaded model through the host's own loader. Call under `exclusive`.

        Raises:
            HostError: It did not load; what was loaded before may have to be put back with `restore`.
        """

    def restore(self, state: HostState) -> None:
        """Bring back the checkpoint, VAE and modules of `state`. Call under `exclusive`. Idempotent."""

    def open_session(self, base: Checkpoint, components: frozenset[str]) -> MergeSession:
        """Open a merge session on the loaded `base` for `components` (``unet``, ``text_encoder``, ``vae``).

        Call under `exclusive`, after `load(base)`. Writes nothing.

        Raises:
            HostError: The model cannot be merged into (quantised storage, a VAE override while ``vae`` is
                asked for, hypernetworks, …), one sentence.
        """

    def job(self, title: str) -> AbstractContextManager[None]:
        """Announce work in the host's own progress bar, and clear its sticky flags. Call under `exclusive`."""

    def generate(self, job: ImageJob, stamp: Mapping[str, str]) -> GeneratedImage:
        """Make one image with the live weights as they are. Call under `exclusive`, inside `job`.

        Args:
            job: What to generate.
            stamp: Goes into the infotext, e.g. ``{"Optim trial": "run 12", "Optim recipe": "1f3a…"}``.

        Raises:
            Interrupted: Stopped or skipped; a partial image is never returned.
            HostChanged: The host would generate with another model.
            HostError: Generation failed.
        """

    def interrupt(self) -> None:
        """End the image now being generated, if any, as soon as possible. Any thread."""

    def stop_requested(self) -> bool:
        """Tell whether the user pressed the host's own Interrupt since `job` began, or for it. Any thread."""

    def skip_requested(self) -> bool:
        """Tell whether the user's own Skip in the host is why the last `generate` raised `Interrupted`. Any thread."""

    def progress(self) -> GenerationProgress | None:
        """Return where the image now being generated stands, or None. Any thread."""

    def report(self, text: str, done: int, total: int, left: float | None = None) -> None:
        """Show `text`, `done` of `total` images and `left` seconds in the host's own progress display. Any thread."""

    def merge_device(self) -> str:
        """Return where merges belong: ``cpu``, or the device (``cuda:0``) where the model stays. Any thread."""

    def spare_memory(self) -> int:
        """Return how many bytes of `merge_device`'s memory images will not need; 0 for the CPU.

        Call under `exclusive`, after at least one image was made: before that nobody knows.
        """

    def trim_memory(self) -> None:
        """Give accelerator memory that nobody uses any more back to the driver. Call under `exclusive`."""

    def free_memory(self) -> None:
        """Give accelerator memory back to a scorer, if the host can. Call under `exclusive`."""
