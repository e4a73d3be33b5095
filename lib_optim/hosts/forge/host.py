"""The adapter of Forge."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from lib_optim.hosts.accelerator import RESERVE, merge_device_of
from lib_optim.hosts.base import Checkpoint, HostState
from lib_optim.hosts.forge.model import ForgeModel, loaded_model, refusal, selection, settle_types
from lib_optim.hosts.forge.names import converter, live_shapes
from lib_optim.hosts.live import TableSession
from lib_optim.hosts.transforms import derive_table
from lib_optim.hosts.webui.checkpoints import chosen_info, info_of, same_file
from lib_optim.hosts.webui.host import WebuiHost
from lib_optim.hosts.webui.main_thread import run_on_main_thread
from lib_optim.hosts.webui.options import ABSENT, put
from lib_optim.plan.architectures import Architecture
from lib_optim.plan.errors import HostChanged, HostError
from lib_optim.plan.header import CheckpointHeader

__all__ = ["ForgeHost"]

T = TypeVar("T")
_CHOICE = "sd_model_checkpoint"
_REMEMBERED = (_CHOICE, "sd_checkpoint_hash")


class ForgeHost(WebuiHost):
    """Implements ``hosts.base.Host`` inside a running Forge."""

    id = "forge"
    title = "Forge"

    def __init__(self) -> None:
        super().__init__()
        from modules_forge import forge_version

        self.version = str(forge_version.version)
        self._chose: str | None = None

    def state(self) -> HostState:
        """See ``Host.state``."""
        from modules import sd_models, shared

        engine, chosen = loaded_model(), selection().get("checkpoint_info")
        options = {key: shared.opts.data[key] for key in _REMEMBERED if key in shared.opts.data}
        details = {
            "options": options,
            "file": chosen.filename if chosen is not None else None,
            "loaded": engine is not None and sd_models.model_data.forge_hash == str(selection()),
        }
        info = engine.sd_checkpoint_info if engine is not None else chosen_info()
        return HostState(info.title if info is not None else None, details)

    def load(self, checkpoint: Checkpoint) -> None:
        """See ``Host.load``."""
        from modules_forge import main_entry

        self._lock.require("Loading a checkpoint")
        info = info_of(checkpoint.path)
        chosen = selection().get("checkpoint_info")
        if chosen is None or not same_file(chosen.filename, info.filename):
            main_entry.checkpoint_change(info.title, save=False, refresh=False)
            main_entry.refresh_model_loading_parameters()
        self._chose = info.filename
        engine = self._loaded_now(checkpoint.title)
        if not same_file(engine.sd_checkpoint_info.filename, checkpoint.path):
            raise HostError(f"Forge loaded {engine.sd_checkpoint_info.title} instead of {checkpoint.title}.")

    def restore(self, state: HostState) -> None:
        """See ``Host.restore``."""
        from modules import sd_models

        self._lock.require("Putting the user's model back")
        chosen = selection().get("checkpoint_info")
        ours = self._chose is not None and chosen is not None and same_file(chosen.filename, self._chose)
        if ours:
            # Only our own choice goes; what else the user has set since stays.
            for key in _REMEMBERED:
                put(key, state.details["options"].get(key, ABSENT))
            info = info_of(state.details["file"]) if state.details["file"] else chosen_info()
            sd_models.model_data.forge_loading_parameters = {**selection(), "checkpoint_info": info}
        if ours and state.details["loaded"]:
            self._loaded_now(state.checkpoint or "the model")

    def merge_device(self) -> str:
        """See ``Host.merge_device``."""
        from backend import memory_management

        return merge_device_of(memory_management.get_torch_device())

    def spare_memory(self) -> int:
        """See ``Host.spare_memory``."""
        from backend import memory_management

        device = self.merge_device()
        if device == "cpu":
            return 0
        # Forge counts what torch holds unused as free too: the smaller of the two is what nobody will miss.
        return max(0, min(super().spare_memory(), int(memory_management.get_free_memory()) - RESERVE))

    def trim_memory(self) -> None:
        """See ``Host.trim_memory``."""
        from backend import memory_management

        run_on_main_thread(memory_management.soft_empty_cache)

    def free_memory(self) -> None:
        """See ``Host.free_memory``."""
        from backend import memory_management

        def unload() -> None:
            memory_management.unload_all_models()
            memory_management.soft_empty_cache()

        run_on_main_thread(unload)

    def _loaded_now(self, title: str) -> Any:
        from modules import sd_models

        if loaded_model() is None:
            # After a load that failed Forge holds no model and the old hash, and then takes the old choice for loaded.
            sd_models.model_data.forge_hash = ""
        try:
            engine, _ = run_on_main_thread(sd_models.forge_model_reload)
        except Exception as error:
            message = " ".join(str(error).split()) or type(error).__name__
            raise HostError(f"Forge could not load {title}: {message}.") from error
        if loaded_model() is None:
            raise HostError(f"Forge could not load {title}; see its console for the reason.")
        return engine

    def _session_parts(
        self, base: Checkpoint, header: CheckpointHeader, architecture: Architecture, components: frozenset[str]
    ) -> tuple[ForgeModel, TableSession]:
        engine = loaded_model()
        if engine is None:
            raise HostError("Forge has no model loaded; choose a checkpoint, then try again.")
        if not same_file(engine.sd_checkpoint_info.filename, base.path):
            raise HostError(f"{engine.sd_checkpoint_info.title} is loaded, not {base.title}; load the base first.")
        reason = refusal(engine, components)
        if reason is not None:
            raise HostError(reason)
        settle_types(engine)
        shapes = {
            key: info.shape
            for key, info in header.tensors.items()
            if info.dtype[0] in "FB" and info.dtype != "BOOL" and architecture.component_of(key) in components
        }
        live = live_shapes(engine, components)
        table = derive_table(shapes, converter(engine, live), live)
        model = ForgeModel(base.path)
        return model, TableSession(model, table, architecture.component_of, base.path)

    @contextlib.contextmanager
    def _pinned(self) -> Iterator[dict[str, Any]]:
        from modules import sd_models

        data, live = sd_models.model_data, self._live
        users = data.forge_loading_parameters
        if live is None:
            if loaded_model() is not None and str(users) != data.forge_hash:
                raise HostChanged(
                    "Another model was chosen in Forge; choose the run's base again, then resume the run."
                )
            yield {}
            return
        # What the user chooses now counts after the trial: until then Forge's next image would replace the merge.
        pin = live.model.pin  # type: ignore[attr-defined]
        data.forge_loading_parameters = pin
        try:
            yield {}
        finally:
            if data.forge_loading_parameters is pin:
                data.forge_loading_parameters = users

    def _on_main_thread(self, call: Callable[[], T]) -> T:
        return run_on_main_thread(call)

    def _model(self) -> Any:
        return loaded_model()
