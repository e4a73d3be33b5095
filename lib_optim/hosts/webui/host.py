"""The part of `Host` that is the same in A1111, Forge and its relatives."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, TypeVar

from lib_optim.hosts.accelerator import spare_bytes
from lib_optim.hosts.base import (
    Checkpoint,
    GeneratedImage,
    GenerationProgress,
    HostCapabilities,
    HostPaths,
    HostState,
)
from lib_optim.hosts.init_images import init_picture
from lib_optim.hosts.live import TableSession
from lib_optim.hosts.webui import checkpoints, lists, payload, scripts
from lib_optim.hosts.webui.jobs import JobDesk
from lib_optim.hosts.webui.lock import QueueLock
from lib_optim.hosts.webui.options import kept
from lib_optim.hosts.webui.seeded import seeded
from lib_optim.hosts.webui.session import WebuiModel, WebuiSession
from lib_optim.hosts.webui.settings import folder_of, settings
from lib_optim.plan.architectures import Architecture, architecture_of
from lib_optim.plan.errors import HostChanged, HostError, Interrupted, OptimError
from lib_optim.plan.header import CheckpointHeader, read_header
from lib_optim.plan.payload import ImageJob
from lib_optim.plan.settings import SettingValue

__all__ = ["HASH_MARK", "MODEL_MARK", "WebuiHost"]

T = TypeVar("T")
HASH_MARK, MODEL_MARK = "optim-", " (Optim merge)"
"""What the infotext of a merge's picture says before the recipe and after the base's name."""


class WebuiHost(ABC):
    """Implements ``hosts.base.Host`` but for what a subclass must add. One per process."""

    id: str
    title: str
    version: str
    delivery: Literal["in_process", "by_file"] = "in_process"

    def __init__(self) -> None:
        self._lock = QueueLock()
        self._desk = JobDesk()
        self._live: WebuiSession | None = None

    @abstractmethod
    def state(self) -> HostState:
        """See ``Host.state``."""

    @abstractmethod
    def load(self, checkpoint: Checkpoint) -> None:
        """See ``Host.load``."""

    @abstractmethod
    def restore(self, state: HostState) -> None:
        """See ``Host.restore``."""

    @abstractmethod
    def merge_device(self) -> str:
        """See ``Host.merge_device``."""

    @abstractmethod
    def trim_memory(self) -> None:
        """See ``Host.trim_memory``."""

    @abstractmethod
    def free_memory(self) -> None:
        """See ``Host.free_memory``."""

    @abstractmethod
    def _session_parts(
        self, base: Checkpoint, header: CheckpointHeader, architecture: Architecture, components: frozenset[str]
    ) -> tuple[WebuiModel, TableSession]:
        """Check that the loaded model can be merged into and make the session's parts."""

    @abstractmethod
    def _pinned(self) -> AbstractContextManager[dict[str, Any]]:
        """Keep the loaded model loaded while an image is made; gives settings for the image.

        Raises:
            HostChanged: The WebUI would generate with another model.
        """

    @abstractmethod
    def _model(self) -> Any:
        """Return the loaded model object or None, without loading anything."""

    def _on_main_thread(self, call: Callable[[], T]) -> T:
        """Run `call` where the WebUI wants model work done; its errors come through."""
        return call()

    def no_scripts(self) -> Any:
        """Return what stands in ``p.scripts`` for no script at all."""
        return None

    def spare_memory(self) -> int:
        """See ``Host.spare_memory``."""
        self._lock.require("Asking for memory")
        return spare_bytes(self.merge_device())

    def capabilities(self) -> HostCapabilities:
        """See ``Host.capabilities``."""
        from modules import sd_samplers

        return HostCapabilities(
            architectures=("sd1", "sdxl"), payload_fields=payload.payload_fields(),
            samplers=tuple(sd_samplers.visible_sampler_names()), schedulers=_schedulers(), loras=True,
            styles=lists.styles(), upscalers=lists.upscalers(), scripts=scripts.script_rows(),
        )  # fmt: skip

    def paths(self) -> HostPaths:
        """See ``Host.paths``."""
        from modules import paths_internal, shared

        data = Path(paths_internal.data_path)
        outputs = folder_of("outputs", data) or data / paths_internal.default_output_dir / "optim"
        loras = getattr(shared.cmd_opts, "lora_dir", None)
        models = Path(paths_internal.models_path)
        return HostPaths(
            outputs, models / "Stable-diffusion", data / "cache" / "optim", Path(loras) if loras else None,
            models / "VAE", folder_of("methods", data), folder_of("scorers", data),
        )  # fmt: skip

    def settings(self) -> dict[str, SettingValue]:
        """See ``Host.settings``."""
        return settings()

    def change_settings(self, values: Mapping[str, object]) -> None:
        """See ``Host.change_settings``."""
        del values
        raise HostError("Optim's settings are among those of the WebUI: Settings, section Optim.")

    def checkpoints(self, refresh: bool = False) -> tuple[Checkpoint, ...]:
        """See ``Host.checkpoints``."""
        return checkpoints.checkpoints(refresh)

    def exclusive(self, give_up: Callable[[], bool] | None = None) -> AbstractContextManager[None]:
        """See ``Host.exclusive``."""
        return self._lock.hold(give_up)

    def others_waiting(self) -> bool:
        """See ``Host.others_waiting``."""
        return self._lock.others_waiting()

    def open_session(self, base: Checkpoint, components: frozenset[str]) -> WebuiSession:
        """See ``Host.open_session``."""
        self._lock.require("Opening a merge session")
        header = read_header(base.path)
        architecture = architecture_of(header)
        if architecture.id not in ("sd1", "sdxl"):
            raise HostError(f"{base.title} is {architecture.title}; Optim merges Stable Diffusion 1.x and XL here.")
        self._desk.listen()
        model, table = self._session_parts(base, header, architecture, components)
        mapped = {*table.keys(), *table.unmapped()}
        buffers = tuple(k for k in header.tensors if architecture.component_of(k) in components and k not in mapped)
        return WebuiSession(model, table, self._lock, self._begin_live, self._end_live, buffers)

    def job(self, title: str) -> AbstractContextManager[None]:
        """See ``Host.job``."""
        self._lock.require("Announcing a job")
        return self._desk.job(title)

    def generate(self, job: ImageJob, stamp: Mapping[str, str]) -> GeneratedImage:
        """See ``Host.generate``."""
        self._lock.require("Generating an image")
        self._desk.forget_skip()
        if self._desk.stop_requested():
            raise Interrupted("The WebUI's Interrupt button was pressed.")
        asked = job.payload
        picture = init_picture(self.paths().data, asked) if asked.init_image else None
        fields, overrides = payload.processing_fields(job, picture), payload.overrides_of(asked)
        live = self._live
        if live is not None:
            live.model.check_same()
            live.model.freshen()
        before = self._model()
        try:
            with self._desk.image(asked.steps):
                image, infotext, cut = self._process(fields, overrides, stamp, asked.alwayson_scripts)
        finally:
            if live is not None:
                live.model.generated()
        if live is not None:
            live.model.check_same()
        elif before is not None and self._model() is not before:
            raise HostChanged("The WebUI loaded another model while an image was made; it is discarded.")
        if cut or image is None:
            raise Interrupted("The image was interrupted or skipped.")
        return GeneratedImage(image.convert("RGB"), infotext)

    def interrupt(self) -> None:
        """See ``Host.interrupt``."""
        self._desk.interrupt()

    def stop_requested(self) -> bool:
        """See ``Host.stop_requested``."""
        return self._desk.stop_requested()

    def skip_requested(self) -> bool:
        """See ``Host.skip_requested``."""
        return self._desk.skip_requested()

    def progress(self) -> GenerationProgress | None:
        """See ``Host.progress``."""
        return self._desk.progress()

    def report(self, text: str, done: int, total: int, left: float | None = None) -> None:
        """See ``Host.report``."""
        self._desk.report(text, done, total, left)

    @property
    def task_id(self) -> str:
        """Id of the present job for the WebUI's own progress display (``requestProgress``), or empty."""
        return self._desk.task_id

    def _process(
        self,
        fields: Mapping[str, Any],
        overrides: Mapping[str, Any],
        stamp: Mapping[str, str],
        named: Mapping[str, Any],
    ) -> tuple[Any, str, bool]:
        with self._pinned() as pins:
            settings = {**overrides, **pins}
            with kept(settings), _no_prompt_history():
                return self._on_main_thread(lambda: self._one_image(fields, settings, stamp, named))

    def _one_image(
        self,
        fields: Mapping[str, Any],
        settings: Mapping[str, Any],
        stamp: Mapping[str, str],
        named: Mapping[str, Any],
    ) -> tuple[Any, str, bool]:
        from modules import processing

        made_by = payload.processing_class(img2img="init_images" in fields)
        p = made_by(**fields, override_settings=dict(settings))
        try:
            # Only what the payload names: the user's other scripts stay out of it.
            with (
                scripts.working_on(p, named, "init_images" in fields, self.no_scripts()),
                seeded(int(fields["seed"])),
            ):
                p.extra_generation_params.update(self._truth(stamp))
                processed = processing.process_images(p)
        except OptimError:
            raise
        except Exception as error:
            message = " ".join(str(error).split()) or type(error).__name__
            raise HostError(f"The WebUI could not make the image: {message}.") from error
        finally:
            p.close()
        first = processed.index_of_first_image
        if len(processed.images) <= first:
            return None, "", True
        return processed.images[first], processed.infotexts[first], self._desk.cut_short()

    def _truth(self, stamp: Mapping[str, str]) -> dict[str, str]:
        """The stamp, and in live weights a model name and hash that do not claim to be the base's."""
        if self._live is None:
            return dict(stamp)
        name = getattr(self._model().sd_checkpoint_info, "name_for_extra", "")
        recipe = next((value for key, value in stamp.items() if "recipe" in key.lower()), "merge")
        return {"Model hash": f"{HASH_MARK}{recipe}", "Model": f"{name}{MODEL_MARK}", **stamp}

    def _begin_live(self, session: WebuiSession) -> None:
        self._live = session

    def _end_live(self, session: WebuiSession) -> None:
        del session
        self._live = None


@contextlib.contextmanager
def _no_prompt_history() -> Iterator[None]:
    """Keep our prompts out of the file from which the WebUI's arrow button brings back the user's last ones."""
    from modules import shared

    before = getattr(shared.cmd_opts, "no_prompt_history", False)
    shared.cmd_opts.no_prompt_history = True
    try:
        yield
    finally:
        shared.cmd_opts.no_prompt_history = before


def _schedulers() -> tuple[str, ...]:
    try:
        from modules import sd_schedulers
    except ImportError:  # before 1.9
        return ()
    if "scheduler" not in payload.payload_fields():
        return ()
    return tuple(scheduler.label for scheduler in sd_schedulers.schedulers)
