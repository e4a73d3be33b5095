"""The prompts of a plan, with the user's own wildcard files, and the pictures that its images begin from."""

from __future__ import annotations

from lib_optim.hosts.base import Host
from lib_optim.plan.run_plan import RunPlan
from lib_optim.plan.wildcards import Wildcards
from lib_optim.run.init_images import with_init_images

__all__ = ["WILDCARDS_FOLDER", "with_prompts"]

WILDCARDS_FOLDER = "wildcards"
"""Below the host's `HostPaths.data`."""


def with_prompts(plan: RunPlan, host: Host) -> RunPlan:
    """Return `plan` with the wildcards of its prompts drawn and its init images looked up.

    A plan that leaves nothing open comes back as it is.

    Raises:
        PlanError: A wildcard file or a picture is missing, or the like.
    """
    return with_init_images(plan.with_drawn_prompts(Wildcards(host.paths().data / WILDCARDS_FOLDER)), host)
