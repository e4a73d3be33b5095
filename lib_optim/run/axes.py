"""What trials are worth on each axis of their pass, computed from the recorded raw scores; and a search's front."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.records import Trial
from lib_optim.run.comparisons import Comparisons
from lib_optim.run.marks import Marks
from lib_optim.run.passes import RunPass
from lib_optim.run.store import Store
from lib_optim.run.valuing import Values
from lib_optim.search.pareto import front

__all__ = ["pareto_json", "points_of", "with_axis_values"]


def with_axis_values(trials: Iterable[Trial], passes: Iterable[RunPass], store: Store) -> list[Trial]:
    """Return recorded trials with their values on the axes of their passes; none for a trial that lacks a score.

    Raises:
        StoreError: The record cannot be read.
    """
    values = Values(store)
    several = {run_pass.id: run_pass for run_pass in passes if run_pass.record.axes}
    said = Comparisons(store)
    found = []
    for trial in trials:
        axes: Mapping[str, float] = {}
        if trial.pass_id in several and trial.state == "complete":
            with contextlib.suppress(ScorerError):  # it is on no front, as in the run itself
                axes = _recorded(several[trial.pass_id], trial.number, store, values, said)
        found.append(dataclasses.replace(trial, axes=axes) if axes else trial)
    return found


def _recorded(run_pass: RunPass, number: int, store: Store, values: Values, said: Comparisons) -> dict[str, float]:
    marks, raw = Marks(store), dict[int, dict[str, float]]()
    for score in store.scores(number):
        if not marks.load(score):
            raw.setdefault(score.image, {})[score.scorer] = score.raw
    made = {image.index: image.skipped for image in store.images(number)}
    there = [index for index, skipped in made.items() if not skipped] if made else sorted(raw)  # another worker's
    out = marks.marked(number, "mark: left out")
    images = [i for i in there if i not in out and run_pass.jobs[i].payload.score_weight > 0]
    unrated = marks.marked(number, "mark: unrated")
    return values.axes(run_pass, said.added(run_pass, number, raw, images, unrated), images, unrated)


def points_of(trials: Iterable[Trial], search: RunPass) -> dict[int, tuple[float, ...]]:
    """Return the complete trials of a search by number, as points on its axes."""
    axes = search.record.axes
    return {
        trial.number: tuple(trial.axes[axis] for axis in axes)
        for trial in trials
        if trial.pass_id == search.id and trial.state == "complete" and all(axis in trial.axes for axis in axes)
    }


def pareto_json(search: RunPass | None, trials: Iterable[Trial], chosen: int | None) -> dict[str, Any] | None:
    """Return the part ``pareto`` of the snapshot; None where the search has one objective."""
    if search is None or not search.record.axes:
        return None
    points = points_of(trials, search)
    return {
        "axes": list(search.record.axes),
        "pass": search.id,
        "front": front(points),
        "chosen": chosen if chosen in points else None,
    }
