"""The text that WebUIs write into their pictures: prompt, negative prompt, settings.

A1111, Forge and reForge write::

    a cat,
    on a mat
    Negative prompt: dog
    Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 1, Size: 512x512, X prompt: "a, b"

(A1111's ``create_infotext``; before version 1.9 the schedule was part of the sampler's name.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from lib_optim.plan.errors import PlanError
from lib_optim.plan.payload import Payload

__all__ = ["ReadInfotext", "infotext_payload", "infotext_prompt", "infotext_trial"]

_NEGATIVE, _SETTINGS = "Negative prompt: ", "Steps: "
_PAIR = re.compile(r'\s*([A-Za-z][^:,"]*?):\s*("(?:[^"\\]|\\.)*"|[^,]*)(?:,|$)')
_TRUE = ("true", "yes", "1")


@dataclass(frozen=True)
class ReadInfotext:
    """A payload that was read from an infotext.

    Attributes:
        payload: Its settings.
        left: Names of settings that shaped the picture and have no place in a payload.
    """

    payload: Payload
    left: tuple[str, ...]


def infotext_prompt(text: str) -> str:
    """Return the prompt in a WebUI's infotext; empty if there is none.

    The settings' line ends the prompt; a text without one is no infotext but a prompt of its own, and is not taken.
    """
    return _parts(text)[0]


def infotext_payload(
    text: str, name: str, samplers: Collection[str] = (), schedulers: Collection[str] = ()
) -> ReadInfotext:
    """Return the payload that would make the picture again with another model.

    Args:
        text: The infotext.
        name: Of the payload.
        samplers: Names that the host knows, to tell an old name that ends with a schedule; empty: any.
        schedulers: Likewise.

    Raises:
        PlanError: It is no infotext, or a setting in it cannot be read.
    """
    prompt, negative, line = _parts(text)
    if not line:
        raise PlanError("This holds no settings of a WebUI (no line 'Steps: …'); choose a picture that a WebUI made.")
    pairs = {match[1].strip(): _unquoted(match[2].strip()) for match in _PAIR.finditer(line)}
    values: dict[str, Any] = {"prompt": prompt, "negative_prompt": negative}
    for key, (field, read) in _FIELDS.items():
        if key in pairs:
            try:
                values[field] = read(pairs[key])
            except ValueError as error:
                raise PlanError(f"The setting '{key}' is '{pairs[key]}', which is no value for it.") from error
    for key, sides in (("Size", ("width", "height")), ("Hires resize", ("hr_resize_x", "hr_resize_y"))):
        if key in pairs:
            size = re.fullmatch(r"(\d+)x(\d+)", pairs[key])
            if size is None:
                raise PlanError(f"The setting '{key}' is '{pairs[key]}', which is no size.")
            values |= dict(zip(sides, map(int, size.groups()), strict=True))
    values["enable_hr"] = "Hires upscale" in pairs or "Hires resize" in pairs
    values |= _scheduled(values, samplers, schedulers)
    known = {*_FIELDS, "Size", "Hires resize", *_HARMLESS}
    left = tuple(key for key in pairs if key not in known and not key.startswith("Optim "))
    return ReadInfotext(Payload(name=name, **values), left)


def infotext_trial(text: str) -> tuple[str, int, str] | None:
    """Return the run folder, the trial and the recipe that a picture of Optim's names; None of another's."""
    values = {name: _unquoted(value) for name, value in _PAIR.findall(_parts(text)[2])}
    folder, _, number = values.get("Optim trial", "").rpartition(" ")
    if not folder or not number.isdecimal() or len(number) > 9:
        return None
    return folder, int(number), values.get("Optim recipe", "")


def _parts(text: str) -> tuple[str, str, str]:
    """Return prompt, negative prompt and the settings' line; three empty texts if there is no such line."""
    lines = text.replace("\r\n", "\n").split("\n")
    ends = [i for i, line in enumerate(lines) if line.startswith(_SETTINGS)]
    if not ends:
        return "", "", ""
    before, line = lines[: ends[-1]], ", ".join(lines[ends[-1] :])
    cut = next((i for i, line in enumerate(before) if line.startswith(_NEGATIVE)), len(before))
    negative = "\n".join(before[cut:]).removeprefix(_NEGATIVE)
    return "\n".join(before[:cut]).strip(), negative.strip(), line


def _unquoted(value: str) -> str:
    if value.startswith('"'):
        try:
            return str(json.loads(value))
        except ValueError:
            return value
    return value


def _scheduled(values: Mapping[str, Any], samplers: Collection[str], schedulers: Collection[str]) -> dict[str, str]:
    """Part an old sampler name, DPM++ 2M Karras, into sampler and schedule, where the host knows both of them."""
    sampler, schedule = values.get("sampler_name", ""), values.get("scheduler", "")
    if not schedule and samplers and sampler not in samplers:
        for name in schedulers:
            if sampler.endswith(f" {name}") and sampler.removesuffix(f" {name}") in samplers:
                return {"sampler_name": sampler.removesuffix(f" {name}"), "scheduler": name}
    return {}


def _schedule(value: str) -> str:
    return "" if value == "Automatic" else value


_FIELDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "Steps": ("steps", int),
    "Sampler": ("sampler_name", str),
    "Schedule type": ("scheduler", _schedule),
    "CFG scale": ("cfg_scale", float),
    "Seed": ("seed", int),
    "Variation seed": ("subseed", int),
    "Variation seed strength": ("subseed_strength", float),
    "Clip skip": ("clip_skip", int),
    "Denoising strength": ("denoising_strength", float),
    "Hires upscale": ("hr_scale", float),
    "Hires steps": ("hr_second_pass_steps", int),
    "Hires upscaler": ("hr_upscaler", str),
    "Hires sampler": ("hr_sampler_name", str),
    "Hires schedule type": ("hr_scheduler", _schedule),
    "Hires prompt": ("hr_prompt", str),
    "Hires negative prompt": ("hr_negative_prompt", str),
    "Hires CFG Scale": ("hr_cfg", float),
    "Eta": ("eta", float),
    "Sigma churn": ("s_churn", float),
    "Sigma tmin": ("s_tmin", float),
    "Sigma noise": ("s_noise", float),
    "Tiling": ("tiling", lambda value: value.lower() in _TRUE),
    "Face restoration": ("restore_faces", bool),
}
"""Key in the infotext to field of the payload, and how its text is read."""
_HARMLESS = frozenset(
    {"Model", "Model hash", "VAE", "VAE hash", "Version", "Hashes", "Lora hashes", "TI hashes", "User", "Size-1",
     "Size-2", "Batch size", "Batch pos", "Module 1", "Module 2", "Module 3", "Diffusion in Low Bits", "RNG"}
)  # fmt: skip
"""What names the model, which the merge replaces, or the program; nothing to tell the user about."""
