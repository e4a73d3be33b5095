"""The live model of Forge: a plain object whose parts are inference tensors under Hugging Face names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.hosts.forge.names import root_of
from lib_optim.hosts.webui.caches import drop_prompt_caches
from lib_optim.hosts.webui.checkpoints import same_file
from lib_optim.hosts.webui.main_thread import run_on_main_thread
from lib_optim.hosts.webui.tensors import parameter
from lib_optim.plan.errors import CheckpointError, HostChanged
from lib_optim.plan.header import read_header

if TYPE_CHECKING:
    import torch

__all__ = ["ForgeModel", "loaded_model", "refusal", "selection", "settle_types"]

_MARK = "optim merge"


def loaded_model() -> Any:
    """Return the loaded engine, or None while there is Forge's placeholder or nothing."""
    from modules import sd_models

    model = sd_models.model_data.sd_model
    return model if getattr(model, "forge_objects_original", None) is not None else None


def selection() -> Mapping[str, Any]:
    """Return what Forge would load for its next image: checkpoint_info, additional_modules, unet_storage_dtype."""
    from modules import sd_models

    parameters: Mapping[str, Any] = sd_models.model_data.forge_loading_parameters
    return parameters


def settle_types(engine: Any) -> None:
    """Have the text encoders' embeddings stored as they will be: Forge changes their type at the first prompt."""
    run_on_main_thread(lambda: engine.get_learned_conditioning([""]))


class ForgeModel:
    """Implements ``hosts.webui.session.WebuiModel`` on the loaded model.

    Args:
        base: The file that must be chosen and loaded.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self._anchor = loaded_model()
        self._chosen = _plain(selection())
        self._pin = selection()
        self._maybe_baked = True
        self._stale_text = False
        self._text_written = False

    @property
    def pin(self) -> Mapping[str, Any]:
        """The loading parameters under which the session's model object was loaded."""
        return self._pin

    def tensor(self, name: str) -> torch.Tensor:
        """See ``LiveModel.tensor``."""
        if self._maybe_baked:
            self.prepare()
        component, part, rest = name.split("/", 2)
        return parameter(root_of(self._anchor, component, part), rest)

    def guard(self) -> AbstractContextManager[object]:
        """See ``LiveModel.guard``."""
        import torch

        # Under no_grad a copy into these tensors raises, and has changed them all the same.
        return torch.inference_mode()

    def check_same(self) -> None:
        """See ``LiveModel.check_same``."""
        if loaded_model() is not self._anchor:
            raise HostChanged("Forge has loaded another model; choose the run's base again, then resume the run.")

    def chosen(self) -> bool:
        """See ``WebuiModel.chosen``."""
        return _plain(selection()) == self._chosen

    def adopt(self) -> bool:
        """See ``WebuiModel.adopt``."""
        from modules import sd_models

        now = _plain(selection())
        if now != self._chosen:
            raise HostChanged(
                f"{_difference(self._chosen, now)} in Forge; choose {self._base.name} as it was, then resume the run."
            )
        try:
            engine, _ = run_on_main_thread(sd_models.forge_model_reload)  # nothing if it is loaded
        except Exception as error:
            raise HostChanged(f"Forge could not load the run's base again ({error}); load it, then resume.") from error
        new = engine is not self._anchor
        self._anchor, self._pin = engine, selection()
        if new:
            settle_types(engine)
        self.check_same()
        self.prepare()
        return new

    def prepare(self) -> None:
        """See ``LiveModel.prepare``."""
        from backend import memory_management

        objects = self._anchor.forge_objects_original
        for patcher in (objects.unet, objects.clip.patcher, objects.vae.patcher):
            patcher.lora_loader.refresh(lora_patches={}, offload_device=patcher.offload_device, force_refresh=True)
            # Forge applies LoRAs only where it loads a model: unloaded ones get theirs again at the next image.
            memory_management.unload_model_clones(patcher)
        self._maybe_baked = False

    def wrote(self, component: str) -> None:
        """See ``LiveModel.wrote``."""
        if component == "text_encoder":
            self._text_written = self._stale_text = True

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """See ``WebuiModel.shown``."""
        engine = self._anchor
        before, engine.sd_model_hash = engine.sd_model_hash, _MARK
        try:
            yield
        finally:
            engine.sd_model_hash = before

    def freshen(self) -> None:
        """See ``WebuiModel.freshen``."""
        if self._stale_text:
            self._stale_text = False
            drop_prompt_caches()

    def leave(self) -> None:
        """See ``WebuiModel.leave``: Forge drops a model that it replaces, so there is nothing left to write into."""

    def settle(self) -> None:
        """See ``WebuiModel.settle``."""
        if self._text_written:
            self._text_written = self._stale_text = False
            drop_prompt_caches()

    def generated(self) -> None:
        """See ``WebuiModel.generated``."""
        self._maybe_baked = True


def refusal(engine: Any, components: frozenset[str]) -> str | None:
    """Return why this model cannot be merged into, or None."""
    import torch

    objects = engine.forge_objects_original
    plain = (torch.float32, torch.float16, torch.bfloat16)
    storage = getattr(objects.unet.model, "storage_dtype", torch.float32)
    modules = (objects.unet.model, objects.clip.cond_stage_model)
    quantised = any(
        p.dtype not in plain or hasattr(p, "bnb_quantized") or getattr(p, "gguf_cls", None) is not None
        for module in modules
        for p in module.parameters()
    ) or any(getattr(layer, "scale_weight", None) is not None for module in modules for layer in module.modules())
    if storage not in plain or quantised:
        kind = str(storage).removeprefix("torch.") if storage not in plain else "a quantised form"
        return (
            f"The model is stored in {kind}, which loses what a merge changes; set 'Diffusion in Low Bits' to "
            "Automatic and choose a checkpoint in fp16, bf16 or fp32."
        )
    for path in selection().get("additional_modules") or ():
        for component in sorted(_components_of(Path(path)) & components):
            return (
                f"{Path(path).name} replaces the checkpoint's {component.replace('_', ' ')}, so that cannot be merged; "
                "take it out of 'VAE / Text Encoder' or leave that part out of the merge."
            )
    return None


def _components_of(module: Path) -> set[str]:
    try:
        keys = read_header(module).tensors
    except CheckpointError:  # another format: it may hold anything
        return {"vae", "text_encoder"}
    vae = any(key.startswith(("decoder.", "first_stage_model.", "encoder.conv_in")) for key in keys)
    return {"vae"} if vae else {"text_encoder"}


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The selection without the identity of its objects, which changes whenever the list is refreshed."""
    info = parameters.get("checkpoint_info")
    return {
        "checkpoint": info.filename if info is not None else None,
        "modules": tuple(parameters.get("additional_modules") or ()),
        "storage": parameters.get("unet_storage_dtype"),
    }


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    if new["checkpoint"] is None or not same_file(old["checkpoint"], new["checkpoint"]):
        return f"{Path(new['checkpoint'] or 'nothing').name} was chosen"
    if old["modules"] != new["modules"]:
        return f"VAE / Text Encoder was changed to {', '.join(Path(m).name for m in new['modules']) or 'none'}"
    return f"The storage of the model was changed to {new['storage'] or 'automatic'}"
