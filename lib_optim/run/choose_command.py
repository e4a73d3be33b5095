"""``python -m lib_optim choose``: the front of a run with several objectives, and which trial of it shall win."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import RunError
from lib_optim.run.choosing import by_weights, points_of_last
from lib_optim.search.pareto import front

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager
    from lib_optim.run.recorded import Recorded

__all__ = ["add_choose_parser", "choose_from"]


def add_choose_parser(commands: Any) -> None:
    """Add the subcommand to `commands`, as ``add_subparsers`` returns them."""
    choose = commands.add_parser(
        "choose",
        help="choose the winner of a run with several goals",
        description="Without a trial or weights: list the trials that no other one beats on all goals. With one "
        "of them, or with weights that say what matters: record that choice; it is verified and saved as the winner.",
    )
    choose.add_argument("folder", help="name of the run folder")
    choose.add_argument("trial", type=int, nargs="?", default=None, help="number of the trial")
    choose.add_argument(
        "--weight", action="append", default=[], metavar="GOAL=WEIGHT", help="what matters how much; repeatable"
    )
    choose.add_argument("--none", action="store_true", help="take the choice back")
    choose.set_defaults(command="choose")


def choose_from(manager: RunManager, options: argparse.Namespace) -> str:
    """Do it; return what to print.

    Raises:
        OptimError: The run cannot be read, or the choice cannot be made.
    """
    if (options.trial is not None) + bool(options.weight) + options.none > 1:
        raise RunError("Choose a trial, or give weights, or take the choice back with --none: one of the three.")
    run = manager.recorded(options.folder)
    if options.weight:
        number = by_weights(run, _weights(options.weight))
    elif options.trial is not None or options.none:
        number = options.trial
    else:
        return "\n".join(_table(run))
    manager.choose(number, options.folder)
    return "\n".join(_table(manager.recorded(options.folder)))


def _weights(texts: Sequence[str]) -> dict[str, float]:
    found = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            found[name] = float(number)
        except ValueError:
            raise RunError(f"'{text}' is no weight of a goal; write it like NAME=0.5.") from None
    return found


def _table(run: Recorded) -> Iterator[str]:
    axes, points = points_of_last(run)
    values = {trial.number: trial.value or 0.0 for trial in run.trials}
    rows = [("trial", *axes, "value", "")]
    for number in sorted(front(points), key=lambda number: -values[number]):
        mark = "chosen" if number == run.chosen else "wins" if number == run.winner else ""
        rows.append((str(number), *(f"{value:.4g}" for value in points[number]), f"{values[number]:.4g}", mark))
    if run.winner is not None and run.winner in points and run.winner not in front(points):
        beaten = (f"{value:.4g}" for value in points[run.winner])
        mark = f"{'chosen' if run.winner == run.chosen else 'wins'}, though others beat it"
        rows.append((str(run.winner), *beaten, f"{values[run.winner]:.4g}", mark))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=False)) + f"  {row[-1]}"
