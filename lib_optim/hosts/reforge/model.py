"""The live model of reForge and Forge Classic: A1111's shell around parts that ModelPatchers hold."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.hosts.a1111.model import A1111Model, loaded_model, vae_name
from lib_optim.hosts.live import LiveModel, TableWeights
from lib_optim.hosts.originals import same_bits
from lib_optim.hosts.reforge.names import root_of
from lib_optim.hosts.reforge.patchers import take_out
from lib_optim.hosts.transforms import LiveTable
from lib_optim.hosts.webui.main_thread import run_on_main_thread
from lib_optim.hosts.webui.tensors import is_alive, parameter

if TYPE_CHECKING:
    import torch

__all__ = ["ReForgeModel", "intact_model", "refusal", "text_encoder_refusal"]

_SAMPLE = 12  # text encoder tensors compared with the file


def intact_model() -> Any:
    """Return the loaded model; None if there is none, or if reForge took it apart for a load that then failed."""
    model = loaded_model()
    objects = getattr(model, "forge_objects_original", None)
    if objects is None or getattr(objects.unet, "model", None) is None:
        return None
    return model if is_alive(objects.unet.model.diffusion_model) else None


class ReForgeModel(A1111Model):
    """Implements ``hosts.webui.session.WebuiModel`` on the loaded model.

    Args:
        base: The file that must be chosen and loaded.
        name: As sentences call the WebUI.
    """

    def __init__(self, base: Path, name: str) -> None:
        super().__init__(base)
        self.name = name

    def tensor(self, name: str) -> torch.Tensor:
        """See ``LiveModel.tensor``."""
        if self._maybe_baked:
            self.prepare()
        component, rest = name.split("/", 1)
        return parameter(root_of(self._anchor, component), rest)

    def guard(self) -> AbstractContextManager[object]:
        """See ``LiveModel.guard``."""
        import torch

        # Both make images in inference mode, and what they make anew there (after a LoRA) is an inference tensor, which
        # a copy under no_grad changes and then complains about.
        return torch.inference_mode()

    def prepare(self) -> None:
        """See ``LiveModel.prepare``."""
        run_on_main_thread(lambda: take_out(self._anchor))
        self._maybe_baked = False

    def _loaded(self) -> Any:
        return intact_model()

    def _reload_chosen(self) -> None:
        run_on_main_thread(super()._reload_chosen)

    def _conditioning_of_nothing(self) -> Any:
        return run_on_main_thread(super()._conditioning_of_nothing)


def refusal(model: Any, components: frozenset[str]) -> str | None:
    """Return why this model cannot be merged into, or None."""
    import torch
    from modules import sd_vae, shared

    objects = model.forge_objects_original
    modules = (objects.unet.model.diffusion_model, objects.clip.cond_stage_model)
    plain = (torch.float32, torch.float16, torch.bfloat16)
    odd = next((p.dtype for module in modules for p in module.parameters() if p.dtype not in plain), None)
    scaled = any(getattr(layer, "scale_weight", None) is not None for module in modules for layer in module.modules())
    if odd is not None or scaled:
        kind = str(odd).removeprefix("torch.") if odd is not None else "a scaled form"
        return (
            f"The model is stored in {kind}, which loses what a merge changes; start the WebUI without its fp8 options "
            "and choose a checkpoint in fp16, bf16 or fp32."
        )
    if getattr(shared.opts, "sd_hypernetwork", "None") not in (None, "", "None"):
        return "A hypernetwork is added to every prompt and changes the model beside the merge; set it to None."
    if "vae" in components and sd_vae.loaded_vae_file is not None:
        return (
            f"The VAE {vae_name(sd_vae.loaded_vae_file)} replaces the checkpoint's own, so the VAE cannot be merged; "
            "set 'SD VAE' to None or leave the VAE out of the merge."
        )
    return None


def text_encoder_refusal(
    model: LiveModel, table: LiveTable, component_of: Callable[[str], str | None], file: Path
) -> str | None:
    """Return why the text encoder cannot be merged into, or None.

    reForge can put another file's text encoder in place of the checkpoint's, and notes that for the last load only: so
    a sample of the tensors is compared with the file.
    """
    from safetensors import safe_open

    keys = [key for key in table.sources if component_of(key) == "text_encoder"]
    weights = TableWeights(table, model, component_of)
    with safe_open(str(file), framework="pt", device="cpu") as stored:
        for key in keys[:: max(1, len(keys) // _SAMPLE)]:
            live = weights.read(key).cpu()
            if not same_bits(stored.get_tensor(key).to(live.dtype), live):
                return (
                    "The loaded text encoder is not the checkpoint's own, so it cannot be merged; set the WebUI's "
                    "'Text Encoder' to Automatic or None and load the checkpoint again, or leave the text encoder out "
                    "of the merge."
                )
    return None
