"""What can be said of the later passes of a plan before the first one begins."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from lib_optim.hosts.base import Host
from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.dimensions import Space
from lib_optim.plan.errors import Problem
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.passes import free_names, free_space, later_pass
from lib_optim.plan.run_plan import RunPlan, VerifySpec
from lib_optim.plan.starts import start_problems
from lib_optim.run.check_settings import settings_problems
from lib_optim.search.samplers import fit_problems, sampler_problems

__all__ = ["free_problems", "pass_problems"]

_OWN = ("payloads", "scorers", "sampler", "budget")


def pass_problems(plan: RunPlan, host: Host, scorers_dir: Path) -> Iterator[Problem]:
    """Yield what is wrong with what the later passes of `plan`, its seeds drawn, do otherwise than the first."""
    for i, spec in enumerate(plan.passes):
        own = {name: getattr(spec, name) for name in _OWN if getattr(spec, name) is not None}
        verify = plan.verify if spec is plan.passes[-1] else VerifySpec(0)
        alone = dataclasses.replace(plan, **own, passes=(), verify=verify)
        # Scorers and images may be wrong only together: either's change makes both this pass's own.
        roots = set(own) | ({"scorers", "budget"} if "payloads" in own else set())
        for problem in settings_problems(alone, host, scorers_dir):
            if problem.where.split(".")[0].split("[")[0] in roots:
                yield Problem(f"passes[{i}].{problem.where}", f"Pass {i + 2}: {problem.sentence}")


def free_problems(plan: RunPlan, space: Space, blocks: BlockMap) -> Iterator[Problem]:
    """Yield what is wrong with the parameters that the later passes of `plan` search, and with who searches them."""
    names = [parameter.name for parameter in space.parameters]
    for i, spec in enumerate(plan.passes):
        for pattern in spec.free:
            if not free_names((pattern,), names):
                yield Problem(
                    f"passes[{i}].free",
                    f"Pass {i + 2} shall search '{pattern}', which is no parameter of this run and means none."
                    f"{did_you_mean(pattern, names)}",
                )
        record = later_pass(plan, i + 1)
        part = free_space(space, free_names(spec.free, names))
        if part.parameters and not sampler_problems(record.sampler):
            for problem in fit_problems(record.sampler, part, record.budget.trials, len(record.axes)):
                yield Problem(f"passes[{i}].{problem.where}", f"Pass {i + 2}: {problem.sentence}")
        for problem in start_problems(spec.sampler.start if spec.sampler else (), space, blocks):
            yield Problem(f"passes[{i}].{problem.where}", f"Pass {i + 2}: {problem.sentence}")
