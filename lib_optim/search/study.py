"""The search: starts and presets first, then a sampler, over an Optuna study that is only a projection of the run.

For each suggestion the study is built anew from the finished trials, and the sampler gets a seed derived from
the pass seed and the trial number. So a suggestion depends on nothing but seed, number and history: a resumed
run goes on as if it had never stopped, a changed score counts from the next suggestion on, and no sampler
state is ever unpickled.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.bounds import Bound, Value
from lib_optim.plan.presets import preset, preset_values
from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import SamplerSpec
from lib_optim.plan.space import Space
from lib_optim.plan.starts import start_values
from lib_optim.search.depths import DEPTHS, depths_of
from lib_optim.search.samplers import build_sampler, resolve_auto

if TYPE_CHECKING:
    import optuna

__all__ = ["Search", "Suggestion"]


@dataclass(frozen=True)
class Suggestion:
    """The next point to try, and where it comes from (``start: mine``, ``preset: half``, ``sampler: tpe``)."""

    values: Mapping[str, Value]
    origin: str


class Search:
    """Proposes parameters. Not thread-safe: one worker owns it.

    Args:
        space: What may be proposed.
        blocks: The block map, for presets.
        sampler: Which sampler, starts and presets.
        seed: The pass seed.

    Raises:
        PlanError: Unknown sampler, option or preset, or a start that does not fit the space.
    """

    def __init__(self, space: Space, blocks: BlockMap, sampler: SamplerSpec, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._sampler = resolve_auto(sampler, space)
        self._depths = depths_of(space, blocks)
        build_sampler(self._sampler, 0)
        self._starts = {f"start: {point.name}": start_values(point, space, blocks) for point in sampler.start}
        self._presets = _distinct_presets(sampler.presets, space, blocks, self._starts.values())
        self._trials: dict[int, Trial] = {}
        self._frozen: dict[int, optuna.trial.FrozenTrial] = {}

    @property
    def sampler(self) -> str:
        """Id of the sampler in use (never ``auto``)."""
        return self._sampler.id

    @property
    def presets(self) -> tuple[str, ...]:
        """Names of the presets that fit the space, in the order in which they are tried."""
        return tuple(self._presets)

    def add(self, trial: Trial) -> None:
        """Take over a finished trial, or its new value. Failed and skipped ones are never scored."""
        self._trials[trial.number] = trial
        self._frozen.pop(trial.number, None)

    def suggest(self, number: int) -> Suggestion:
        """Return the point for trial `number`; the same history gives the same answer."""
        tried = {trial.origin for trial in self._trials.values()}
        first = {**self._starts, **{f"preset: {name}": values for name, values in self._presets.items()}}
        for origin, values in first.items():
            if origin not in tried:
                return Suggestion(values, origin)
        return Suggestion(self._ask(number), f"sampler: {self._sampler.id}")

    def _ask(self, number: int) -> dict[str, Value]:
        import optuna

        distributions = {p.name: _distribution(p.bound) for p in self._space.parameters}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = build_sampler(self._sampler, _derived_seed(self._seed, number))
            previous = optuna.logging.get_verbosity()
            optuna.logging.set_verbosity(optuna.logging.WARNING)
            try:
                study = optuna.create_study(direction="maximize", sampler=sampler)
                study.set_user_attr(DEPTHS, self._depths)
                for trial in sorted(self._trials.values(), key=lambda trial: trial.number):
                    study.add_trial(self._freeze(trial, distributions))
                return {str(k): v for k, v in study.ask(distributions).params.items()}
            finally:
                optuna.logging.set_verbosity(previous)

    def _freeze(self, trial: Trial, distributions: Mapping[str, Any]) -> optuna.trial.FrozenTrial:
        import optuna

        if trial.number not in self._frozen:
            value = trial.value if trial.state == "complete" else None
            complete = value is not None and math.isfinite(value)
            self._frozen[trial.number] = optuna.trial.create_trial(
                state=optuna.trial.TrialState.COMPLETE if complete else optuna.trial.TrialState.FAIL,
                params=dict(trial.values),
                distributions=dict(distributions),
                value=value if complete else None,
            )
        return self._frozen[trial.number]


def _distinct_presets(
    names: tuple[str, ...], space: Space, blocks: BlockMap, taken: Collection[Mapping[str, Value]]
) -> dict[str, dict[str, Value]]:
    distinct: dict[str, dict[str, Value]] = {}
    for name in names:
        row = preset(name)
        values = preset_values(row, space, blocks)
        if values is not None and values not in (*distinct.values(), *taken):
            distinct[row.name] = values
    return distinct


def _distribution(bound: Bound) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if bound.kind == "bool":
        return CategoricalDistribution((False, True))
    if bound.kind == "choice":
        return CategoricalDistribution(bound.choices)
    low, high = bound.low or 0.0, bound.high or 0.0
    if bound.kind == "int":
        return IntDistribution(int(low), int(high), log=bound.log, step=int(bound.step or 1))
    return FloatDistribution(low, high, log=bound.log, step=bound.step)


def _derived_seed(seed: int, number: int) -> int:
    digest = hashlib.sha256(f"optim suggestion {seed} {number}".encode()).digest()
    return int.from_bytes(digest[:4], "little")
