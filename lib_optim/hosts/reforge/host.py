"""The adapter of reForge and Forge Classic: A1111's loading and settings, ldm_patched's weights and memory."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from lib_optim.hosts.a1111.host import A1111Host
from lib_optim.hosts.accelerator import RESERVE, merge_device_of
from lib_optim.hosts.base import Checkpoint
from lib_optim.hosts.live import TableSession
from lib_optim.hosts.reforge.model import ReForgeModel, intact_model, refusal, text_encoder_refusal
from lib_optim.hosts.reforge.names import converter, live_shapes
from lib_optim.hosts.transforms import derive_table
from lib_optim.hosts.webui.checkpoints import same_file
from lib_optim.hosts.webui.host import WebuiHost
from lib_optim.hosts.webui.main_thread import run_on_main_thread
from lib_optim.plan.architectures import Architecture
from lib_optim.plan.errors import HostError
from lib_optim.plan.header import CheckpointHeader

__all__ = ["ReForgeHost"]

T = TypeVar("T")


class ReForgeHost(A1111Host):
    """Implements ``hosts.base.Host`` inside a running reForge or Forge Classic.

    The two differ in what their loader can be told and in what images can be told; both are asked, not named.
    """

    def __init__(self) -> None:
        super().__init__()
        from modules_forge import forge_version

        many = loads_by_force()
        self.id, self.name = ("reforge", "reForge") if many else ("classic", "Forge Classic")
        self.title, self.version = self.name, str(forge_version.version)

    def no_scripts(self) -> Any:
        """See ``WebuiHost.no_scripts``: reForge looks one of its own scripts up in this without asking for None."""
        from modules import scripts

        return scripts.ScriptRunner()

    def merge_device(self) -> str:
        """See ``Host.merge_device``."""
        return merge_device_of(_memory().get_torch_device())

    def spare_memory(self) -> int:
        """See ``Host.spare_memory``."""
        if self.merge_device() == "cpu":
            return 0
        # What torch holds unused counts as free with them too: the smaller of the two is what nobody will miss.
        return max(0, min(WebuiHost.spare_memory(self), int(_memory().get_free_memory()) - RESERVE))

    def trim_memory(self) -> None:
        """See ``Host.trim_memory``."""
        run_on_main_thread(_memory().soft_empty_cache)

    def free_memory(self) -> None:
        """See ``Host.free_memory``."""

        def unload() -> None:
            _memory().unload_all_models()
            _memory().soft_empty_cache()

        run_on_main_thread(unload)

    def _reload(self, info: Any) -> None:
        torn = self._torn
        self._on_main_thread(lambda: reload_weights(info, torn))

    def _session_parts(
        self, base: Checkpoint, header: CheckpointHeader, architecture: Architecture, components: frozenset[str]
    ) -> tuple[ReForgeModel, TableSession]:
        loaded = self._require()
        if not same_file(loaded.sd_checkpoint_info.filename, base.path):
            raise HostError(f"{loaded.sd_checkpoint_info.title} is loaded, not {base.title}; load the base first.")
        reason = refusal(loaded, components)
        if reason is not None:
            raise HostError(reason)
        shapes = {
            key: info.shape
            for key, info in header.tensors.items()
            if info.dtype[0] in "FB" and info.dtype != "BOOL" and architecture.component_of(key) in components
        }
        live = live_shapes(loaded, components)
        table = derive_table(shapes, converter(loaded, live), live)
        model = ReForgeModel(base.path, self.name)
        session = TableSession(model, table, architecture.component_of, base.path)
        reason = text_encoder_refusal(model, table, architecture.component_of, base.path)
        if reason is not None:
            session.close()
            raise HostError(reason)
        return model, session

    def _on_main_thread(self, call: Callable[[], T]) -> T:
        return run_on_main_thread(call)

    def _model(self) -> Any:
        return intact_model()


def loads_by_force() -> bool:
    """Tell whether the loader can be told to read a file that is loaded already (reForge; Classic ignores it)."""
    from modules import sd_models

    return "forced_reload" in inspect.signature(sd_models.load_model).parameters


def reload_weights(info: Any, forced: bool) -> None:
    """Have the WebUI load `info`, from disk where `forced`. On its main thread."""
    from modules import sd_models

    if forced and not loads_by_force():
        sd_models.model_data.sd_model = None  # what is loaded by that name is else returned as it is
    sd_models.reload_model_weights(None, info, forced_reload=forced)


def _memory() -> Any:
    from ldm_patched.modules import model_management

    return model_management
