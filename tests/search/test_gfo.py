"""gradient-free-optimizers by replay: every option works, answers come from the record, little time is lost."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from lib_optim.plan.bounds import Value
from lib_optim.plan.run_plan import SamplerSpec
from lib_optim.search.gfo_rows import GFO_ROWS, first_scores
from lib_optim.search.sampler_row import SamplerOption
from lib_optim.search.samplers import fit_problems
from lib_optim.search.study import Search
from tests.search.test_study import finished, history, make_space, mixed_space, new, run, score

needed = pytest.mark.skipif(bool(GFO_ROWS[0].missing), reason="gradient-free-optimizers is not installed")
MODELS = ("gfo_lipschitz", "gfo_forest")
STEPWISE = [row.id for row in GFO_ROWS if row.id not in MODELS]
PRESETS = ("half", "all A", "all B")
OTHER: dict[tuple[str, str], Any] = {
    ("gfo_annealing", "annealing_rate"): 0.6, ("gfo_annealing", "start_temp"): 0.01,
    ("gfo_random_annealing", "annealing_rate"): 0.6, ("gfo_swarm", "cognitive_weight"): 3.0,
    ("gfo_forest", "xi"): 5.0, ("gfo_pattern", "n_positions"): 1,
}  # fmt: skip
_LATE = {("gfo_swarm", "cognitive_weight"): 90}


def others(sampler: str, option: SamplerOption) -> list[Any]:
    if (sampler, option.name) in OTHER:
        return [OTHER[sampler, option.name]]
    if option.choices:
        return [choice for choice in option.choices if choice != option.default]
    far = {"rand_rest_p": 0.9, "start_temp": 1.0, "n_neighbours": 8, "decay_rate": 0.6, "population": 6}
    larger = option.default * 2.5
    return [far.get(option.name, option.type(larger if larger <= (option.high or 0) else option.default / 2.5))]


@needed
@pytest.mark.parametrize(
    ("sampler", "name", "value"),
    [(row.id, option.name, value) for row in GFO_ROWS if row.id in STEPWISE for option in row.options
     for value in others(row.id, option)],
)  # fmt: skip
def test_every_option_of_the_stepwise_ones_has_an_effect(sampler: str, name: str, value: Any) -> None:
    trials = _LATE.get((sampler, name), 24)
    usual, other = (
        run(new(make_space(3), sampler, presets=PRESETS, **options), trials) for options in ({}, {name: value})
    )
    assert usual != other


@needed
@pytest.mark.parametrize(
    ("sampler", "name", "value"),
    [(row.id, option.name, value) for row in GFO_ROWS if row.id in MODELS for option in row.options
     for value in others(row.id, option)],
)  # fmt: skip
def test_every_option_of_the_models_has_an_effect(sampler: str, name: str, value: Any) -> None:
    answers = []
    for options in ({}, {name: value}):
        search = new(make_space(3), sampler, **options)
        for trial in history(make_space(3), 12):
            search.add(trial)
        answers.append([search.suggest(number).values for number in (12, 13, 14)])
    assert answers[0] != answers[1]


@needed
@pytest.mark.parametrize("sampler", STEPWISE)
def test_scores_below_zero_are_as_good_as_others(sampler: str) -> None:
    """A score's zero is arbitrary: adding a constant, or another unit, changes nothing."""

    def points(add: float, factor: float) -> list[Mapping[str, Value]]:
        search, found = new(make_space(3), sampler, presets=PRESETS), []
        for number in range(16):
            suggestion = search.suggest(number)
            found.append(suggestion.values)
            value = add + factor * score(suggestion.values)
            search.add(finished(number, suggestion.values, value, suggestion.origin))
        return found

    expected = [list(point.values()) for point in points(0.0, 1.0)]
    got = [list(point.values()) for point in points(-8.0, 4.0)]
    assert np.allclose(np.array(expected), np.array(got), atol=1e-6)


@needed
@pytest.mark.parametrize("sampler", ["gfo_simplex", "gfo_powell", "gfo_swarm"])
def test_they_beat_chance_on_a_hill(sampler: str) -> None:
    def regret(name: str) -> float:
        runs = (run(new(make_space(4), name, seed, presets=PRESETS), 50) for seed in range(4))
        return sum(-max(score(values) for values in points) for points in runs)

    assert regret(sampler) < 0.8 * regret("random")


@needed
def test_answers_come_from_the_record_and_nothing_is_asked_twice() -> None:
    search = new(make_space(2, alpha="0..1 step 0.25"), "gfo_pattern", presets=PRESETS)
    points = [tuple(point.values()) for point in run(search, 20)]
    assert len(set(points)) == 20


@needed
def test_a_failed_trial_answers_as_the_worst_before_it() -> None:
    def go(failed: float | None) -> list[Any]:
        search = new(make_space(3), "gfo_hill", presets=PRESETS)
        points = []
        for number in range(10):
            suggestion = search.suggest(number)
            points.append(suggestion.values)
            value = score(suggestion.values)
            trial = finished(number, suggestion.values, value, suggestion.origin)
            if number == 5:
                trial = dataclasses.replace(trial, state="complete" if failed is not None else "failed", value=failed)
            search.add(trial)
        return points

    worst = min(score(dict.fromkeys(["IN00_alpha", "IN01_alpha", "IN02_alpha"], x)) for x in (0.0, 0.5, 1.0))
    assert go(None) == go(worst)
    assert go(None) != go(1.0)


@needed
@pytest.mark.parametrize("sampler", [*STEPWISE, "gfo_lipschitz"])
def test_mixed_spaces_are_searched(sampler: str) -> None:
    space = mixed_space()
    for values in run(new(space, sampler, presets=()), 14):
        space.assign(values)


@needed
def test_a_replay_of_60_trials_costs_little() -> None:
    space = make_space(12)
    for sampler in ("gfo_annealing", "gfo_swarm", "gfo_pattern"):
        search: Search = new(space, sampler, presets=PRESETS)
        for number in range(60):
            suggestion = search.suggest(number)
            search.add(finished(number, suggestion.values, score(suggestion.values), suggestion.origin))
        began = time.process_time()
        search.suggest(60)
        assert time.process_time() - began < 0.5


def test_what_cannot_begin_is_refused() -> None:
    [problem] = fit_problems(SamplerSpec("gfo_swarm", {"population": 30}), make_space(3), 30)
    assert str(problem).startswith("This search begins after 30 scored trials, and the run has 30")
    [problem] = fit_problems(SamplerSpec("gfo_simplex"), make_space(12), 13)
    assert str(problem).startswith("This search begins after 13 scored trials")
    wide = dataclasses.replace(make_space(3), parameters=make_space(3).parameters * 11)
    [problem] = fit_problems(SamplerSpec("gfo_forest"), wide, 60)
    assert str(problem).startswith("This search takes at most 31 parameters, and the run has 33")
    assert first_scores("DownhillSimplexOptimizer", {}, 26) == 27
