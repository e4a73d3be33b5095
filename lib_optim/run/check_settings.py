"""What can be said of a plan without opening a model: numbers, payloads, scorers, sampler."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lib_optim.hosts.base import Host
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.judging import comparing_problems
from lib_optim.plan.objectives import axis_problems
from lib_optim.plan.payload import jobs_of
from lib_optim.plan.presets import preset
from lib_optim.plan.run_plan import RunPlan
from lib_optim.run.check_combining import judging_problems
from lib_optim.run.check_payload import payload_problems
from lib_optim.run.check_shared import shared_problems
from lib_optim.run.check_verify import verify_problems
from lib_optim.run.pictures import format_problem
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
    yield from comparing_problems(plan.scorers)
    yield from axis_problems(plan.scorers)
    yield from judging_problems(plan)
    yield from verify_problems(plan, host, scorers_dir, countable=not payloads)
    yield from sampler_problems(plan.sampler)
    yield from plan.sampler.design.problems()
    yield from _presets(plan)
    yield from shared_problems(plan)


def _scalars(plan: RunPlan) -> Iterator[Problem]:
    if not 1 <= plan.budget.trials <= MAX_TRIALS:
        yield Problem(
            "budget.trials", f"The number of trials must lie between 1 and {MAX_TRIALS}, not {plan.budget.trials}."
        )
    yield from _stop_rules(plan)
    if not 0 <= plan.ahead <= 10:
        yield Problem("ahead", f"From 0 to 10 trials may wait while the next one is made, not {plan.ahead}.")
    if not 0 <= plan.seed < 2**32:
        yield Problem("seed", f"The seed must lie between 0 and {2**32 - 1}, not {plan.seed}.")
    if not plan.name.strip():
        yield Problem("name", "The run has no name; give it one.")


def _stop_rules(plan: RunPlan) -> Iterator[Problem]:
    budget = plan.budget
    if plan.disk.gigabytes < 0:
        sentence = f"The disk budget must not be below 0, as {plan.disk.gigabytes:g} GB is; 0 stands for: no limit."
        yield Problem("disk.gigabytes", sentence)
    if wrong := format_problem(plan.disk):
        yield Problem("disk.format", wrong)
    least = (
        ("images", budget.images, "The number of images", "set no limit"),
        ("minutes", budget.minutes, "The number of minutes", "set no limit"),
        ("patience", budget.patience, "The patience", "go on however long nothing gets better"),
        ("min_delta", budget.min_delta, "What counts as better", "take any improvement"),
    )
    for name, value, label, none in (*least, ("target", budget.target or 0.0, "The target score", "")):
        if not math.isfinite(value):
            yield Problem(f"budget.{name}", f"{label} must be a number, not {value:g}.")
        elif none and value < 0:
            yield Problem(f"budget.{name}", f"{label} must not be below 0, as {value:g} is; 0 stands for: {none}.")
    images = sum(payload.images for payload in plan.payloads)
    # With later passes, it is the last one that pays for the verification.
    held_out = sum(payload.images for payload in plan.verify.payloads)
    again = 0 if plan.passes else plan.verify.finalists * (images + held_out)
    if 0 < budget.images < images + again:
        verifying = f" and the verification {again}" if again else ""
        yield Problem(
            "budget.images",
            f"One trial makes {images} images{verifying}, and the budget allows {budget.images}; allow more, or choose "
            "fewer payloads" + (" or finalists." if again else "."),
        )


def _payloads(plan: RunPlan, host: Host) -> Iterator[Problem]:
    if not plan.payloads:
        yield Problem("payloads", "No payload is chosen; choose at least one prompt to generate.")
    elif not any(payload.score_weight > 0 for payload in plan.payloads):
        yield Problem("payloads", "Every payload has score weight 0, so nothing would be scored; raise one.")
    for name, count in Counter(payload.name for payload in plan.payloads).items():
        if count > 1:
            yield Problem("payloads", f"Two payloads are called '{name}'; rename one.")
    for i, payload in enumerate(plan.payloads):
        yield from payload_problems(payload, f"payloads[{i}]", host)


def _presets(plan: RunPlan) -> Iterator[Problem]:
    for name in plan.sampler.presets:
        try:
            preset(name)
        except PlanError as error:
            yield Problem("sampler.presets", str(error))
