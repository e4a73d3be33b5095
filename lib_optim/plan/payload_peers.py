"""What other programs call a payload's fields, and what else stands in their files.

sd-webui-bayesian-merger and sd-optim write ``cargo`` files with the fields of the WebUI's txt2img API; auto-MBW-rt
saves such a request. What has no effect with the value that is given is left away; what would have one is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lib_optim.plan.errors import Problem

__all__ = ["own_fields"]

_ALIASES: Mapping[str, str] = {
    "cfg": "cfg_scale", "neg_prompt": "negative_prompt", "sampler_index": "sampler_name",
}  # fmt: skip
"""Their name to ours; where both are given, ours counts."""
_WILDCARDS: Mapping[str, str] = {"none": "off", "random": "draw", "combinatorial": "all"}
"""auto-MBW-rt's ``wildcard_type``."""
_NOTHING: tuple[Any, ...] = (None, "", 0, -1, False, [], {})
_WITHOUT_EFFECT: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(
        ("firstphase_width", "firstphase_height", "seed_resize_from_h", "seed_resize_from_w", "s_tmax", "script_name",
         "script_args", "reverse_scoring", "vpred_enabled", "hr_checkpoint_name", "refiner_checkpoint", "infotext"),
        lambda value: value in _NOTHING,
    ),
    # where images go, and settings of what was off
    **dict.fromkeys(
        ("extension_name", "refiner_switch_at", "do_not_save_samples", "do_not_save_grid", "send_images", "save_images",
         "override_settings_restore_afterwards", "comments", "force_task_id", "disable_extra_networks"),
        lambda value: True,
    ),
}  # fmt: skip
_INSTEAD: Mapping[str, str] = {
    "firstphase_width": "give width and hr_resize_x", "firstphase_height": "give height and hr_resize_y",
    "script_name": "only always-on scripts run: alwayson_scripts",
    "vpred_enabled": "name the script in alwayson_scripts",
    "refiner_checkpoint": "a refiner would replace the merge", "hr_checkpoint_name": "it would replace the merge",
}  # fmt: skip


def own_fields(given: Mapping[str, Any], where: str, problems: list[Problem]) -> dict[str, Any]:
    """Return a payload of somebody's as the fields of ours; what cannot be taken over is added to `problems`.

    Args:
        given: Its fields.
        where: Its path in the file.
        problems: One more for each field that would do something that we do not.
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        path = f"{where}.{name}" if where else name
        if name in _WITHOUT_EFFECT:
            if not _WITHOUT_EFFECT[name](value):
                hint = _INSTEAD.get(name, "remove it")
                problems.append(Problem(path, f"'{name}' is not done by Optim, so it can't be {value!r}; {hint}."))
        elif name == "wildcard_type":
            if value not in _WILDCARDS:
                known = ", ".join(_WILDCARDS)
                problems.append(Problem(path, f"'wildcard_type' is '{value}'; Optim knows {known}."))
            found["wildcards"] = _WILDCARDS.get(str(value), "draw")
        elif name in _ALIASES:
            if _ALIASES[name] not in given:
                found[_ALIASES[name]] = value
        elif value is not None:  # nothing, in a request, is the default
            found[name] = value
    return found
