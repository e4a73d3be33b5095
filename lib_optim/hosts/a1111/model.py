"""The live model of A1111: an `nn.Module` with the checkpoint's own names, but for ``.wrapped.``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.hosts.a1111.loras import take_out
from lib_optim.hosts.webui.caches import drop_prompt_caches
from lib_optim.hosts.webui.checkpoints import chosen_info, same_file
from lib_optim.hosts.webui.tensors import is_alive, parameter
from lib_optim.plan.errors import HostChanged

if TYPE_CHECKING:
    import torch

__all__ = ["A1111Model", "loaded_model", "refusal", "vae_name"]

_MARK = "optim merge"  # shown as the model's hash; any reload into the same object replaces it


def loaded_model() -> Any:
    """Return the loaded model or None, without loading one as ``shared.sd_model`` would."""
    from modules import sd_models

    return sd_models.model_data.sd_model


class A1111Model:
    """Implements ``hosts.webui.session.WebuiModel`` on the loaded model.

    Args:
        base: The file that must be chosen and loaded.
    """

    name = "A1111"
    """As sentences call the WebUI."""

    def __init__(self, base: Path) -> None:
        from modules import sd_vae

        self._base = base
        self._anchor = self._loaded()
        self._vae = sd_vae.loaded_vae_file
        self._marked = False
        self._leaving = False
        self._maybe_baked = True
        self._stale_text = False
        self._text_written = False
        self._empty_prompt: Any = None

    def _loaded(self) -> Any:
        return loaded_model()

    @property
    def module(self) -> Any:
        """The session's model object."""
        return self._anchor

    def tensor(self, name: str) -> torch.Tensor:
        """See ``LiveModel.tensor``."""
        if self._maybe_baked:
            self.prepare()
        return parameter(self._anchor, name)

    def guard(self) -> AbstractContextManager[object]:
        """See ``LiveModel.guard``."""
        import torch

        return torch.no_grad()

    def check_same(self) -> None:
        """See ``LiveModel.check_same``."""
        from modules import sd_vae

        model = self._anchor
        if self._loaded() is not model and not (self._leaving and self._intact()):
            raise HostChanged(
                f"{self.name} has loaded another model; choose the run's base again, then resume the run."
            )
        if not self._intact():
            raise HostChanged(
                f"{self.name} has loaded its model anew; choose the run's base again, then resume the run."
            )
        if not self._leaving and sd_vae.loaded_vae_file != self._vae:
            raise HostChanged(
                f"The VAE was changed from {vae_name(self._vae)} to {vae_name(sd_vae.loaded_vae_file)}; "
                "choose the former one again, then resume the run."
            )

    def _intact(self) -> bool:
        """Whether our object still holds what we left in it."""
        model = self._anchor
        return (
            model is not None
            and same_file(model.sd_checkpoint_info.filename, self._base)
            and is_alive(model)
            and (not self._marked or model.sd_model_hash == _MARK)
        )

    def chosen(self) -> bool:
        """See ``WebuiModel.chosen``."""
        chosen = chosen_info()
        return chosen is not None and same_file(chosen.filename, self._base)

    def adopt(self) -> bool:
        """See ``WebuiModel.adopt``."""
        if not self.chosen():
            chosen = chosen_info()
            name = chosen.title if chosen is not None else "nothing"
            raise HostChanged(
                f"{name} was chosen in {self.name} instead of the run's base {self._base.name}; choose the base again, "
                "then resume the run."
            )
        try:
            self._reload_chosen()
        except Exception as error:
            raise HostChanged(
                f"{self.name} could not load the run's base again ({error}); load it, then resume."
            ) from error
        model = self._loaded()
        new = model is not self._anchor or self._marked  # a mark still set was lost to a reload
        self._anchor, self._marked = model, False
        self.check_same()
        self.prepare()
        return new

    def _reload_chosen(self) -> None:
        from modules import sd_models

        sd_models.reload_model_weights()  # nothing if it is loaded

    def prepare(self) -> None:
        """See ``LiveModel.prepare``."""
        take_out(self._anchor)
        self._maybe_baked = False

    def wrote(self, component: str) -> None:
        """See ``LiveModel.wrote``."""
        if component != "text_encoder":
            return
        if not self._text_written:
            self._empty_prompt = getattr(self._anchor, "cond_stage_model_empty_prompt", None)
        self._text_written = self._stale_text = True

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """See ``WebuiModel.shown``."""
        model = self._anchor
        before, self._marked = model.sd_model_hash, True
        model.sd_model_hash = _MARK
        try:
            yield
        finally:
            # A hash that is no longer ours belongs to weights that are no longer ours.
            if model.sd_model_hash == _MARK:
                model.sd_model_hash = before
                self._marked = False

    def freshen(self) -> None:
        """See ``WebuiModel.freshen``."""
        if not self._stale_text:
            return
        self._stale_text = False
        drop_prompt_caches()
        if self._empty_prompt is not None:
            # Prompts of unequal length are padded with this, and it is computed at load only.
            self._anchor.cond_stage_model_empty_prompt = self._conditioning_of_nothing()

    def _conditioning_of_nothing(self) -> Any:
        import torch
        from modules import devices, sd_models

        with devices.autocast(), torch.no_grad():
            return sd_models.get_empty_cond(self._anchor)

    def leave(self) -> None:
        """See ``WebuiModel.leave``."""
        self._leaving = True

    def settle(self) -> None:
        """See ``WebuiModel.settle``."""
        self._leaving = False
        if not self._text_written:
            return
        self._text_written = self._stale_text = False
        drop_prompt_caches()
        if self._empty_prompt is not None and is_alive(self._anchor):
            # Even where A1111 has read the file anew into this object: that does not compute it again.
            self._anchor.cond_stage_model_empty_prompt = self._empty_prompt
        self._empty_prompt = None

    def generated(self) -> None:
        """See ``WebuiModel.generated``."""
        self._maybe_baked = True


def refusal(model: Any, components: frozenset[str]) -> str | None:
    """Return why this model cannot be merged into, or None."""
    from modules import sd_unet, sd_vae, shared

    if any(p.element_size() == 1 for p in model.parameters()) or any(
        getattr(module, "fp16_weight", None) is not None for module in model.modules()
    ):
        return "The model is stored in fp8, which loses what a merge changes; turn off 'FP8 weight' in the settings."
    get_option = getattr(sd_unet, "get_unet_option", None)
    if sd_unet.current_unet is not None or (get_option is not None and get_option() is not None):
        return "A replacement UNet (TensorRT or the like) ignores the model's weights; set 'SD Unet' to None."
    if getattr(shared.opts, "sd_hypernetwork", "None") not in (None, "", "None"):
        return "A hypernetwork is added to every prompt and changes the model beside the merge; set it to None."
    if "vae" in components and sd_vae.loaded_vae_file is not None:
        return (
            f"The VAE {vae_name(sd_vae.loaded_vae_file)} replaces the checkpoint's own, so the VAE cannot be merged; "
            "set 'SD VAE' to None or leave the VAE out of the merge."
        )
    return None


def vae_name(file: str | None) -> str:
    """Return what a sentence calls the VAE in `file`; None is the checkpoint's own."""
    return Path(file).name if file else "the checkpoint's own"
