"""From an `ImageJob` to ``StableDiffusionProcessingTxt2Img`` or, with an init image, ``…Img2Img``."""

from __future__ import annotations

import dataclasses
from typing import Any

from lib_optim.plan.errors import HostError
from lib_optim.plan.payload import FORBIDDEN_OVERRIDES, OWN_FIELDS, ImageJob, Payload

__all__ = ["overrides_of", "payload_fields", "processing_class", "processing_fields"]

# Payload field to the field of StableDiffusionProcessingTxt2Img that carries it. Fields left out: the seeds come from
# the job, `clip_skip` and `override_settings` travel as settings.
_FIELDS = (
    "prompt", "negative_prompt", "steps", "cfg_scale", "width", "height", "sampler_name", "scheduler",
    "subseed_strength", "styles", "tiling", "restore_faces", "eta", "s_churn", "s_tmin", "s_noise",
    "enable_hr", "hr_scale", "hr_upscaler", "hr_second_pass_steps", "hr_resize_x", "hr_resize_y", "hr_sampler_name",
    "hr_scheduler", "hr_prompt", "hr_negative_prompt", "hr_cfg", "denoising_strength", "resize_mode",
)  # fmt: skip
_EMPTY_IS_NONE = ("sampler_name", "scheduler", "hr_upscaler", "hr_sampler_name", "hr_scheduler")
_AS_SETTINGS = ("seed", "subseed", "clip_skip", "override_settings")
# Not ours to let through: they swap models inside a generation, or ignore the weights that were written.
_FORBIDDEN = (*FORBIDDEN_OVERRIDES, "sd_unet", "sd_hypernetwork", "forge_unet_storage_dtype", "fp8_storage")


def payload_fields() -> frozenset[str]:
    """Return the payload fields that this WebUI's processing classes honour (`scheduler` is missing in old ones)."""
    known = _known() | _known(img2img=True)
    beside = {"alwayson_scripts"} | ({"init_image"} if "init_images" in known else set())
    return frozenset(_AS_SETTINGS) | beside | {name for name in _FIELDS if name in known}


def processing_fields(job: ImageJob, init_image: Any = None) -> dict[str, Any]:
    """Return the arguments for the processing class that make exactly this one image, unsaved.

    Args:
        job: The image.
        init_image: The picture to begin from; with one the arguments are those of ``StableDiffusionProcessingImg2Img``.

    Raises:
        HostError: The payload uses a field that this WebUI does not know, or something that bypasses the weights.
    """
    payload, known = job.payload, _known(img2img=init_image is not None)
    unknown = sorted(set(payload.used_fields()) - payload_fields() - OWN_FIELDS)
    if unknown:
        raise HostError(f"This WebUI has no {', '.join(unknown)}; remove it from payload '{payload.name}'.")
    if "<hypernet:" in payload.prompt or "<hypernet:" in payload.negative_prompt:
        raise HostError(
            f"Payload '{payload.name}' uses a hypernetwork, which changes the model beside the merge; remove it."
        )
    fields = {name: getattr(payload, name) for name in _FIELDS if name in known}
    fields["styles"] = list(payload.styles)
    for name in _EMPTY_IS_NONE:
        if name in fields:
            fields[name] = fields[name] or None
    fields |= {"seed": job.seed, "subseed": job.subseed, "batch_size": 1, "n_iter": 1}
    fields |= {"do_not_save_samples": True, "do_not_save_grid": True, "override_settings_restore_afterwards": False}
    # Forge: without these the second pass drops guidance, or stumbles over a missing list.
    forge_only = {"hr_cfg": payload.hr_cfg or payload.cfg_scale, "hr_additional_modules": ["Use same choices"]}
    if init_image is not None:
        fields["init_images"] = [init_image]
    return fields | {name: value for name, value in forge_only.items() if name in known}


def overrides_of(payload: Payload) -> dict[str, Any]:
    """Return the settings that hold for the payload's images.

    Raises:
        HostError: A setting that would replace or bypass the merged model.
    """
    for name in _FORBIDDEN:
        if name in payload.override_settings:
            raise HostError(
                f"Payload '{payload.name}' sets {name}, which would replace or bypass the merged model; remove it."
            )
    return {"CLIP_stop_at_last_layers": payload.clip_skip, **payload.override_settings}


def processing_class(img2img: bool) -> Any:
    """Return the WebUI's class for one image; None where it has none."""
    from modules import processing

    name = "StableDiffusionProcessingImg2Img" if img2img else "StableDiffusionProcessingTxt2Img"
    return getattr(processing, name, None)


def _known(img2img: bool = False) -> set[str]:
    found = processing_class(img2img)
    return {f.name for f in dataclasses.fields(found) if f.init} if found is not None else set()
