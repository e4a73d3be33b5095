"""The rows of trials in the snapshot, and which of them go out at once: a page that has none asks several times."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lib_optim.plan.bounds import Value
from lib_optim.plan.records import Trial

__all__ = ["means", "next_rows", "trial_row"]


def trial_row(
    trial: Trial,
    scores: Mapping[str, float],
    marks: Iterable[str],
    memory: Mapping[str, float],
    drawn: Callable[[Mapping[str, Value]], Mapping[str, Value]] | None,
) -> dict[str, Any]:
    """Return a trial as the snapshot has it; what it lacks is left out.

    Args:
        trial: The trial.
        scores: Judge to mean raw score over its images.
        marks: What was said of any of its images.
        memory: See `lib_optim.run.footprint`.
        drawn: How its values are shown, where that is not as they are.
    """
    more = {
        "axes": dict(trial.axes),
        "watched": dict(trial.watched),
        "scores": dict(scores),
        "marks": sorted(set(marks)),
        "memory": dict(memory),
        "drawn": dict(drawn(trial.values)) if drawn is not None else {},
    }
    return {
        "number": trial.number,
        "state": trial.state,
        "value": trial.value,
        "origin": trial.origin,
        "reason": trial.reason,
        "recipe": trial.recipe,
        "pass": trial.pass_id,
        "seconds": dict(trial.seconds),
        "values": dict(trial.values),
        **{name: part for name, part in more.items() if part},
    }


def means(scores: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return judge to mean raw score, from judge to raw score of each image; rounded, for a look only."""
    found: dict[str, list[float]] = {}
    for image in scores:
        for name, raw in image.items():
            found.setdefault(name, []).append(raw)
    return {name: float(f"{sum(values) / len(values):.6g}") for name, values in found.items()}


def next_rows(
    trials: Mapping[int, tuple[int, Trial]], since: int, room: int | None, row: Callable[[Trial], dict[str, Any]]
) -> tuple[list[dict[str, Any]], int | None]:
    """Return the rows of what changed after revision `since`, by number, and where to go on.

    Args:
        trials: Number to revision and trial; no two of the same revision.
        since: Revision that the reader has.
        room: Characters that they may take, or None for all; one row always goes.
        row: Makes the row of a trial.

    Returns:
        The rows, and the revision that the reader has with them; None if these are all.
    """
    rows: list[dict[str, Any]] = []
    taken = 0
    last = since
    for revision, trial in sorted((entry for entry in trials.values() if entry[0] > since), key=lambda e: e[0]):
        made = row(trial)
        if room is not None:
            taken += len(json.dumps(made)) + 2
            if taken > room and rows:
                return sorted(rows, key=lambda r: r["number"]), last
        rows.append(made)
        last = revision
    return sorted(rows, key=lambda r: r["number"]), None
