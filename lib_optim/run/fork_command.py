"""``python -m lib_optim fork``: its options, and what they make of the parent's plan."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.changes import changed_plan
from lib_optim.plan.errors import OptimError
from lib_optim.plan.run_plan import RunPlan
from lib_optim.run.folder import RunFolder

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager

__all__ = ["add_fork_parser", "fork_from"]


def add_fork_parser(commands: Any) -> None:
    """Add the subcommand to `commands`, as ``add_subparsers`` returns them."""
    fork = commands.add_parser(
        "fork",
        help="a new run from an earlier one",
        description="Start a new run from what an earlier one has made. Trials whose images are still the same "
        "pictures are taken over and scored by the new judges, without generating them again; then the search goes on.",
    )
    fork.add_argument("folder", help="name of the earlier run's folder, which is only read")
    fork.add_argument("--plan", type=Path, default=None, help="take this plan.json instead of the earlier run's")
    fork.add_argument("--name", default="", help="of the new run")
    fork.add_argument("--trials", type=int, default=None, help="new trials, beyond those taken over")
    fork.add_argument("--sampler", default="", help="another sampler, with its defaults")
    fork.add_argument(
        "--scorer",
        action="append",
        default=[],
        metavar="ID[=WEIGHT]",
        help="these judges and no others; repeatable",
    )
    fork.add_argument("--axis", action="append", default=[], metavar="ID=GOAL", help="goal of a judge; ID= for none")
    fork.add_argument(
        "--payload-weight", action="append", default=[], metavar="NAME=WEIGHT", help="share of a payload in the score"
    )
    fork.add_argument(
        "--bound", action="append", default=[], metavar="PARAMETER=BOUND", help="such as IN05_alpha=0.2..0.4 or M00=0.5"
    )
    fork.set_defaults(command="fork")


def fork_from(manager: RunManager, options: argparse.Namespace, check: Callable[[RunPlan], None]) -> str:
    """Start the fork; return what was taken over, a sentence.

    Args:
        manager: The run manager.
        options: As parsed.
        check: Refuses a plan that the command line cannot run.

    Raises:
        OptimError: A file cannot be read, or the plan cannot run.
    """
    plan = RunFolder.open(manager.outputs, options.folder).read_plan()
    if options.plan is not None:
        try:
            plan = RunPlan.from_json(json.loads(options.plan.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError) as error:
            raise OptimError(f"{options.plan} cannot be read as a plan: {error}.") from error
    plan = changed_plan(
        plan, options.name, options.trials, options.sampler, options.scorer, options.payload_weight, options.bound,
        options.axis,
    )  # fmt: skip
    check(plan)
    return manager.fork(options.folder, plan)[1].sentence
