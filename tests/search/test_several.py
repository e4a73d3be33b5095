"""Several objectives: every search that takes them, on real Optuna; the others are refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pytest

from lib_optim.plan.blocks import block_map
from lib_optim.plan.bounds import Value
from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import SamplerSpec
from lib_optim.plan.space import Space
from lib_optim.search.optim_several import Goal
from lib_optim.search.pareto import front
from lib_optim.search.samplers import fit_problems, resolve_auto, sampler_rows
from lib_optim.search.study import Search
from tests.search.test_study import make_space, mixed_space

SD1 = block_map("sd1")
SPACE = make_space(4)
ABLE = [row.id for row in sampler_rows() if row.several]
GUIDED = [name for name in ABLE if name not in ("random", "qmc", "grid")]
OPTIONS = {"grid": {"levels": 3}, "nsgaii": {"population_size": 4}, "nsgaiii": {"population_size": 4}}
FEW = {"tpe": 5, "gp": 5, "optim": 5}
TARGETS = (0.2, 0.8, 0.5)


def spec_of(sampler: str) -> SamplerSpec:
    options = dict(OPTIONS.get(sampler, {}))
    if sampler in FEW:
        options["n_startup_trials"] = FEW[sampler]
    return SamplerSpec(sampler, options, presets=())


def scored(number: int, values: Mapping[str, Value], axes: int = 2) -> Trial:
    """A trial that each axis wants somewhere else."""
    found = {}
    for i in range(axes):
        numbers = [float(value) for value in values.values() if isinstance(value, int | float)]
        found[f"axis {i}"] = -sum((value - TARGETS[i]) ** 2 for value in numbers)
    return Trial(number, "complete", values, "sampler: x", value=sum(found.values()), axes=found)


def run(sampler: str, count: int, space: Space = SPACE, axes: int = 2, seed: int = 3) -> list[Trial]:
    search = Search(space, SD1, spec_of(sampler), seed, [f"axis {i}" for i in range(axes)])
    trials: list[Trial] = []
    for number in range(count):
        trials.append(dataclasses.replace(scored(number, search.suggest(number).values, axes), origin=search._origin))
        if number == 2:  # failures teach nothing, and stop nothing
            trials[-1] = dataclasses.replace(trials[-1], state="failed", value=None, axes={})
        search.add(trials[-1])
    return trials


@pytest.mark.parametrize("sampler", ABLE)
def test_a_resumed_search_suggests_the_same(sampler: str) -> None:
    trials = run(sampler, 9)
    names = [f"axis {i}" for i in range(2)]
    for number in (1, 6, 8):
        again = Search(SPACE, SD1, spec_of(sampler), 3, names)
        for trial in reversed(trials[:number]):
            again.add(trial)
        assert dict(again.suggest(number).values) == dict(trials[number].values)


@pytest.mark.parametrize("sampler", GUIDED)
def test_every_axis_counts_and_the_sum_does_not(sampler: str) -> None:
    trials = run(sampler, 14 if sampler.startswith("nsga") else 8)

    def ask(history: list[Trial]) -> Mapping[str, Value]:
        search = Search(SPACE, SD1, spec_of(sampler), 3, ("axis 0", "axis 1"))
        for trial in history:
            search.add(trial)
        return search.suggest(len(history)).values

    plain = ask(trials)
    assert ask([dataclasses.replace(t, value=None if t.value is None else 7.0) for t in trials]) == plain
    for axis in ("axis 0", "axis 1"):
        turned = [dataclasses.replace(t, axes={**t.axes, axis: -t.axes[axis]} if t.axes else {}) for t in trials]
        assert ask(turned) != plain


@pytest.mark.parametrize("sampler", ["optim", "tpe", "nsgaii", "nsgaiii"])  # gp takes 20 s here
def test_three_axes_and_every_kind_of_parameter(sampler: str) -> None:
    trials = run(sampler, 9, mixed_space(), axes=3)
    assert len({repr(sorted(t.values.items())) for t in trials}) == 9


def test_our_own_search_reaches_more_of_a_front_than_chance() -> None:
    def area(sampler: str) -> float:
        points = {t.number: tuple(t.axes.values()) for t in run(sampler, 30, make_space(6)) if t.axes}
        best = sorted((points[number] for number in front(points)), reverse=True)
        heights = [-2.0, *(y for _, y in best)]
        return sum((x + 2) * (y - before) for (x, y), before in zip(best, heights, strict=False))

    assert area("optim") > area("random") + 0.25


def test_the_others_are_refused_in_one_sentence() -> None:
    refused = [row.id for row in sampler_rows() if not row.several]
    assert {"cma", "hill", "gfo_swarm", "hyperopt_tpe"} <= set(refused)
    for sampler in refused:
        (problem,) = fit_problems(SamplerSpec(sampler), SPACE, 40, 2)[-1:]
        assert "knows one goal only, and the judges name 2" in problem.sentence
        assert not any("one goal" in p.sentence for p in fit_problems(SamplerSpec(sampler), SPACE, 40))
    for sampler in ABLE:
        assert fit_problems(SamplerSpec(sampler, OPTIONS.get(sampler, {})), SPACE, 40, 3) == []


@pytest.mark.parametrize("blocks", [3, 12])
def test_automatic_takes_one_that_can(blocks: int) -> None:
    for space in (make_space(blocks), mixed_space()):
        assert resolve_auto(SamplerSpec(), space).id in ABLE


def test_the_goal_of_a_trial_has_the_slopes_that_it_says() -> None:
    rng = np.random.default_rng(0)
    means = rng.standard_normal((3, 20))
    goal = Goal(means, rng)

    def drawn(axis: int):  # type: ignore[no-untyped-def]
        at = rng.uniform(size=4)
        return lambda x: (-((x - at) ** 2).sum(1), -2 * (x - at))

    function = goal.of([drawn(axis) for axis in range(3)])
    points = rng.uniform(size=(30, 4))
    _, slopes = function(points)
    for i in range(4):
        step = np.zeros(4)
        step[i] = 1e-6
        numeric = (function(points + step)[0] - function(points - step)[0]) / 2e-6
        assert np.median(np.abs(numeric - slopes[:, i])) < 1e-4  # a kink may lie at a few of the points
    assert goal.expected.shape == (20,)
    assert int(np.argmax(goal.expected)) in front({i: tuple(means[:, i]) for i in range(20)})


def test_one_axis_is_taken_as_it_is_and_draws_nothing() -> None:
    rng = np.random.default_rng(0)
    means = np.array([[1.0, 2.0]])
    goal = Goal(means, rng)
    assert goal.expected is means[0] or (goal.expected == means[0]).all()
    assert rng.uniform() == np.random.default_rng(0).uniform()
