"""A pass of a run as it is recorded: which images are made, who judges them, and what it may propose."""

from __future__ import annotations

import dataclasses
import glob
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Literal

from lib_optim.plan.bounds import Value
from lib_optim.plan.combining import AS_BEFORE, Combining
from lib_optim.plan.design import StartDesign
from lib_optim.plan.dimensions import Space
from lib_optim.plan.noun import Noun
from lib_optim.plan.objectives import axes_of
from lib_optim.plan.payload import MAX_SEED, Payload, drawn_like, fresh_seeds
from lib_optim.plan.run_plan import Budget, PassSpec, RunPlan, SamplerSpec
from lib_optim.plan.scorers import ScorerSpec

__all__ = [
    "PassRecord",
    "changed_pass",
    "first_pass",
    "free_names",
    "free_space",
    "frozen_pass",
    "last_pass",
    "later_pass",
    "pass_seed",
    "verification_of",
]


@dataclass(frozen=True)
class PassRecord(Noun):
    """One pass: its trials make the same images, and their values can be compared.

    Attributes:
        kind: ``search``, or ``verify``: the best of a search again, from other seeds.
        payloads: What is made, seeds drawn.
        scorers: Who looks at it.
        judges: Ids of those scorers whose scores make a trial's value; empty: all.
        held_out: How many of the payloads, the last ones, the search does not know.
        sampler: Who proposes, in a search.
        budget: When a search ends.
        name: What the user calls it.
        planned: Which of the plan's passes it is, from 0; one that came in between has the number of the pass it ended.
        free: Which parameters it searches, as in `PassSpec`.
        begun: False for a pass that waits for the end of the trial under way.
        start: The trial that it started from, the best so far; None if there was none.
        fixed: The values of the parameters that it does not search.
        combining: How scores become a trial's value.
    """

    VERSION: ClassVar[int] = 2  # 1 had no `combining`

    kind: Literal["search", "verify"]
    payloads: tuple[Payload, ...]
    scorers: tuple[ScorerSpec, ...]
    judges: tuple[str, ...] = ()
    held_out: int = 0
    sampler: SamplerSpec = field(default_factory=SamplerSpec)
    budget: Budget = field(default_factory=Budget)
    name: str = ""
    planned: int = 0
    free: tuple[str, ...] = ()
    begun: bool = True
    start: int | None = None
    fixed: Mapping[str, Value] = field(default_factory=dict)
    combining: Combining = field(default_factory=Combining)

    @classmethod
    def upgrade(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        """Return the fields of an older pass: its scores are combined as they were."""
        del version
        return {**data, "combining": AS_BEFORE.to_json()}

    @property
    def deciding(self) -> tuple[ScorerSpec, ...]:
        """The scorers whose scores make a trial's value; those of weight 0 are watched only."""
        asked = (spec for spec in self.scorers if not self.judges or spec.id in self.judges)
        return tuple(spec for spec in asked if spec.weight > 0)

    @property
    def axes(self) -> tuple[str, ...]:
        """Its objectives, where it has several."""
        return axes_of(self.deciding)


def first_pass(plan: RunPlan) -> PassRecord:
    """Return the pass that `plan`, its seeds drawn, begins with."""
    return PassRecord(
        "search", plan.payloads, plan.scorers, sampler=plan.sampler, budget=plan.budget, combining=plan.combining
    )


def later_pass(plan: RunPlan, planned: int) -> PassRecord:
    """Return pass `planned` (from 1) of `plan`, its seeds drawn, before it begins."""
    spec: PassSpec = plan.passes[planned - 1]
    return PassRecord(
        "search",
        plan.payloads if spec.payloads is None else spec.payloads,
        plan.scorers if spec.scorers is None else spec.scorers,
        # What the first pass began with was tried then; this one begins with the best so far.
        sampler=spec.sampler or SamplerSpec(plan.sampler.id, plan.sampler.options, presets=()),
        budget=spec.budget or plan.budget,
        name=spec.name,
        planned=planned,
        free=spec.free,
        begun=False,
        combining=plan.combining,
    )


def last_pass(plan: RunPlan) -> PassRecord:
    """Return the pass with which `plan`, its seeds drawn, ends: whose winner is verified."""
    return later_pass(plan, len(plan.passes)) if plan.passes else first_pass(plan)


def changed_pass(plan: RunPlan, current: PassRecord) -> PassRecord:
    """Return the pass that `plan`, wished for in mid-run, makes of `current`; payloads that stay keep their seeds."""
    return PassRecord(
        "search",
        drawn_like(plan.payloads, current.payloads, f"changed seeds {plan.seed}"),
        plan.scorers,
        # What looks around first did so already; this pass begins with the best so far.
        sampler=SamplerSpec(plan.sampler.id, plan.sampler.options, presets=()),
        budget=plan.budget,
        name="changed in mid-run",
        planned=current.planned,
        begun=False,
        combining=plan.combining,
    )


def frozen_pass(current: PassRecord, searched: Collection[str], budget: Budget) -> PassRecord:
    """Return the pass that goes on as `current` does, but searches only the parameters `searched`, for `budget`."""
    return dataclasses.replace(
        current,
        sampler=dataclasses.replace(current.sampler, presets=(), start=(), design=StartDesign(), earlier=()),
        budget=budget,
        name="frozen in mid-run",
        free=tuple(map(glob.escape, searched)),
        begun=False,
        start=None,
        fixed={},
    )


def verification_of(search: PassRecord, plan: RunPlan) -> PassRecord:
    """Return the pass that verifies the winner of `search`: its payloads from fresh seeds, and what is held out.

    The seeds derive from the plan's, so that every finalist of a run, whenever it is made again, shows the same images.
    """
    return PassRecord(
        "verify",
        (*fresh_seeds(search.payloads, f"fresh seeds {plan.seed}"), *plan.verify.payloads),
        (*search.scorers, *plan.verify.scorers),
        tuple(spec.id for spec in search.scorers),
        len(plan.verify.payloads),
        combining=search.combining,
    )


def free_names(free: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return those of `names` that a pass searches: all, or those that a name or wildcard in `free` means."""
    patterns = [pattern.casefold() for pattern in free]
    return [name for name in names if not patterns or any(fnmatchcase(name.casefold(), p) for p in patterns)]


def free_space(space: Space, names: Collection[str]) -> Space:
    """Return what a pass searches of `space`: its parameters in `names`, and the curves that are free as a whole."""
    parameters = tuple(parameter for parameter in space.parameters if parameter.name in names)
    curves = tuple(curve for curve in space.curves if all(point in names for point in curve.points))
    return dataclasses.replace(space, parameters=parameters, curves=curves)


def pass_seed(seed: int, number: int) -> int:
    """Return the seed of search number `number` (from 1) of a run with this seed."""
    return seed if number == 1 else random.Random(f"pass {number} of {seed}").randrange(MAX_SEED)
