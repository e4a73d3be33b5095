"""Merges written as lines, ``A + B = O``, as model-mixer and supermerger take them: one run each.

    # a comment
    modelA + modelB = name1
    name1 + modelC = name2        # the winner of the first run is a parent of the second

In a line with spaces about a plus sign, names may hold plus signs themselves. The order of the lines is free: a run
follows those whose winners it takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lib_optim.plan.errors import PlanError, Problem

__all__ = ["MergeLine", "in_order", "read_lines"]

MOST_LINES = 200
_COMMENT = re.compile(r"(?:^|\s)#.*$")


@dataclass(frozen=True)
class MergeLine:
    """One line: `parents` (model A first) merged into `name`; `number` counts from 1."""

    number: int
    parents: tuple[str, ...]
    name: str

    @property
    def where(self) -> str:
        """Its place, for messages."""
        return f"lines[{self.number}]"


def read_lines(text: str) -> tuple[MergeLine, ...]:
    """Return the merges of `text`, in its order.

    Raises:
        PlanError: A sentence per line that cannot be read; names that two lines give; no line at all.
    """
    lines: list[MergeLine] = []
    problems: list[Problem] = []
    for number, raw in enumerate(text.splitlines(), 1):
        stripped = _COMMENT.sub("", raw).strip()
        if not stripped:
            continue
        line = _line(number, stripped)
        if line is None:
            shown = stripped if len(stripped) <= 60 else f"{stripped[:57]}..."
            sentence = f"Line {number}, '{shown}', cannot be read; write it as 'model A + model B = name'."
            problems.append(Problem(f"lines[{number}]", sentence))
        else:
            lines.append(line)
    first: dict[str, int] = {}
    for line in lines:
        at = first.setdefault(line.name.casefold(), line.number)
        if at != line.number:
            sentence = f"Lines {at} and {line.number} both make '{line.name}'; give one of them another name."
            problems.append(Problem(line.where, sentence))
    if not lines and not problems:
        problems.append(Problem("lines", "There is no line; write one merge per line, 'model A + model B = name'."))
    if len(lines) > MOST_LINES:
        problems.append(Problem("lines", f"{len(lines)} lines are too many; the queue takes {MOST_LINES} at a time."))
    if problems:
        raise PlanError(problems)
    return tuple(lines)


def _line(number: int, text: str) -> MergeLine | None:
    merged, equals, name = text.rpartition("=")
    name = name.strip()
    spaced = re.search(r"\s\+\s", merged)
    parents = tuple(part.strip() for part in (re.split(r"\s\+\s", merged) if spaced else merged.split("+")))
    return MergeLine(number, parents, name) if equals and name and len(parents) > 1 and all(parents) else None


def in_order(lines: Sequence[MergeLine], made: Iterable[str] = ()) -> tuple[MergeLine, ...]:
    """Return `lines` so that each follows those whose names it takes, otherwise as they were.

    Args:
        lines: As `read_lines` returns them.
        made: Names that something else makes; no line waits for them.

    Raises:
        PlanError: Lines that wait for each other.
    """
    known = {name.casefold() for name in made}
    names = {line.name.casefold() for line in lines} - known
    left, ordered = list(lines), list[MergeLine]()
    while left:
        done = {line.name.casefold() for line in ordered}
        ready = next((line for line in left if not _needs(line, names) - done), None)
        if ready is None:
            raise PlanError([_cycle(left, names)])
        ordered.append(ready)
        left.remove(ready)
    return tuple(ordered)


def _needs(line: MergeLine, names: Iterable[str]) -> set[str]:
    return {parent.casefold() for parent in line.parents} & set(names)


def _cycle(left: Sequence[MergeLine], names: set[str]) -> Problem:
    """Return what is wrong with lines none of which can be the first: every one of them waits for another."""
    by_name = {line.name.casefold(): line for line in left}
    seen: list[MergeLine] = []
    line = left[0]
    while line not in seen:
        seen.append(line)
        line = next(by_name[name] for name in sorted(_needs(line, names)) if name in by_name)
    ring = seen[seen.index(line) :]
    if len(ring) == 1:
        sentence = f"Line {line.number} makes '{line.name}' from itself; give its result another name."
    else:
        which = ", ".join(str(one.number) for one in sorted(ring, key=lambda one: one.number))
        sentence = f"Lines {which} wait for each other's results; one of them must begin from models that are there."
    return Problem(line.where, sentence)
