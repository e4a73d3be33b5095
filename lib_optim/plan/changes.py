"""Small changes to a plan: what a fork says on the command line, and what it takes from another plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from lib_optim.plan.bounds import Bound, parse_bound
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.guide import Guide
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.objectives import with_axes
from lib_optim.plan.run_plan import RunPlan
from lib_optim.plan.scorers import ScorerSpec

__all__ = ["PARTS", "changed_plan", "mixed_plan"]

PARTS: Mapping[str, tuple[str, ...]] = {
    "judges": ("scorers", "ahead", "combining"),
    "payloads": ("payloads",),
    "search": ("sampler", "seed"),
    "vary": ("guide", "method", "methods", "recipe", "adjust", "block_map"),
    "save": ("save",),
}
"""What a fork may take from another plan, and the fields that are meant."""


def mixed_plan(plan: RunPlan, other: RunPlan, parts: Collection[str]) -> RunPlan:
    """Return `plan` with `parts` (keys of `PARTS`) taken from `other`; a payload keeps the seeds that it had.

    Raises:
        PlanError: An unknown part.
    """
    unknown = [Problem("take", f"There is no part '{p}'.{did_you_mean(p, PARTS)}") for p in parts if p not in PARTS]
    if unknown:
        raise PlanError(unknown)
    drawn = {payload.name: payload for payload in plan.payloads}
    payloads = tuple(
        dataclasses.replace(
            payload,
            seed=drawn[payload.name].seed if payload.seed < 0 else payload.seed,
            subseed=drawn[payload.name].subseed if payload.subseed < 0 else payload.subseed,
        )
        if payload.name in drawn
        else payload
        for payload in other.payloads
    )
    other = dataclasses.replace(other, payloads=payloads)
    fields = {name: getattr(other, name) for part in parts for name in PARTS[part]}
    return dataclasses.replace(plan, **fields)


def changed_plan(
    plan: RunPlan,
    name: str = "",
    trials: int | None = None,
    sampler: str = "",
    scorers: Sequence[str] = (),
    payload_weights: Sequence[str] = (),
    bounds: Sequence[str] = (),
    axes: Sequence[str] = (),
) -> RunPlan:
    """Return `plan` with the changes that the command line names.

    Args:
        plan: The plan.
        name: Of the run.
        trials: The budget.
        sampler: Its id, with its defaults.
        scorers: ``id`` or ``id=weight``: these judges and no others; one that was there keeps its options.
        payload_weights: ``name=weight``.
        bounds: ``parameter=bound`` in the grammar of `lib_optim.plan.bounds`, such as ``IN05_alpha=0.2..0.4``.
        axes: ``scorer=objective``, as in `lib_optim.plan.objectives`; nothing after the sign: none.

    Raises:
        PlanError: A change that cannot be read, one sentence each.
    """
    problems: list[Problem] = []
    changes: dict[str, object] = {}
    if name:
        changes["name"] = name
    if trials is not None:
        changes["budget"] = dataclasses.replace(plan.budget, trials=trials)
    if sampler:
        changes["sampler"] = dataclasses.replace(plan.sampler, id=sampler, options={})
    if scorers:
        known = {spec.id: spec for spec in plan.scorers}
        wanted = _weights(scorers, "scorer", problems, "1")
        changes["scorers"] = tuple(
            dataclasses.replace(known.get(key, ScorerSpec(key)), weight=weight) for key, weight in wanted.items()
        )
    if axes:
        judges: tuple[ScorerSpec, ...] = changes.get("scorers", plan.scorers)  # type: ignore[assignment]
        named = dict(text.partition("=")[::2] for text in axes)
        problems += [
            Problem("scorers", f"The run has no judge '{key}'.{did_you_mean(key, [spec.key for spec in judges])}")
            for key in named
            if key not in {name for spec in judges for name in (spec.id, spec.key)}
        ]
        changes["scorers"] = with_axes(judges, named)
    if payload_weights:
        wanted = _weights(payload_weights, "payload weight", problems)
        names = [payload.name for payload in plan.payloads]
        problems += [
            Problem("payloads", f"The run has no payload '{key}'.{did_you_mean(key, names)}")
            for key in wanted
            if key not in names
        ]
        changes["payloads"] = tuple(
            dataclasses.replace(payload, score_weight=wanted.get(payload.name, payload.score_weight))
            for payload in plan.payloads
        )
    if bounds:
        changes["guide"] = _bounded(plan.guide, bounds, problems)
    if problems:
        raise PlanError(problems)
    return dataclasses.replace(plan, **changes)  # type: ignore[arg-type]


def _bounded(guide: Guide, texts: Sequence[str], problems: list[Problem]) -> Guide:
    fresh: dict[str, Bound] = {}
    for text in texts:
        key, _, bound = (part.strip() for part in text.partition("="))
        if not key or not bound:
            problems.append(
                Problem("guide.bounds", f"'{text}' is no bound of a parameter; write it like IN05_alpha=0.2..0.4.")
            )
            continue
        try:
            fresh[key] = parse_bound(bound)
        except PlanError as error:
            problems.extend(Problem("guide.bounds", problem.sentence) for problem in error.problems)
    taken = {key.casefold() for key in fresh}
    kept = {key: bound for key, bound in guide.bounds.items() if key.casefold() not in taken}
    return dataclasses.replace(guide, bounds={**kept, **fresh})


def _weights(texts: Sequence[str], what: str, problems: list[Problem], default: str = "") -> dict[str, float]:
    """Read ``name=weight``; a name alone takes `default`."""
    found: dict[str, float] = {}
    for text in texts:
        name, sign, number = text.rpartition("=")
        try:
            found[name if sign else text] = float(number if sign else default)
        except ValueError:
            problems.append(Problem(what, f"'{text}' is no {what}; write it like NAME=0.5."))
    return found
