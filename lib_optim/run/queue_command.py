"""``python -m lib_optim queue``: runs one after another, from lines ``A + B = O`` or from plan files."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import OptimError, RunError
from lib_optim.plan.run_plan import RunPlan
from lib_optim.run.folder import file_name
from lib_optim.run.queueing import RunQueue

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager

__all__ = ["add_queue_parser", "queue_from", "read_plan"]


def add_queue_parser(commands: Any) -> None:
    """Add the subcommand to `commands`, as ``add_subparsers`` returns them."""
    queue = commands.add_parser(
        "queue",
        help="run several plans, one after another",
        description="Run lines 'model A + model B = name', each with the settings of --plan; a line may take the "
        "winner of another one as a model. Or run several plan files. Everything is checked before the first run "
        "begins. The same command goes on where it was left.",
    )
    queue.add_argument("files", type=Path, nargs="+", help="one text file of lines, or plan.json files")
    queue.add_argument("--plan", type=Path, default=None, help="plan.json with the settings of the lines' runs")
    queue.add_argument("--check", action="store_true", help="only check, and say in which order they would run")
    queue.set_defaults(command="queue")


def read_plan(path: Path) -> RunPlan:
    """Return the plan in a file.

    Raises:
        OptimError: It is no plan, in one sentence.
    """
    try:
        return RunPlan.from_json(json.loads(path.read_text(encoding="utf-8-sig")))
    except (OSError, ValueError, RecursionError) as error:
        raise OptimError(f"{path} cannot be read as a plan: {error}.") from error


def queue_from(manager: RunManager, options: argparse.Namespace, check: Callable[[RunPlan], None]) -> list[str]:
    """Put what the files say into a queue of their own, which the manager runs from now on.

    Args:
        manager: The run manager.
        options: As parsed.
        check: Refuses a plan that the command line cannot run.

    Returns:
        What will run, a line each, in order.

    Raises:
        OptimError: A file cannot be read, or another queue of this name was not finished.
        PlanError: Every problem of every run; nothing was begun.
    """
    files = [path.absolute() for path in options.files]
    stem = file_name(files[0].stem)
    kept = manager.host.paths().data / "queues" / f"{stem}.json"
    queue = RunQueue(manager, kept)
    source = _source([*files, *([options.plan] if options.plan else [])])
    going_on = bool(queue.items) and queue.source == source
    if not going_on:
        if any(item.state != "done" for item in queue.items):
            raise RunError(
                f"The queue {stem} was left with other runs in it; run the file it was begun with to its end, or "
                f"delete {kept}."
            )
        plans = _plans(queue, files, options.plan)
        for plan in plans:
            check(plan)
        if options.check:
            queue.refuse_broken(plans)
            return [_line(plan) for plan in plans]
        queue.clear()
        queue.add(plans, source)
    manager.take_queue(queue)
    return [_line(item.plan) for item in queue.items if item.state != "done"]


def _line(plan: RunPlan) -> str:
    names = " + ".join(Path(model.path).stem for model in plan.models)
    return f"{names} = {plan.save.name}" if plan.save.name else f"{plan.name}: {names}"


def _plans(queue: RunQueue, files: list[Path], template: Path | None) -> list[RunPlan]:
    if template is None and all(path.suffix.lower() == ".json" for path in files):
        return [read_plan(path) for path in files]
    if template is None or len(files) > 1:
        raise OptimError("A file of lines needs --plan PLAN.json with the settings of its runs, and goes by itself.")
    return queue.plans_of(_text(files[0]), read_plan(template))


def _source(files: list[Path]) -> str:
    return "\n".join(_text(path) for path in files)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise OptimError(f"{path} cannot be read: {error}.") from error
