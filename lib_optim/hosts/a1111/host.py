"""The adapter of AUTOMATIC1111's WebUI."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from lib_optim.hosts.a1111.model import A1111Model, loaded_model, refusal
from lib_optim.hosts.accelerator import merge_device_of
from lib_optim.hosts.base import Checkpoint, HostState
from lib_optim.hosts.live import TableSession
from lib_optim.hosts.transforms import identity_table
from lib_optim.hosts.webui.checkpoints import chosen_info, info_of, same_file
from lib_optim.hosts.webui.host import WebuiHost
from lib_optim.hosts.webui.options import ABSENT, put
from lib_optim.plan.architectures import Architecture
from lib_optim.plan.errors import HostChanged, HostError
from lib_optim.plan.header import CheckpointHeader

__all__ = ["A1111Host"]

_CHOICE = "sd_model_checkpoint"
_REMEMBERED = (_CHOICE, "sd_checkpoint_hash")


class A1111Host(WebuiHost):
    """Implements ``hosts.base.Host`` inside a running A1111."""

    id = "a1111"
    title = "AUTOMATIC1111 WebUI"
    name = "A1111"
    """As sentences call it."""

    def __init__(self) -> None:
        super().__init__()
        self.version = _version()
        self._chose: str | None = None
        self._torn = False

    def state(self) -> HostState:
        """See ``Host.state``."""
        from modules import sd_vae, shared

        model = self._model()
        info = model.sd_checkpoint_info if model is not None else None
        options = {key: shared.opts.data[key] for key in _REMEMBERED if key in shared.opts.data}
        details = {"file": info.filename if info else None, "vae": sd_vae.loaded_vae_file, "options": options}
        chosen = chosen_info()
        return HostState(info.title if info else chosen.title if chosen else None, details)

    def load(self, checkpoint: Checkpoint) -> None:
        """See ``Host.load``."""
        from modules import shared

        self._lock.require("Loading a checkpoint")
        info = info_of(checkpoint.path)
        try:
            # Reading this waits for the load at start, which A1111 does on a thread of its own; None if it failed.
            self._on_main_thread(lambda: shared.sd_model)
            self._reload(info)
            self._torn = False
        except Exception as error:
            # A1111 takes its hijack out of the loaded model before it reads the file, and leaves it so.
            self._torn = True
            message = " ".join(str(error).split()) or type(error).__name__
            raise HostError(f"{self.name} could not load {checkpoint.title}: {message}.") from error
        model = self._require()
        if not same_file(model.sd_checkpoint_info.filename, checkpoint.path):
            raise HostError(f"{self.name} loaded {model.sd_checkpoint_info.title} instead of {checkpoint.title}.")
        # The run's base is what everybody gets until the run ends; A1111 itself sets this only where it had to load.
        self._chose = model.sd_checkpoint_info.filename
        put(_CHOICE, model.sd_checkpoint_info.title)

    def restore(self, state: HostState) -> None:
        """See ``Host.restore``."""
        from modules import sd_models, sd_vae, shared

        self._lock.require("Putting the user's model back")
        before = state.details["options"]
        chosen = chosen_info()
        ours = self._chose is not None and chosen is not None and same_file(chosen.filename, self._chose)
        if ours or shared.opts.data.get(_CHOICE) == before.get(_CHOICE):
            wanted = info_of(state.details["file"]) if state.details["file"] else None
        else:
            wanted = chosen  # chosen since by the user: that stands, and is what A1111 would load next anyway
        try:
            with sd_models.SkipWritingToConfig():
                if wanted is not None:
                    self._reload(wanted)
                    self._torn = False
        except Exception as error:
            raise HostError(f"{self.name} could not load {wanted.title} again: {error}.") from error
        finally:
            if ours:
                for key in _REMEMBERED:
                    put(key, before.get(key, ABSENT))
        if wanted is not None and wanted is not chosen and sd_vae.loaded_vae_file != state.details["vae"]:
            self._on_main_thread(lambda: sd_vae.reload_vae_weights(self._model(), state.details["vae"]))

    def _reload(self, info: Any) -> None:
        """Have the WebUI load `info`, from disk even if it is loaded where that might be torn."""
        from modules import sd_models

        sd_models.reload_model_weights(None, info, forced_reload=self._torn)

    def merge_device(self) -> str:
        """See ``Host.merge_device``."""
        from modules import devices

        # --medvram and --lowvram keep the model in RAM and send its parts over for each image.
        model = loaded_model()
        return "cpu" if getattr(model, "lowvram", False) else merge_device_of(devices.device)

    def trim_memory(self) -> None:
        """See ``Host.trim_memory``."""
        self.free_memory()

    def free_memory(self) -> None:
        """See ``Host.free_memory``."""
        from modules import devices

        devices.torch_gc()

    def _session_parts(
        self, base: Checkpoint, header: CheckpointHeader, architecture: Architecture, components: frozenset[str]
    ) -> tuple[A1111Model, TableSession]:
        module = self._require()
        if not same_file(module.sd_checkpoint_info.filename, base.path):
            raise HostError(f"{module.sd_checkpoint_info.title} is loaded, not {base.title}; load the base first.")
        reason = refusal(module, components)
        if reason is not None:
            raise HostError(reason)
        shapes = {
            key: info.shape
            for key, info in header.tensors.items()
            if info.dtype[0] in "FB" and info.dtype != "BOOL" and architecture.component_of(key) in components
        }
        live: dict[str, list[str]] = {}
        for name, parameter in module.named_parameters(remove_duplicate=False):
            key = name.replace(".wrapped.", ".")
            if key in shapes and tuple(parameter.shape) != shapes[key]:
                raise HostError(
                    f"The loaded model's {key} has the shape {tuple(parameter.shape)} and the file's {shapes[key]}; "
                    "the WebUI has altered this model in a way that Optim does not know."
                )
            live.setdefault(key, []).append(name)
        table = identity_table(shapes, {key: tuple(names) for key, names in live.items()})
        model = A1111Model(base.path)
        return model, TableSession(model, table, architecture.component_of, base.path)

    @contextlib.contextmanager
    def _pinned(self) -> Iterator[dict[str, Any]]:
        from modules import sd_models

        model = self._require()
        title = model.sd_checkpoint_info.title
        pinned = sd_models.checkpoint_aliases.get(title)
        if pinned is None or not same_file(pinned.filename, model.sd_checkpoint_info.filename):
            # An unknown title is dropped silently by A1111, which then loads the user's choice.
            raise HostChanged(
                f"{title} is no longer on {self.name}'s list of checkpoints; put the file back, then resume."
            )
        yield {_CHOICE: title}

    def _model(self) -> Any:
        return loaded_model()

    def _require(self) -> Any:
        """Return the loaded model.

        Raises:
            HostError: Loading failed, or nothing was ever loaded.
        """
        model = self._model()
        if model is None:
            raise HostError(
                f"{self.name} has no model loaded; see its console for the reason, then choose another checkpoint."
            )
        return model


def _version() -> str:
    try:
        import launch

        return str(launch.git_tag())
    except Exception:  # noqa: BLE001 - a name for reports, nothing more
        return "unknown"
