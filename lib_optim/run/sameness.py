"""What two plans have in common: judges, models, and points of their spaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import PlanError
from lib_optim.plan.records import Trial
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.plan.space import Space
from lib_optim.run.check import Resolved
from lib_optim.scoring.registry import scorer_row

__all__ = ["refuse_changed_space", "same_judges", "same_models", "translated"]


def same_models(parent: Resolved, fork: Resolved) -> bool:
    """Whether equal recipes are equal merges: a recipe names files, not what they hold, and precision rounds it."""
    ours, theirs = fork.plan, parent.plan
    hashes = [model.sha256 for model in ours.models]
    return (
        all(hashes)
        and hashes == [model.sha256 for model in theirs.models]
        and ours.save.dtype == theirs.save.dtype
    )  # fmt: skip


def same_judges(before: Sequence[ScorerSpec], now: Sequence[ScorerSpec]) -> frozenset[str]:
    """Return the judges whose raw scores stand: same options. Weights and devices do not change them.

    Those that compare images with each other are not among them: the images may have other company now.
    """
    options = {spec.key: dict(spec.options) for spec in before}
    same = [spec for spec in now if options.get(spec.key) == dict(spec.options)]
    return frozenset(spec.key for spec in same if not scorer_row(spec.id).across)


def refuse_changed_space(name: str, trials: Iterable[Trial], space: Space) -> None:
    """Check that `trials` are points of `space`, before they teach a search about another one.

    Raises:
        PlanError: They are not; one sentence.
    """
    bounds = {parameter.name: parameter.bound for parameter in space.parameters}
    changed: dict[str, None] = {}
    for trial in trials:
        changed.update(dict.fromkeys(n for n in (*bounds, *trial.values) if (n in bounds) != (n in trial.values)))
        changed.update(dict.fromkeys(n for n, v in trial.values.items() if n in bounds and not bounds[n].contains(v)))
    if changed:
        names = list(changed)
        listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise PlanError(
            f"The plan of {name} searches something else than its trials did: {listed}; put its plan.json back as it "
            "was, or fork the run."
        )


def translated(values: Mapping[str, Value], before: Space, now: Space) -> dict[str, Value] | None:
    """Return the point of the space `now` that is the same merge as `values` of `before`; None if there is none."""
    try:
        table = before.assign(values)
    except PlanError:
        return None  # of another pass, or of a plan edited since
    kept = {p.name: values[p.name] for p in now.parameters if p.name in values}
    fits = len(kept) == len(now.parameters) and all(p.bound.contains(kept[p.name]) for p in now.parameters)
    if fits and now.assign(kept) == table:
        return kept  # with what does nothing in this trial, such as the numbers of a method that it did not take
    point: dict[str, Value] = {}
    for parameter in now.parameters:
        given = {table.get(parameter.method_parameter, {}).get(block) for block in parameter.blocks}
        value = given.pop() if len(given) == 1 else None
        if value is None or not parameter.bound.contains(value):
            return None
        point[parameter.name] = value
    return point if now.assign(point) == table else None
