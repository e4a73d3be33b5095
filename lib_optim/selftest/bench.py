"""What a check has at hand besides the host itself: a variant of the loaded checkpoint, and a LoRA for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from lib_optim.hosts.base import Checkpoint, Host
from lib_optim.hosts.probe import HostProbe
from lib_optim.plan.payload import ImageJob
from lib_optim.selftest.background import Failed
from lib_optim.selftest.files import PREFIX, lora_layers, remove_leftovers, write_checkpoint, write_lora
from lib_optim.selftest.pixels import Picture, distance
from lib_optim.selftest.stage import PROMPT, Stage

__all__ = ["Bench", "Failed", "Skipped"]

T = TypeVar("T")

_SPARE_BYTES = 512_000_000


class Skipped(Exception):
    """The check cannot be run here; ``str(error)`` is why."""


class Bench(Stage):
    """A `Stage` with files. Everything is made at first use and removed by `clean_up`.

    Attributes:
        disk: ``plain``, ``long`` and, if there are LoRAs, ``lora``: images after the host loaded the variant from
            disk. Filled by `variant`.
        disk_weights: Digest of every live tensor then, as far as the host shows them.
    """

    def __init__(self, host: Host, probe: HostProbe, base: Checkpoint, folder: Path) -> None:
        super().__init__(host, probe, base, folder)
        self.disk: dict[str, Picture] = {}
        self.disk_weights: dict[str, int] = {}
        self._made: list[Path] = []
        self._kept: dict[str, object] = {}

    def keep(self, name: str, make: Callable[[], T]) -> T:
        """Return what `make` returned, or raise the `Skipped` that it raised, at the first call of this name."""
        if name not in self._kept:
            try:
                self._kept[name] = make()
            except Skipped as why:
                self._kept[name] = why
        kept = self._kept[name]
        if isinstance(kept, Skipped):
            raise kept
        return kept  # type: ignore[return-value]

    def variant(self) -> Checkpoint:
        """Return the variant as a checkpoint that the host lists; fills `disk`.

        Raises:
            Skipped: The disk is too full, or the host does not list the file.
        """

        def make() -> Checkpoint:
            made = self.checkpoint("variant", 1.0)
            self.disk, self.disk_weights = self.from_disk(made)
            return made

        return self.keep("variant", make)

    def checkpoint(self, name: str, alpha: float) -> Checkpoint:
        """Write the blend at `alpha` as a checkpoint file that the host lists.

        Raises:
            Skipped: See `variant`.
        """
        path = self.host.paths().models / f"{PREFIX}{name}.safetensors"
        free = shutil.disk_usage(path.parent).free
        if free < self.header.file_bytes + _SPARE_BYTES:
            raise Skipped(
                f"{self.header.file_bytes / 1e9:.1f} GB are needed beside the models and {free / 1e9:.1f} GB are free"
            )
        self.add_file(path)
        try:
            write_checkpoint(path, self.header, lambda key: self.blend(key, alpha))
        except OSError as error:
            raise Skipped(f"no file can be written into the models folder ({error.strerror})") from error
        found = next((c for c in self.host.checkpoints(refresh=True) if c.path.name == path.name), None)
        if found is None:
            raise Skipped("the host does not list a checkpoint put into its models folder")
        return found

    def from_disk(self, checkpoint: Checkpoint) -> tuple[dict[str, Picture], dict[str, int]]:
        """Return images and weights of the host after loading `checkpoint`; then it loads the base again."""
        jobs = {"plain": self.plain, "long": self.long}
        with suppress(Skipped):
            jobs["lora"] = self.lora_job()
        with self.exclusive():
            try:
                self.load(checkpoint)
                images = {name: self.image(job) for name, job in jobs.items()}
                return images, self.live_digests()
            finally:
                self.load(self.base)

    def lora_job(self) -> ImageJob:
        """Return `plain` with the self-test's LoRA; fills ``before["lora"]``.

        Raises:
            Skipped: The host has no LoRAs, or does not apply this one even when nothing was merged.
        """

        def make() -> ImageJob:
            folder = self.host.paths().loras
            if not self.capabilities.loras or folder is None:
                raise Skipped("this host has no LoRAs")
            layers = lora_layers(self.header, self.architecture)
            if not layers:
                raise Skipped("the self-test makes LoRAs for the layouts of SD1 and SDXL only")
            try:
                folder.mkdir(parents=True, exist_ok=True)
                write_lora(self.add_file(folder / f"{PREFIX}lora.safetensors"), layers)
            except OSError as error:
                raise Skipped(f"no file can be written into the LoRA folder ({error.strerror})") from error
            job = self.job(f"{PROMPT} <lora:{PREFIX}lora:1>")
            self.before["lora"] = self.fresh_image(job)
            self.fresh_image(self.plain)
            if distance(self.before["lora"], self.before["plain"]) <= 3 * self.floor:
                raise Skipped("the host did not apply the LoRA that the self-test made")
            return job

        return self.keep("lora", make)

    def add_file(self, path: Path) -> Path:
        """Have `path`, and a ``.yaml`` beside it, removed at the end."""
        self._made += [path, path.with_suffix(".yaml")]
        return path

    def remove(self, checkpoint: Checkpoint) -> None:
        """Remove a checkpoint file that the self-test made."""
        for path in (checkpoint.path, checkpoint.path.with_suffix(".yaml")):
            path.unlink(missing_ok=True)
        self.host.checkpoints(refresh=True)

    def clean_up(self) -> None:
        """Remove every file that was made, and what an earlier, killed self-test left behind."""
        folders = {path.parent for path in self._made} | {self.host.paths().models}
        loras = self.host.paths().loras
        for folder in folders | ({loras} if loras else set()):
            remove_leftovers(folder)
        self.host.checkpoints(refresh=True)
