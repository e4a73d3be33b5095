"""What can be said of one payload: its numbers, and whether the host can honour it."""

from __future__ import annotations

from collections.abc import Iterator

from lib_optim.hosts.base import Host
from lib_optim.plan.errors import Problem
from lib_optim.plan.payload import Payload

__all__ = ["payload_problems"]


def payload_problems(payload: Payload, where: str, host: Host) -> Iterator[Problem]:
    """Yield what is wrong with `payload`, which stands at `where` in the plan."""
    can = host.capabilities()
    yield from payload.problems(where)
    for name in payload.used_fields():
        if name not in can.payload_fields:
            yield Problem(
                f"{where}.{name}",
                f"Payload '{payload.name}' sets {name}, which {host.title} cannot honour; remove it.",
            )
    known = (("sampler_name", can.samplers, "sampler"), ("scheduler", can.schedulers, "scheduler"))
    for name, names, noun in known:
        value = getattr(payload, name)
        if value and name in can.payload_fields and value not in names:
            yield Problem(
                f"{where}.{name}",
                f"Payload '{payload.name}': {host.title} has no {noun} '{value}'; it has {', '.join(names[:12])}.",
            )
    if not can.loras and "<lora:" in payload.prompt:
        yield Problem(
            f"{where}.prompt", f"Payload '{payload.name}' uses a LoRA, which {host.title} cannot apply; remove it."
        )
