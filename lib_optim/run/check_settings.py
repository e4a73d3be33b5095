"""What can be said of a plan without opening a model: numbers, payloads, scorers, sampler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lib_optim.hosts.base import Host
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.payload import jobs_of
from lib_optim.plan.presets import preset
from lib_optim.plan.run_plan import RunPlan
from lib_optim.scoring.check import scorers_problems
from lib_optim.search.samplers import sampler_problems

__all__ = ["settings_problems"]

MAX_TRIALS = 100_000


def settings_problems(plan: RunPlan, host: Host, scorers_dir: Path) -> Iterator[Problem]:
    """Yield what is wrong with everything but the models, the method and the guide."""
    yield from _scalars(plan)
    payloads = list(_payloads(plan, host))
    yield from payloads
    # What the payloads ask for can be counted only when their numbers are within bounds.
    yield from scorers_problems(plan.scorers, scorers_dir, () if payloads else jobs_of(plan.payloads))
    yield from sampler_problems(plan.sampler)
    yield from plan.sampler.design.problems()
    yield from _presets(plan)


def _scalars(plan: RunPlan) -> Iterator[Problem]:
    if not 1 <= plan.budget.trials <= MAX_TRIALS:
        yield Problem(
            "budget.trials", f"The number of trials must lie between 1 and {MAX_TRIALS}, not {plan.budget.trials}."
        )
    if not 0 <= plan.seed < 2**32:
        yield Problem("seed", f"The seed must lie between 0 and {2**32 - 1}, not {plan.seed}.")
    if not plan.name.strip():
        yield Problem("name", "The run has no name; give it one.")


def _payloads(plan: RunPlan, host: Host) -> Iterator[Problem]:
    if not plan.payloads:
        yield Problem("payloads", "No payload is chosen; choose at least one prompt to generate.")
    elif not any(payload.score_weight > 0 for payload in plan.payloads):
        yield Problem("payloads", "Every payload has score weight 0, so nothing would be scored; raise one.")
    for name, count in Counter(payload.name for payload in plan.payloads).items():
        if count > 1:
            yield Problem("payloads", f"Two payloads are called '{name}'; rename one.")
    can = host.capabilities()
    for i, payload in enumerate(plan.payloads):
        where = f"payloads[{i}]"
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


def _presets(plan: RunPlan) -> Iterator[Problem]:
    for name in plan.sampler.presets:
        try:
            preset(name)
        except PlanError as error:
            yield Problem("sampler.presets", str(error))
