"""Tables of trials as start points: our own ``trials.csv``, and the CSV that auto-MBW-rt writes.

| header | is | read as |
|---|---|---|
| ``trial, state, value, origin, …, reason`` | ours | every parameter's value, by name |
| ``0`` … ``26`` and ``score`` | auto-MBW-rt's | 27 block weights in the order of its sliders |

Other columns are left alone. The best rows by score come first; a row that was there before is left out.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import PlanError
from lib_optim.plan.starts import StartPoint
from lib_optim.plan.weight_strings import parse_weights

__all__ = ["StartTable", "starts_of_table"]

_OURS = (
    "trial",
    "pass",
    "state",
    "value",
    "origin",
    "recipe",
    "merge_s",
    "generate_s",
    "score_s",
    "restore_s",
    "reason",
)
_SLIDERS = tuple(str(i) for i in range(27))
_MOST_STARTS = 100
_Row = Mapping[str, str]


@dataclass(frozen=True)
class StartTable:
    """What a table holds.

    Attributes:
        points: The best rows, the best one first.
        form: What it was recognised as.
        rows: How many rows have a score.
        notes: What the user should know, a sentence each.
    """

    points: tuple[StartPoint, ...]
    form: str
    rows: int
    notes: tuple[str, ...] = ()


def starts_of_table(text: str, blocks: BlockMap, count: int, name: str) -> StartTable:
    """Read the best `count` trials of a table.

    Args:
        text: The whole file.
        blocks: Block map of model A.
        count: How many starts, 1 to 100.
        name: What the starts are called, before their number.

    Raises:
        PlanError: No such table, no row with a score, or a cell that is no number; one sentence.
    """
    if not 1 <= count <= _MOST_STARTS:
        raise PlanError(f"The number of starts must lie between 1 and {_MOST_STARTS}, not {count}.")
    try:
        reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
        header = [str(column) for column in reader.fieldnames or ()]
        rows = list(reader)
    except csv.Error as error:
        raise PlanError(f"The file cannot be read as a table of values with commas: {error}.") from error
    if set(_OURS) <= set(header):
        form, score, number, read = "Optim's trials.csv", "value", "trial", _ours
    elif {*_SLIDERS, "score"} <= set(header):
        form, score, number, read = "auto-MBW-rt's CSV", "score", "", _sliders
    else:
        raise PlanError(
            "The file is no table of trials that Optim knows: it reads its own trials.csv and auto-MBW-rt's CSV, whose "
            "columns are 0 to 26 and score."
        )
    scored = [(value, row) for row in rows if (value := _finite(row.get(score) or "")) is not None]
    if not scored:
        raise PlanError("No row of the table has a score, so there is no best one to begin with.")
    points: list[StartPoint] = []
    notes: tuple[str, ...] = ()
    for place, (value, row) in enumerate(sorted(scored, key=lambda pair: -pair[0]), 1):
        weights, values, notes = read(row, blocks)
        called = f"{name} {row[number] if number else place}"
        point = StartPoint(called, weights, values, value)
        if all((point.weights, point.values) != (other.weights, other.values) for other in points):
            points.append(point)
        if len(points) == count:
            break
    return StartTable(tuple(points), form, len(scored), notes)


_Read = tuple[Mapping[str, float], Mapping[str, Value], tuple[str, ...]]


def _ours(row: _Row, blocks: BlockMap) -> _Read:
    del blocks
    # A row with more cells than the header has columns keeps the rest as a list, under no name.
    found = {k: v for k, v in row.items() if isinstance(k, str) and isinstance(v, str)}
    named = {k: v for k, v in found.items() if k not in _OURS and not k.startswith(("score:", "axis:"))}
    return {}, {name: _value(cell) for name, cell in named.items() if cell}, ()


def _sliders(row: _Row, blocks: BlockMap) -> _Read:
    found = parse_weights(",".join(row[name] or "" for name in _SLIDERS), blocks, "sliders")
    return found.weights, {}, found.notes


_READERS: tuple[Callable[[str], Value], ...] = (int, float)


def _value(cell: str) -> Value:
    if cell in ("True", "False"):
        return cell == "True"
    for read in _READERS:
        try:
            return read(cell)
        except ValueError:
            continue
    return cell.removeprefix("'")  # our own table hides what a spreadsheet would run


def _finite(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
