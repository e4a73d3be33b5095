"""The parts of a Stable Diffusion model: which checkpoint keys they take, how diffusers builds and converts them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lib_optim.hosts.standalone.config import clip_config, open_clip_config, unet_config, vae_config

if TYPE_CHECKING:
    import torch

__all__ = ["PARTS", "Part"]

Shapes = Mapping[str, tuple[int, ...]]
_UNET = "model.diffusion_model."
_VAE = "first_stage_model."


@dataclass(frozen=True)
class Part:
    """One module of the model.

    Attributes:
        name: Its name in `LoadedModel.modules`, and the beginning of its live names.
        component: Component name in ``plan.architectures``.
        prefix: What its checkpoint keys begin with.
        build: Makes the module from the shapes of the whole checkpoint; call where parameters become meta tensors.
        convert: Turns a checkpoint state dict (whole keys) into the module's own, by diffusers' converter.
    """

    name: str
    component: str
    prefix: str
    build: Callable[[Shapes], torch.nn.Module]
    convert: Callable[[dict[str, torch.Tensor], torch.nn.Module], Mapping[str, torch.Tensor]]


def _under(shapes: Shapes, prefix: str) -> dict[str, tuple[int, ...]]:
    return {key[len(prefix) :]: shape for key, shape in shapes.items() if key.startswith(prefix)}


def _unet(shapes: Shapes, pooled: int | None) -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(**unet_config(_under(shapes, _UNET), pooled))


def _convert_unet(tensors: dict[str, torch.Tensor], module: Any) -> Mapping[str, torch.Tensor]:
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    return convert_ldm_unet_checkpoint(tensors, dict(module.config))


def _vae(shapes: Shapes, scaling: float) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(**vae_config(_under(shapes, _VAE), scaling))


def _convert_vae(tensors: dict[str, torch.Tensor], module: Any) -> Mapping[str, torch.Tensor]:
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    return convert_ldm_vae_checkpoint(tensors, dict(module.config))


def _full_name(key: str) -> str:
    """Files of 2022 lack ``text_model.`` in the names of CLIP's tensors."""
    return key if key.startswith("text_model.") else f"text_model.{key}"


def _clip(shapes: Shapes, prefix: str) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    named = {_full_name(key): shape for key, shape in _under(shapes, prefix).items()}
    return CLIPTextModel(CLIPTextConfig(**clip_config(named)))


def _convert_clip(tensors: dict[str, torch.Tensor], _: Any) -> Mapping[str, torch.Tensor]:
    from diffusers.loaders.single_file_utils import convert_ldm_clip_checkpoint

    return {_full_name(key): tensor for key, tensor in convert_ldm_clip_checkpoint(tensors).items()}


_BIGG = "conditioner.embedders.1.model."


def _open_clip(shapes: Shapes) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    return CLIPTextModelWithProjection(CLIPTextConfig(**open_clip_config(_under(shapes, _BIGG))))


def _convert_open_clip(tensors: dict[str, torch.Tensor], module: Any) -> Mapping[str, torch.Tensor]:
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint

    return convert_open_clip_checkpoint(module, tensors, _BIGG)


def _pooled(shapes: Shapes) -> int:
    return open_clip_config(_under(shapes, _BIGG))["projection_dim"]


_CLIP_1, _CLIP_XL = "cond_stage_model.transformer.", "conditioner.embedders.0.transformer."

# By architecture id. Latents are scaled by these numbers: Rombach et al. 2022, Podell et al. 2023.
PARTS: Mapping[str, tuple[Part, ...]] = {
    "sd1": (
        Part("text_encoder", "text_encoder", _CLIP_1, lambda s: _clip(s, _CLIP_1), _convert_clip),
        Part("unet", "unet", _UNET, lambda s: _unet(s, None), _convert_unet),
        Part("vae", "vae", _VAE, lambda s: _vae(s, 0.18215), _convert_vae),
    ),
    "sdxl": (
        Part("text_encoder", "text_encoder", _CLIP_XL, lambda s: _clip(s, _CLIP_XL), _convert_clip),
        Part("text_encoder_2", "text_encoder", _BIGG, _open_clip, _convert_open_clip),
        Part("unet", "unet", _UNET, lambda s: _unet(s, _pooled(s)), _convert_unet),
        Part("vae", "vae", _VAE, lambda s: _vae(s, 0.13025), _convert_vae),
    ),
}
