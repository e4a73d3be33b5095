"""An image that begins from a picture: brought to size, encoded, and covered with noise to be taken away again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lib_optim.plan.payload import Payload

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = ["begun", "resized"]

_LATENT = 3
"""The resize mode that stretches what the VAE made of the picture, and not the picture."""


def begun(
    vae: Any, scheduler: Any, picture: Image.Image, noise: torch.Tensor, payload: Payload
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the latents to begin with, and the time steps that are left for them.

    As many of the last steps as the WebUI takes (``sd_samplers_common.setup_img2img_steps``): of 20 steps at a strength
    of 0.5 the last 11. The VAE's mean is taken, not a draw from around it, so that the same picture is the same start.

    Args:
        vae: The model's VAE.
        scheduler: Its time steps set.
        picture: Mode RGB.
        noise: [1, channels, height / 8, width / 8], standard normal.
        payload: `resize_mode`, `denoising_strength`, `steps` and size.
    """
    import torch

    fitting = picture if payload.resize_mode == _LATENT else resized(picture, payload)
    latents = _encoded(vae, fitting).to(noise.device)
    if latents.shape != noise.shape:
        latents = torch.nn.functional.interpolate(latents, size=tuple(noise.shape[2:]), mode="bilinear")
    taken = int(min(payload.denoising_strength, 0.999) * payload.steps)
    first = max(payload.steps - taken - 1, 0) * scheduler.order
    timesteps = scheduler.timesteps[first:]
    if hasattr(scheduler, "set_begin_index"):  # DDIM goes by the time steps alone
        scheduler.set_begin_index(first)
    return scheduler.add_noise(latents, noise, timesteps[:1]), timesteps


def resized(picture: Image.Image, payload: Payload) -> Image.Image:
    """Return `picture` in the payload's size: stretched (0), cropped (1), or whole with its edges drawn out (2)."""
    from PIL import Image

    size = (payload.width, payload.height)
    if payload.resize_mode not in (1, 2) or picture.size == size:
        return picture.resize(size, Image.Resampling.LANCZOS)
    scales = [wanted / given for wanted, given in zip(size, picture.size, strict=True)]
    scale = max(scales) if payload.resize_mode == 1 else min(scales)
    width, height = (max(1, round(given * scale)) for given in picture.size)
    scaled = picture.resize((width, height), Image.Resampling.LANCZOS)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    if payload.resize_mode == 1:
        return scaled.crop((-left, -top, size[0] - left, size[1] - top))
    # The edges are drawn out to both sides, then the picture is put between.
    whole = Image.new("RGB", size)
    right, below = size[0] - left - width, size[1] - top - height
    if top > 0:
        whole.paste(scaled.crop((0, 0, width, 1)).resize((size[0], top)), (0, 0))
    if below > 0:
        whole.paste(scaled.crop((0, height - 1, width, height)).resize((size[0], below)), (0, top + height))
    if left > 0:
        whole.paste(scaled.crop((0, 0, 1, height)).resize((left, size[1])), (0, 0))
    if right > 0:
        whole.paste(scaled.crop((width - 1, 0, width, height)).resize((right, size[1])), (left + width, 0))
    whole.paste(scaled, (left, top))
    return whole


def _encoded(vae: Any, picture: Image.Image) -> torch.Tensor:
    """The VAE takes multiples of 8 pixels: the picture is stretched by the few that are missing."""
    import numpy as np
    import torch

    width, height = (max(8, round(side / 8) * 8) for side in picture.size)
    pixels = torch.from_numpy(np.array(picture.resize((width, height)) if picture.size != (width, height) else picture))
    scaled = pixels.permute(2, 0, 1)[None].to(vae.device, vae.dtype) / 127.5 - 1
    return vae.encode(scaled).latent_dist.mode().float() * vae.config.scaling_factor
