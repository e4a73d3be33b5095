"""The prompts of a plan, with the user's own wildcard files."""

from __future__ import annotations

from lib_optim.hosts.base import Host
from lib_optim.plan.run_plan import RunPlan
from lib_optim.plan.wildcards import Wildcards

__all__ = ["WILDCARDS_FOLDER", "with_prompts"]

WILDCARDS_FOLDER = "wildcards"
"""Below the host's `HostPaths.data`."""


def with_prompts(plan: RunPlan, host: Host) -> RunPlan:
    """Return `plan` with the wildcards of its prompts drawn; a plan that has none left comes back as it is.

    Raises:
        PlanError: A wildcard file is missing, or the like.
    """
    return plan.with_drawn_prompts(Wildcards(host.paths().data / WILDCARDS_FOLDER))
