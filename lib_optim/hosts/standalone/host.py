"""The host that needs no WebUI."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lib_optim.hosts.accelerator import merge_device_of, spare_bytes
from lib_optim.hosts.base import Checkpoint, GeneratedImage, GenerationProgress, HostCapabilities, HostPaths, HostState
from lib_optim.hosts.init_images import init_picture
from lib_optim.hosts.settings_file import SettingsFile
from lib_optim.hosts.standalone.demo import make_demo_checkpoints
from lib_optim.hosts.standalone.infotext import infotext_of
from lib_optim.hosts.standalone.lock import QueueLock
from lib_optim.hosts.standalone.parts import PARTS
from lib_optim.hosts.standalone.samplers import SAMPLERS, SCHEDULERS
from lib_optim.plan.errors import HostError, Interrupted
from lib_optim.plan.payload import ImageJob, Payload, jobs_of
from lib_optim.plan.settings import FOLDERS, SettingValue

if TYPE_CHECKING:
    from PIL import Image

    from lib_optim.hosts.base import MergeSession
    from lib_optim.hosts.standalone.model import LoadedModel

__all__ = ["StandaloneHost"]

_FIELDS = frozenset({
    "prompt", "negative_prompt", "seed", "steps", "cfg_scale", "width", "height", "sampler_name", "scheduler",
    "subseed", "subseed_strength", "clip_skip", "init_image", "resize_mode", "denoising_strength",
})  # fmt: skip


class StandaloneHost:
    """Holds one Stable Diffusion 1.x or XL checkpoint in diffusers. See ``hosts.base.Host`` for the methods.

    Args:
        data_dir: Folder for outputs, caches and, unless given, models; made if missing.
        models_dir: Folder with ``.safetensors`` checkpoints, searched with its subfolders. None means
            ``data_dir/models``, where two small demo checkpoints are made if it holds no checkpoint yet.
        device: ``cpu``, ``cuda`` or ``cuda:N``; empty takes CUDA if there is one.
    """

    id = "standalone"
    title = "Optim standalone"
    delivery: Literal["in_process", "by_file"] = "in_process"

    def __init__(self, data_dir: Path, models_dir: Path | None = None, device: str = "") -> None:
        from lib_optim import __version__

        self.version = __version__
        data = data_dir.resolve()
        models = (models_dir or data / "models").resolve()
        self._paths = HostPaths(data / "outputs", models, data / "cache", vaes=models / "vae")
        for folder in (self._paths.outputs, self._paths.models, self._paths.data):
            folder.mkdir(parents=True, exist_ok=True)
        if models_dir is None and not self._files():
            make_demo_checkpoints(self._paths.models)
        self._settings = SettingsFile(data / "settings.json")
        self._device_name = device
        self._lock = QueueLock()
        self._model: LoadedModel | None = None
        self._listed: tuple[Checkpoint, ...] | None = None
        self._progress: GenerationProgress | None = None
        self._report = ("", 0, 0)
        self._interrupt = threading.Event()
        self._stop = threading.Event()
        self._skip = threading.Event()
        self._in_job = False

    def capabilities(self) -> HostCapabilities:
        """Return what it can do. Any thread."""
        return HostCapabilities(
            architectures=tuple(PARTS),
            payload_fields=_FIELDS,
            samplers=tuple(row.title for row in SAMPLERS),
            schedulers=SCHEDULERS,
            loras=False,
            own_settings=True,
        )

    def paths(self) -> HostPaths:
        """Return where things are, those in the settings first. Any thread."""
        chosen = {key: self._folder(key) for key in FOLDERS}
        paths = dataclasses.replace(self._paths, methods=chosen["methods"], scorers=chosen["scorers"])
        return dataclasses.replace(paths, outputs=chosen["outputs"] or paths.outputs)

    def settings(self) -> dict[str, SettingValue]:
        """Return a value for every setting. Any thread."""
        return self._settings.values()

    def change_settings(self, values: Mapping[str, object]) -> None:
        """Change settings and keep them in ``data_dir/settings.json``. Any thread.

        Raises:
            PlanError: Unknown or impossible ones.
            HostError: They cannot be kept.
        """
        self._settings.change(values)

    def _folder(self, key: str) -> Path | None:
        chosen = str(self._settings.values()[key]).strip()
        return self._paths.outputs.parent / Path(chosen).expanduser() if chosen else None

    def checkpoints(self, refresh: bool = False) -> tuple[Checkpoint, ...]:
        """Return the safetensors files under the models folder, by name. Any thread."""
        if self._listed is None or refresh:
            root = self._paths.models
            self._listed = tuple(Checkpoint(path.relative_to(root).as_posix(), path) for path in self._files())
        return self._listed

    def model(self) -> LoadedModel | None:
        """Return the loaded model. Any thread."""
        return self._model

    def state(self) -> HostState:
        """Return the title of the loaded checkpoint. Any thread."""
        model = self._model
        if model is None:
            return HostState(None)
        return HostState(model.checkpoint.title, {"path": str(model.checkpoint.path)})

    @contextlib.contextmanager
    def exclusive(self, give_up: Callable[[], bool] | None = None) -> Iterator[None]:
        """Hold the queue lock, first come, first served.

        Raises:
            RunError: `give_up` said so, or this thread holds the lock already.
        """
        self._lock.acquire(give_up)
        try:
            yield
        finally:
            self._lock.release()

    def others_waiting(self) -> bool:
        """Tell whether somebody else waits for `exclusive`. Any thread."""
        return self._lock.waiting()

    def load(self, checkpoint: Checkpoint) -> None:
        """Load `checkpoint`, unless it is loaded as its file has it. Call under `exclusive`.

        Raises:
            HostError: It did not load; nothing is loaded then.
        """
        from lib_optim.hosts.standalone.model import file_stamp, load_model
        from lib_optim.plan.errors import OptimError

        self._must_hold()
        model = self._model
        try:
            if (
                model is not None
                and not model.dirty
                and model.checkpoint.path == checkpoint.path
                and model.stamp == file_stamp(checkpoint.path)
            ):
                return
            self._model = model = None  # first, so that two models are never in memory at once
            self._model = load_model(checkpoint, *self._placement())
        except OptimError as error:
            raise HostError(str(error)) from error
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise HostError(f"{checkpoint.title} did not load: {error}.") from error

    def restore(self, state: HostState) -> None:
        """Load the checkpoint of `state`, or unload if it had none. Call under `exclusive`. Idempotent."""
        self._must_hold()
        if state.checkpoint is None:
            self._model = None
        else:
            self.load(Checkpoint(state.checkpoint, Path(state.details["path"])))

    def open_session(self, base: Checkpoint, components: frozenset[str]) -> MergeSession:
        """Open a merge session on the loaded `base`. Call under `exclusive`, after `load(base)`.

        Raises:
            HostError: `base` is not the loaded checkpoint.
        """
        from lib_optim.hosts.standalone.session import open_session

        self._must_hold()
        model = self._model
        if model is None or model.checkpoint.path != base.path:
            raise HostError(f"{base.title} is not loaded; load it before a session is opened on it.")
        return open_session(self, model, components)

    @contextlib.contextmanager
    def job(self, title: str) -> Iterator[None]:
        """Begin a series of images: clears `stop_requested`, and the progress afterwards. Call under `exclusive`."""
        self._must_hold()
        self._stop.clear()
        self._in_job = True
        try:
            yield
        finally:
            self._in_job = False
            self._progress = None

    def generate(self, job: ImageJob, stamp: Mapping[str, str]) -> GeneratedImage:
        """Make one image with the live weights as they are. Call under `exclusive`, inside `job`.

        Raises:
            Interrupted: By `interrupt` or `press_interrupt`.
            HostError: No model, a payload that this host cannot honour, or a non-finite image.
        """
        from lib_optim.hosts.standalone.pipeline import generate_image

        self._must_hold()
        model = self._model
        if model is None:
            raise HostError("No checkpoint is loaded; choose one first.")
        if not self._in_job:
            raise HostError("An image was asked for outside of a job.")
        self._refuse(job.payload)
        self._interrupt.clear()
        self._skip.clear()
        try:
            picture = init_picture(self._paths.data, job.payload) if job.payload.init_image else None
            image = generate_image(model, job, self._on_step, picture)
        except (RuntimeError, ValueError, IndexError) as error:
            raise HostError(f"The image could not be generated: {error}.") from error
        finally:
            self._progress = None
        title = Path(model.checkpoint.title).stem
        return GeneratedImage(image, infotext_of(job, title, model.checkpoint.sha256, f"Optim {self.version}", stamp))

    def interrupt(self) -> None:
        """End the image now being generated before its next step. Any thread."""
        self._interrupt.set()

    def press_interrupt(self) -> None:
        """Do what an Interrupt button of this host does: end the image, and have `stop_requested` say so."""
        self._stop.set()
        self._interrupt.set()

    def stop_requested(self) -> bool:
        """Tell whether `press_interrupt` was called since `job` began. Any thread."""
        return self._stop.is_set()

    def press_skip(self) -> None:
        """Do what a Skip button of this host does: end the image, and have `skip_requested` say so. Any thread."""
        self._skip.set()
        self._interrupt.set()

    def skip_requested(self) -> bool:
        """Tell whether `press_skip` ended the last image. Any thread."""
        return self._skip.is_set()

    def progress(self) -> GenerationProgress | None:
        """Return where the image now being generated stands, or None. Any thread."""
        return self._progress

    def report(self, text: str, done: int, total: int, left: float | None = None) -> None:
        """Keep `text`, `done` and `total` for `last_report`. Any thread."""
        del left
        self._report = (text, done, total)

    def last_report(self) -> tuple[str, int, int]:
        """Return what `report` was last told. Any thread."""
        return self._report

    def merge_device(self) -> str:
        """Return the device of the models. Any thread."""
        return merge_device_of(self._placement()[0])

    def spare_memory(self) -> int:
        """Return what the images made so far left free. Call under `exclusive`."""
        self._must_hold()
        return spare_bytes(self.merge_device())

    def trim_memory(self) -> None:
        """Empty torch's cache of accelerator memory. Call under `exclusive`."""
        import torch

        self._must_hold()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()

    def free_memory(self) -> None:
        """Move the model off the accelerator's cache: give back what is not in use. Call under `exclusive`."""
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def txt2img(self, payload: Mapping[str, Any]) -> Image.Image:
        """Make one image for somebody else, as a WebUI's txt2img route does: waits in the queue. Any thread.

        Args:
            payload: Fields of ``plan.payload.Payload``.

        Raises:
            PlanError: Unknown or wrong fields.
            HostError: As `generate`; also if there is no checkpoint at all.
        """
        asked = Payload.from_json({"name": "txt2img", "seed": 0, **payload}, "txt2img")
        with self.exclusive():
            model = self._model
            if model is None or model.dirty:
                self.load(model.checkpoint if model is not None else self._first())
            with self.job("txt2img"):
                return self.generate(jobs_of((asked,))[0], {}).image

    def choose(self, checkpoint: Checkpoint) -> None:
        """Load another checkpoint as a user would: waits in the queue. Any thread."""
        with self.exclusive():
            self.load(checkpoint)

    def _first(self) -> Checkpoint:
        listed = self.checkpoints(refresh=True)
        if not listed:
            raise HostError(f"There is no checkpoint in {self._paths.models}; put a .safetensors file there.")
        return listed[0]

    def _files(self) -> list[Path]:
        files = self._paths.models.rglob("*.safetensors")
        found = (path for path in files if path.is_file() and self._paths.vaes not in path.parents)
        return sorted(found, key=lambda path: path.relative_to(self._paths.models).as_posix().casefold())

    def _placement(self) -> tuple[Any, dict[str, Any]]:
        """Device, and dtype per component: half precision on an accelerator, but not for the VAE, which overflows."""
        import torch

        device = torch.device(self._device_name or ("cuda" if torch.cuda.is_available() else "cpu"))
        small = torch.float32 if device.type == "cpu" else torch.float16
        return device, {"unet": small, "text_encoder": small, "vae": torch.float32}

    def _refuse(self, payload: Payload) -> None:
        unknown = [name for name in payload.used_fields() if name not in _FIELDS]
        if unknown:
            raise HostError(
                f"The standalone host cannot honour {', '.join(unknown)} of payload '{payload.name}'; remove it, or "
                "run Optim in a WebUI."
            )

    def _on_step(self, step: int, steps: int) -> None:
        self._progress = GenerationProgress(step, steps)
        if self._interrupt.is_set():
            raise Interrupted("The image was interrupted.")

    def _must_hold(self) -> None:
        if not self._lock.mine():
            raise HostError("The host's queue must be held for this; enter exclusive() first.")
