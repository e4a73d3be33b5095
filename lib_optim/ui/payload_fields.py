"""The fields of the payload editor: what they are called, and which of them a host can honour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lib_optim.hosts.base import HostCapabilities
from lib_optim.plan.payload import LIMITS, OWN_FIELDS, Payload

__all__ = ["FIELDS", "PayloadField", "payload_fields_json"]


@dataclass(frozen=True)
class PayloadField:
    """A field of the editor.

    `kind`: ``text``, ``long`` (several lines), ``whole``, ``number``, ``bool``, ``many`` (several of a list),
    ``choice``, ``option`` (a number with a name), ``sampler``, ``scheduler``, ``upscaler``, ``picture``, ``scripts`` or
    ``json``. `group` is empty for what is in sight, else the title of a fold.
    """

    name: str
    title: str
    kind: str
    group: str = ""
    help: str = ""


_VARIATION, _HIRES, _PICTURE, _MORE = "Variation", "Hires fix", "Begin from a picture (img2img)", "More"
_SCRIPTS = "Scripts of the WebUI (ADetailer, ControlNet, …)"
_RESIZE = ((0, "stretch it"), (1, "crop it"), (2, "fill up the sides"), (3, "stretch it as latent"))

FIELDS = (
    PayloadField("name", "Name", "text"),
    PayloadField("prompt", "Prompt", "long"),
    PayloadField("negative_prompt", "Negative prompt", "long"),
    PayloadField("width", "Width", "whole"),
    PayloadField("height", "Height", "whole"),
    PayloadField("steps", "Steps", "whole"),
    PayloadField("cfg_scale", "CFG scale", "number"),
    PayloadField("sampler_name", "Sampler", "sampler"),
    PayloadField("scheduler", "Schedule", "scheduler"),
    PayloadField("batch_size", "Images", "whole", help="Per trial, seeds counting up; more tell merges apart better."),
    PayloadField("seed", "First seed", "whole", help="-1: drawn at Start and kept, so that all merges get the same."),
    PayloadField("score_weight", "Weight", "number", help="Its share in the score; 0: made and shown, not scored."),
    PayloadField("clip_skip", "Clip skip", "whole"),
    PayloadField("enabled", "In new plans", "bool", _MORE, "Off: kept, but not ticked when you start afresh."),
    PayloadField(
        "caption", "What judges read instead of the prompt", "long", _MORE,
        "A plain sentence, where the prompt is a list of tags.",
    ),
    PayloadField(
        "wildcards", "Wildcards in the prompts", "choice", _MORE,
        "{red|blue} and __file__: draw one text per image at Start, make all, or off.",
    ),
    PayloadField("styles", "Styles", "many", _MORE, "Texts that the WebUI puts around the prompt, in this order."),
    PayloadField("tiling", "Tiling", "bool", _MORE),
    PayloadField("restore_faces", "Restore faces", "bool", _MORE),
    PayloadField("eta", "Eta", "number", _MORE, "Empty: the WebUI's own."),
    PayloadField("s_churn", "Sigma churn", "number", _MORE),
    PayloadField("s_tmin", "Sigma tmin", "number", _MORE),
    PayloadField("s_noise", "Sigma noise", "number", _MORE),
    PayloadField(
        "override_settings", "Settings of the WebUI for these images", "json", _MORE,
        'JSON, such as {"eta_noise_seed_delta": 31337}; settings that swap the model are refused.',
    ),
    PayloadField(
        "init_image", "Picture", "picture", _PICTURE,
        "Images begin from it instead of from noise. It lies beside your payloads; a run keeps what it began with.",
    ),
    PayloadField("resize_mode", "If its size is another", "option", _PICTURE),
    PayloadField(
        "denoising_strength", "Denoising strength", "number", _PICTURE,
        "How much is made anew, of this picture or by hires fix: 0 nothing, 1 all.",
    ),
    PayloadField("enable_hr", "Hires fix", "bool", _HIRES, "A second pass at a larger size; strength: see above."),
    PayloadField("hr_scale", "Upscale by", "number", _HIRES),
    PayloadField("hr_resize_x", "or to this width", "whole", _HIRES, "0: by the factor."),
    PayloadField("hr_resize_y", "and this height", "whole", _HIRES, "0: as the width wants it."),
    PayloadField("hr_upscaler", "Upscaler", "upscaler", _HIRES),
    PayloadField("hr_second_pass_steps", "Hires steps", "whole", _HIRES, "0: as many as above."),
    PayloadField("hr_sampler_name", "Hires sampler", "sampler", _HIRES, "Empty: as above."),
    PayloadField("hr_scheduler", "Hires schedule", "scheduler", _HIRES, "Empty: as above."),
    PayloadField("hr_cfg", "Hires CFG scale", "number", _HIRES, "0: as above."),
    PayloadField("hr_prompt", "Hires prompt", "long", _HIRES, "Empty: as above. Wildcards are not drawn in it."),
    PayloadField("hr_negative_prompt", "Hires negative prompt", "long", _HIRES, "Empty: as above."),
    PayloadField(
        "alwayson_scripts", "Scripts that work on these images", "scripts", _SCRIPTS,
        'As in the WebUI\'s API: {"name": {"args": [...]}}. Scripts that are not named here stay out of it.',
    ),
    PayloadField("subseed", "Variation seed", "whole", _VARIATION, "-1: drawn at Start and kept."),
    PayloadField("subseed_strength", "Variation strength", "number", _VARIATION),
)  # fmt: skip
"""In the order in which they are shown. `n_iter` is not asked for: the editor counts images, batched or not."""


def payload_fields_json(can: HostCapabilities, pictures: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the fields that a host honours, with limits, defaults and what to choose from.

    Args:
        can: What the host can do.
        pictures: Names of the pictures in the user's payloads folder.
    """
    scripts = [{"name": row.name, "arguments": [list(argument) for argument in row.arguments]} for row in can.scripts]
    named: dict[str, Sequence[Any]] = {
        "sampler": can.samplers, "scheduler": can.schedulers, "choice": ("draw", "all", "off"), "many": can.styles,
        "upscaler": can.upscalers, "picture": pictures, "option": [list(row) for row in _RESIZE], "scripts": scripts,
    }  # fmt: skip
    needed = {"scheduler", "scripts"}  # without a choice there is nothing to say
    blank = Payload("new").to_json()
    return [
        {
            "name": row.name,
            "title": row.title,
            "kind": row.kind,
            "group": row.group,
            "help": row.help,
            "default": "" if row.name == "name" else blank[row.name],
            "limits": list(LIMITS.get(row.name, ())),
            "choices": list(named.get(row.kind, ())),
        }
        for row in FIELDS
        if (row.name in OWN_FIELDS or row.name in can.payload_fields) and (row.kind not in needed or named[row.kind])
    ]
