"""What can be wrong with the parts of a payload that are more than a number: its init image and its scripts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import Problem

if TYPE_CHECKING:
    from lib_optim.plan.payload import Payload

__all__ = ["FORBIDDEN_SCRIPTS", "extra_problems", "script_args"]

FORBIDDEN_SCRIPTS: Mapping[str, str] = {
    "refiner": "which swaps the model inside a generation",
    "seed": "whose settings a payload has as fields of its own (seed, subseed, subseed_strength)",
    "sampler": "whose settings a payload has as fields of its own (steps, sampler_name, scheduler)",
}
"""Scripts of the WebUI that a payload must not name, in lower case, and why."""
_DIGEST = re.compile(r"[0-9a-f]{32}")


def extra_problems(payload: Payload, where: str) -> Iterator[Problem]:
    """Yield what is wrong with init image, hires fix and scripts of `payload`, a sentence each."""
    said = f"Payload '{payload.name}'"
    name = payload.init_image
    if name and (re.search(r'[/\\:\x00-\x1f*?"<>|]', name) or name.startswith(".")):
        yield Problem(
            f"{where}.init_image",
            f"{said}: init_image is the name of a picture in the payloads folder, not a path; put the picture there.",
        )
    if payload.init_digest and not _DIGEST.fullmatch(payload.init_digest):
        yield Problem(f"{where}.init_digest", f"{said}: init_digest is no digest; remove it, Optim writes it at Start.")
    if name and payload.enable_hr:
        yield Problem(
            f"{where}.enable_hr",
            f"{said} has an init image and hires fix, and no WebUI does both; remove one of them.",
        )
    for script, given in payload.alwayson_scripts.items():
        yield from _script_problems(script, given, f"{where}.alwayson_scripts.{script}", said)


def script_args(given: Any) -> list[Any]:
    """Return the arguments of a script in `Payload.alwayson_scripts`; none are the host's own defaults."""
    return list(given.get("args") or ()) if isinstance(given, Mapping) else []


def _script_problems(script: str, given: Any, path: str, said: str) -> Iterator[Problem]:
    why = FORBIDDEN_SCRIPTS.get(script.strip().lower())
    if why is not None:
        yield Problem(path, f"{said} names the script {script}, {why}; remove it.")
    odd = sorted(set(given) - {"args"}) if isinstance(given, Mapping) else ["?"]
    if odd or not isinstance(given.get("args", []), list | tuple):
        yield Problem(
            path, f'{said}: the script {script} takes {{"args": [...]}} as in the WebUI\'s API, and nothing else.'
        )
        return
    try:
        json.dumps(given, allow_nan=False)
    except (TypeError, ValueError):
        yield Problem(path, f"{said}: the arguments of the script {script} must be plain JSON.")
