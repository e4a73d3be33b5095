"""What can be said of one payload: its numbers, and whether the host can honour it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lib_optim.hosts.base import Host
from lib_optim.plan.errors import Problem
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.payload import Payload
from lib_optim.plan.payload_extras import FORBIDDEN_SCRIPTS

__all__ = ["payload_problems"]


def payload_problems(payload: Payload, where: str, host: Host) -> Iterator[Problem]:
    """Yield what is wrong with `payload`, which stands at `where` in the plan."""
    can = host.capabilities()
    yield from payload.problems(where)
    used = payload.used_fields()
    for name in used:
        if name not in can.payload_fields:
            yield Problem(
                f"{where}.{name}",
                f"Payload '{payload.name}' sets {name}, which {host.title} cannot honour; remove it.",
            )
    for name, noun, names in (
        ("sampler_name", "sampler", can.samplers),
        ("scheduler", "scheduler", can.schedulers),
        ("hr_sampler_name", "sampler", can.samplers),
        ("hr_scheduler", "scheduler", can.schedulers),
        ("hr_upscaler", "upscaler", can.upscalers),
        ("styles", "style", can.styles),
    ):
        if name in can.payload_fields and name in used:
            given = getattr(payload, name)
            asked = (given,) if isinstance(given, str) else given
            yield from _unknown(payload, f"{where}.{name}", f"{host.title} has no {noun}", asked, names)
    if "alwayson_scripts" in can.payload_fields:
        # The WebUI's API takes a script's title in any case.
        scripts = {script.name.lower(): script.name for script in can.scripts}
        named = [scripts.get(name.strip().lower(), name) for name in payload.alwayson_scripts]
        allowed = [name for name in named if name.strip().lower() not in FORBIDDEN_SCRIPTS]
        path = f"{where}.alwayson_scripts"
        names = tuple(scripts.values())
        yield from _unknown(payload, path, f"{host.title} has no always-on script", allowed, names)
    if not can.loras and "<lora:" in payload.prompt:
        yield Problem(
            f"{where}.prompt", f"Payload '{payload.name}' uses a LoRA, which {host.title} cannot apply; remove it."
        )


def _unknown(payload: Payload, path: str, lacks: str, given: Sequence[str], names: Sequence[str]) -> Iterator[Problem]:
    for value in given:
        if value and value not in names:
            has = f"it has {', '.join(names[:12])}" if names else "it has none"
            hint = did_you_mean(value, names)
            yield Problem(path, f"Payload '{payload.name}': {lacks} '{value}'; {has}.{hint}")
