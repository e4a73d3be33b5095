"""One image: noise, denoising with classifier-free guidance, decoding."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lib_optim.hosts.standalone.encode import encode, pad_alike
from lib_optim.hosts.standalone.img2img import begun
from lib_optim.hosts.standalone.model import LoadedModel
from lib_optim.hosts.standalone.samplers import build_scheduler, sampler_row
from lib_optim.plan.errors import HostError
from lib_optim.plan.payload import ImageJob

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = ["generate_image"]

_SCALE = 8  # pixels per latent


def generate_image(
    model: LoadedModel, job: ImageJob, on_step: Callable[[int, int], None], picture: Image.Image | None = None
) -> Image.Image:
    """Generate one image (mode RGB). The same model bits and job give the same pixels.

    Random numbers come from one CPU generator per image, seeded with `job.seed`, on every device.

    Args:
        model: A loaded checkpoint.
        job: What to generate.
        on_step: Called with (steps done, steps) before each step and before decoding; may raise to end it.
        picture: Mode RGB; the image begins from it instead of from noise alone.

    Raises:
        HostError: Something in the payload cannot be honoured, or the result is not finite.
    """
    import torch

    payload = job.payload
    row = sampler_row(payload.sampler_name)
    scheduler = build_scheduler(row, payload.scheduler, model.prediction, model.zero_terminal_snr)
    unet = model.modules["unet"]
    with torch.no_grad():
        guided = payload.cfg_scale != 1.0
        positive = encode(model, payload.prompt, payload.clip_skip)
        if guided:
            negative = encode(model, payload.negative_prompt, payload.clip_skip, negative=True)
            positive, negative = pad_alike(model, positive, negative, payload.clip_skip)
        prompts = [negative, positive] if guided else [positive]
        context = torch.cat([prompt.context for prompt in prompts])
        added = _added(prompts, payload.width, payload.height)
        generator = torch.Generator("cpu").manual_seed(job.seed)
        shape = (1, unet.config.in_channels, payload.height // _SCALE, payload.width // _SCALE)
        noise = _noise(shape, generator, job, payload.subseed_strength).to(unet.device)
        scheduler.set_timesteps(payload.steps, device=unet.device)
        timesteps = scheduler.timesteps
        if picture is None:
            latents = noise * scheduler.init_noise_sigma
        else:
            latents, timesteps = begun(model.modules["vae"], scheduler, picture, noise, payload)
        total = len(timesteps)
        extra = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
        for i, timestep in enumerate(timesteps):
            on_step(i, total)
            scaled = scheduler.scale_model_input(torch.cat([latents] * len(prompts)), timestep).to(unet.dtype)
            predicted = unet(scaled, timestep, encoder_hidden_states=context, added_cond_kwargs=added).sample.float()
            if guided:
                without, with_prompt = predicted.chunk(2)
                predicted = without + payload.cfg_scale * (with_prompt - without)
            latents = scheduler.step(predicted, timestep, latents, **extra).prev_sample
        on_step(total, total)
        return _decode(model.modules["vae"], latents)


def _added(prompts: list[Any], width: int, height: int) -> dict[str, torch.Tensor] | None:
    """SDXL's second conditioning: pooled prompts, and original size, crop and target size (height first)."""
    import torch

    if prompts[0].pooled is None:
        return None
    pooled = torch.cat([prompt.pooled for prompt in prompts])
    sizes = pooled.new_tensor([[height, width, 0, 0, height, width]]).repeat(len(prompts), 1)
    return {"text_embeds": pooled, "time_ids": sizes}


def _noise(shape: tuple[int, ...], generator: torch.Generator, job: ImageJob, strength: float) -> torch.Tensor:
    """Noise of the seed, turned towards that of the variation seed along the great circle."""
    import torch

    noise = torch.randn(shape, generator=generator)
    if strength == 0:
        return noise
    other = torch.randn(shape, generator=torch.Generator("cpu").manual_seed(job.subseed))
    cosine = torch.dot(noise.flatten(), other.flatten()) / (noise.norm() * other.norm())
    angle = torch.arccos(cosine.clamp(-1, 1))
    if float(torch.sin(angle)) < 1e-4:
        return torch.lerp(noise, other, strength)
    return (torch.sin((1 - strength) * angle) * noise + torch.sin(strength * angle) * other) / torch.sin(angle)


def _decode(vae: Any, latents: torch.Tensor) -> Image.Image:
    import torch
    from PIL import Image

    pixels = vae.decode(latents.to(vae.dtype) / vae.config.scaling_factor).sample[0].float()
    if not bool(torch.isfinite(pixels).all()):
        raise HostError("The image has non-finite pixels, so the weights do not work together; it gets no score.")
    pixels = ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy(), mode="RGB")
