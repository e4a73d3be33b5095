"""Who wins: the best few of a search are made again from fresh seeds, and old and new images decide together.

The best of many noisy values is too good to be true, the more so the more were tried. Its images from fresh seeds,
the same for every finalist, give an honest value. Among the finalists old and fresh images tell equally much (for
equal noise per image their mean orders the finalists by posterior mean, however they were selected), so both count.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from lib_optim.plan.records import Trial
from lib_optim.search.pareto import front, spread

__all__ = ["again_origin", "finalists", "reruns", "together", "verified_number"]

_PREFIX = "verify: "


def again_origin(number: int) -> str:
    """Return the origin of the trial that makes trial `number` again."""
    return f"{_PREFIX}{number}"


def verified_number(trial: Trial) -> int | None:
    """Return the number of the trial that `trial` makes again, or None."""
    rest = trial.origin.removeprefix(_PREFIX)
    return int(rest) if rest != trial.origin and rest.isdigit() else None


def reruns(trials: Iterable[Trial]) -> dict[int, Trial]:
    """Return the trials of one verification by the number of what they make again; the last one of several."""
    found: dict[int, Trial] = {}
    for trial in trials:
        number = verified_number(trial)
        if number is not None:
            found[number] = trial
    return found


def finalists(
    trials: Sequence[Trial],
    again: Mapping[int, Trial],
    count: int,
    axes: Sequence[str] = (),
    chosen: int | None = None,
) -> list[Trial]:
    """Return the best `count` trials of a search, no two alike, best first; the earlier of equals.

    With several objectives they are spread over the front: what the user chose, the best by value, the best on each
    axis, then always what is farthest from those before; the rest by value.

    One that could not be made again (it failed, or the user skipped it) gives its place to the next best; after
    `count` such places no more are filled, because then something is wrong with the whole verification.

    Args:
        trials: The trials of the search, in every state.
        again: As from `reruns`.
        count: How many are wanted, at least 0.
        axes: The objectives, if there are several.
        chosen: The trial that the user chose among them, if any.
    """
    scored = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    taken: list[Trial] = []
    seen: set[str] = set()
    lost = 0
    for trial in _ranked(scored, axes, chosen):
        point = json.dumps(dict(trial.values), sort_keys=True)
        if len(taken) >= count or lost > count:
            break
        if point in seen:
            continue
        seen.add(point)
        if trial.number in again and again[trial.number].state in ("failed", "skipped"):
            lost += 1
        else:
            taken.append(trial)
    return taken


def _ranked(scored: Sequence[Trial], axes: Sequence[str], chosen: int | None) -> list[Trial]:
    ranked = sorted(scored, key=lambda trial: (-(trial.value or 0.0), trial.number))
    points = {t.number: tuple(t.axes[axis] for axis in axes) for t in ranked if all(axis in t.axes for axis in axes)}
    if not axes or not points:
        return ranked
    best = front(points)
    # Of those that are equal on an axis the one that is better by value; it need not be on the front itself.
    by_value = {trial.number: -place for place, trial in enumerate(ranked)}
    first = [max(best, key=lambda number: (points[number][i], by_value[number])) for i in range(len(axes))]
    wanted = [chosen, ranked[0].number, *spread({number: points[number] for number in best}, first)]
    order = {number: place for place, number in reversed(list(enumerate(wanted)))}
    return sorted(ranked, key=lambda trial: order.get(trial.number, len(wanted)))


def together(before: float, weight_before: float, after: float, weight_after: float) -> float:
    """Return the mean of both values, weighted by the score weights of the images behind them."""
    return (before * weight_before + after * weight_after) / (weight_before + weight_after)
