"""The text that travels with an image, in the WebUI's format."""

from __future__ import annotations

import json
from collections.abc import Mapping

from lib_optim.hosts.standalone.samplers import sampler_row
from lib_optim.plan.payload import ImageJob

__all__ = ["infotext_of"]


def infotext_of(job: ImageJob, checkpoint: str, sha256: str, version: str, stamp: Mapping[str, str]) -> str:
    """Return prompt, negative prompt and one line of ``Name: value`` pairs; `stamp` comes last but for the version."""
    payload = job.payload
    values: dict[str, object] = {
        "Steps": payload.steps,
        "Sampler": sampler_row(payload.sampler_name).title,
        "Schedule type": payload.scheduler or "Automatic",
        "CFG scale": f"{payload.cfg_scale:g}",
        "Seed": job.seed,
        "Size": f"{payload.width}x{payload.height}",
    }
    if sha256:
        values["Model hash"] = sha256[:10]
    values["Model"] = checkpoint
    if payload.subseed_strength:
        values |= {"Variation seed": job.subseed, "Variation seed strength": f"{payload.subseed_strength:g}"}
    if payload.init_image:
        values |= {"Denoising strength": f"{payload.denoising_strength:g}", "Init image": payload.init_image}
    if payload.clip_skip != 1:
        values["Clip skip"] = payload.clip_skip
    values |= {**stamp, "Version": version}
    lines = [payload.prompt]
    if payload.negative_prompt:
        lines.append(f"Negative prompt: {payload.negative_prompt}")
    lines.append(", ".join(f"{name}: {_quoted(str(value))}" for name, value in values.items()))
    return "\n".join(lines)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if any(c in value for c in ",\n:") else value
