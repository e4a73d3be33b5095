"""The search: starts, presets, a start design, then a sampler, over an Optuna study that only projects the run.

For each suggestion the study is built anew from the finished trials, and the sampler gets a seed derived from
the pass seed and the trial number. So a suggestion depends on nothing but seed, number and history: a resumed
run goes on as if it had never stopped, a changed score counts from the next suggestion on, and no sampler
state is ever unpickled.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.bounds import Value
from lib_optim.plan.design import StartDesign
from lib_optim.plan.earlier import earlier_trials
from lib_optim.plan.errors import RunError
from lib_optim.plan.presets import preset, preset_values
from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import SamplerSpec
from lib_optim.plan.space import Space
from lib_optim.plan.starts import start_values
from lib_optim.search.cube import Cube
from lib_optim.search.depths import DEPTHS, depths_of
from lib_optim.search.designs import design_points
from lib_optim.search.record import ATTEMPTS, Record, TakesRecord, derived_seed
from lib_optim.search.samplers import build_sampler, resolve_auto
from lib_optim.search.sequences import uniform

if TYPE_CHECKING:
    import optuna

__all__ = ["Search", "Suggestion"]

_DRAWS = 50


@dataclass(frozen=True)
class Suggestion:
    """The next point to try, and where it comes from, as in `Trial.origin`."""

    values: Mapping[str, Value]
    origin: str


class Search:
    """Proposes parameters. Not thread-safe: one worker owns it.

    Args:
        space: What may be proposed.
        blocks: The block map, for presets.
        sampler: Which sampler, starts, presets and start design.
        seed: The pass seed.
        axes: Names of the objectives in `Trial.axes`; none: the one that `Trial.value` is.

    Raises:
        PlanError: Unknown sampler, option or preset, or a start that does not fit the space.
    """

    def __init__(
        self, space: Space, blocks: BlockMap, sampler: SamplerSpec, seed: int, axes: Sequence[str] = ()
    ) -> None:
        self._space = space
        self._seed = seed
        self._axes = tuple(axes)
        self._sampler = resolve_auto(sampler, space)
        self._depths = depths_of(space, blocks)
        build_sampler(self._sampler, 0)
        self._origin = f"sampler: {self._sampler.id}"
        self._starts = {f"start: {point.name}": start_values(point, space, blocks) for point in sampler.start}
        self._presets = _distinct_presets(sampler.presets, space, blocks, self._starts.values())
        self._design = self._distinct_design(sampler.design)
        self._earlier = earlier_trials(sampler.earlier, space, blocks)
        self._trials: dict[int, Trial] = {}
        self._projected: dict[int, optuna.trial.FrozenTrial] = {}

    @property
    def sampler(self) -> str:
        """Id of the sampler in use (never ``auto``)."""
        return self._sampler.id

    @property
    def starts(self) -> int:
        """How many points are tried before the sampler proposes any: the start design."""
        return len(self._first)

    @property
    def presets(self) -> tuple[str, ...]:
        """Names of the presets that fit the space, in the order in which they are tried."""
        return tuple(self._presets)

    def knows_next(self, under_way: Iterable[Trial]) -> bool:
        """Whether the next point is one of the start design, whatever the trials before it, and these, give."""
        trials = [*self._trials.values(), *under_way]
        tried, points = {trial.origin for trial in trials}, [dict(trial.values) for trial in trials]
        return any(origin not in tried and values not in points for origin, values in self._first.items())

    def add(self, trial: Trial) -> None:
        """Take over a finished trial, or its new value. Failed and skipped ones are never scored."""
        self._trials[trial.number] = trial
        self._projected.pop(trial.number, None)

    def suggest(self, number: int) -> Suggestion:
        """Return the point for trial `number`; the same history gives the same answer.

        Raises:
            RunError: The sampler failed, most likely one of another package.
        """
        tried = {trial.origin for trial in self._trials.values()}
        points = [dict(trial.values) for trial in self._trials.values()]  # an earlier run's, taken over, among them
        for origin, values in self._first.items():
            if origin not in tried and values not in points:
                return Suggestion(values, origin)
        return Suggestion(self._untried(number), self._origin)

    @property
    def _first(self) -> dict[str, dict[str, Value]]:
        """What comes before the sampler, in order: origin to values."""
        presets = {f"preset: {name}": values for name, values in self._presets.items()}
        return {**self._starts, **presets, **self._design}

    def _distinct_design(self, design: StartDesign) -> dict[str, dict[str, Value]]:
        taken = [*self._starts.values(), *self._presets.values()]
        distinct: dict[str, dict[str, Value]] = {}
        for origin, values in design_points(design, self._space, self._seed):
            if values not in taken:
                taken.append(values)
                distinct[origin] = values
        return distinct

    def _untried(self, number: int) -> dict[str, Value]:
        """Return what the sampler proposes, unless it was tried: the same merge would make the same images.

        Then it is asked again, a few times, then chance is; in a space of few values there may be nothing left.
        """
        active = self._space.active  # parameters of another method make no other merge
        tried = [active(trial.values) for trial in self._trials.values()]
        for attempt in range(ATTEMPTS):
            values = self._ask(number, attempt)
            if active(values) not in tried:
                return values
        cube = Cube(self._space.parameters)
        draws = (cube.values(uniform(len(cube), i, derived_seed(self._seed, number))) for i in range(_DRAWS))
        return next((drawn for drawn in draws if active(drawn) not in tried), values)

    def _ask(self, number: int, attempt: int) -> dict[str, Value]:
        import optuna

        from lib_optim.search.projected import projected
        from lib_optim.search.recorded_sampler import distribution_of

        distributions = {p.name: distribution_of(p.bound) for p in self._space.parameters}
        trials = tuple(sorted(self._trials.values(), key=lambda trial: trial.number))
        sampler = build_sampler(self._sampler, derived_seed(self._seed, number, attempt))
        if isinstance(sampler, TakesRecord):
            sampler.take(
                Record(self._space.parameters, trials, number, self._seed, self._origin, attempt, self._earlier)
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            previous = optuna.logging.get_verbosity()
            optuna.logging.set_verbosity(optuna.logging.WARNING)
            try:
                study = optuna.create_study(directions=["maximize"] * (len(self._axes) or 1), sampler=sampler)
                study.set_user_attr(DEPTHS, self._depths)
                for trial in trials:
                    if trial.number not in self._projected:
                        self._projected[trial.number] = projected(trial, self._axes, distributions)
                    study.add_trial(self._projected[trial.number])
                return {str(k): v for k, v in study.ask(distributions).params.items()}
            except Exception as error:
                raise RunError(
                    f"The search '{self._sampler.id}' could not propose trial {number}, because {_reason(error)}; the "
                    "trials so far are kept: choose another search, or update the package that it comes from."
                ) from error
            finally:
                optuna.logging.set_verbosity(previous)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f"of this: {type(error).__name__}: {text}".removesuffix(": ")


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
