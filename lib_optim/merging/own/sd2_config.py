"""Stable Diffusion 2.x for sd-mecha, which has no list of its keys: UNet and VAE of SD1, and OpenCLIP's text encoder.

The model config ``sd2-optim``: layout of Stability AI's ``v2-1`` checkpoints. Its 23 text layers are the first 23 of
OpenCLIP ViT-H/14; files that carry the 24th are read as well.
"""

import copy

from sd_mecha.extensions import model_configs
from sd_mecha.extensions.model_configs import KeyMetadata, ModelComponent, ModelConfigImpl

__all__ = ["IDENTIFIER"]

IDENTIFIER = "sd2-optim"
_OPEN_CLIP, _OURS = "conditioner.embedders.1.model.", "cond_stage_model.model."
_WIDTHS = {1280: 1024, 3840: 3072, 5120: 4096}  # of SDXL's OpenCLIP ViT-bigG to ViT-H
_LAYERS = 24


def _text_encoder() -> ModelComponent:
    keys = {}
    for key, meta in model_configs.resolve("sdxl-sgm").components()["clip_g"].keys().items():
        path = key.removeprefix(_OPEN_CLIP)
        layer = path.split(".")[2] if path.startswith("transformer.resblocks.") else "0"
        if int(layer) < _LAYERS:
            shape = [_WIDTHS.get(size, size) for size in meta.shape]
            keys[_OURS + path] = KeyMetadata(shape, meta.dtype, optional=int(layer) == _LAYERS - 1 or meta.optional)
    return ModelComponent(keys)


def _register() -> None:
    sd1 = model_configs.resolve("sd1-ldm").components()
    parts = {name: copy.deepcopy(sd1[name]) for name in ("vae", "diffuser", "ema", "scheduler") if name in sd1}
    model_configs.register_aux(ModelConfigImpl(IDENTIFIER, {"clip_h": _text_encoder(), **parts}))


if IDENTIFIER not in {config.identifier for config in model_configs.get_all_aux()}:
    _register()
