"""The search: presets first, then a sampler that depends on nothing but seed, number and history."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Mapping
from typing import Any

import pytest

from lib_optim.plan.blocks import block_map
from lib_optim.plan.bounds import Value, parse_bound
from lib_optim.plan.errors import PlanError, RunError
from lib_optim.plan.guide import ComponentGuide, Curve, Guide, Strategy
from lib_optim.plan.records import Trial, TrialState
from lib_optim.plan.run_plan import SamplerSpec
from lib_optim.plan.space import Parameter, Space, space_of
from lib_optim.search.depths import depths_of
from lib_optim.search.samplers import sampler_rows
from lib_optim.search.study import Search
from tests.plan.methods import MANY, WEIGHTED

SD1 = block_map("sd1")
SAMPLERS = [row.id for row in sampler_rows() if not row.missing]
WITHOUT_SCORES = {"random", "qmc", "grid"}


def make_space(blocks: int = 3, **bounds: str) -> Space:
    names = tuple(f"IN{n:02d}" for n in range(blocks))
    guide = Guide(
        (ComponentGuide("unet", (Strategy("select", names, parameters=("alpha",)),)),),
        {name: parse_bound(text) for name, text in bounds.items()},
    )
    return space_of(guide, WEIGHTED, SD1)


def mixed_space() -> Space:
    guide = Guide(
        (
            ComponentGuide(
                "unet",
                (
                    Strategy("select", ("IN00",), parameters=("alpha", "beta", "cos_eps", "rank", "vote", "mode")),
                    Strategy("select", ("IN01",), parameters=("alpha", "rank")),
                    Strategy("select", ("IN02",), parameters=("rank",)),
                ),
            ),
        ),
        {
            "IN00_alpha": parse_bound("0..1 step 0.05"),
            "IN01_alpha": parse_bound("{0, 0.25, 1}"),
            "IN01_rank": parse_bound("1..64 int log"),
            "IN02_rank": parse_bound("8..32 int step 8"),
        },
    )
    return space_of(guide, MANY, SD1)


def score(values: Mapping[str, Value]) -> float:
    """A hill for numbers; words and switches count too."""
    total = 0.0
    for name, value in values.items():
        number = {"a": 0.0, "b": 1.0}.get(value, 0.0) if isinstance(value, str) else float(value)
        total -= (number / (64 if name.endswith("rank") else 1) - 0.7) ** 2
    return total


def finished(
    number: int,
    values: Mapping[str, Value],
    value: float | None,
    origin: str = "sampler: x",
    state: TrialState = "complete",
) -> Trial:
    return Trial(number, state, dict(values), origin, value=value)


def new(space: Space, sampler: str = "tpe", seed: int = 7, presets: tuple[str, ...] = (), **options: Any) -> Search:
    return Search(space, SD1, SamplerSpec(sampler, options, presets), seed)


def history(space: Space, count: int, seed: int = 1) -> list[Trial]:
    """Random trials with their scores."""
    search = new(space, "random", seed)
    points = [search.suggest(number).values for number in range(count)]
    return [finished(number, values, score(values)) for number, values in enumerate(points)]


def run(search: Search, count: int) -> list[Mapping[str, Value]]:
    points = []
    for number in range(count):
        suggestion = search.suggest(number)
        points.append(suggestion.values)
        search.add(finished(number, suggestion.values, score(suggestion.values), suggestion.origin))
    return points


# Presets


def test_presets_come_first_in_their_order_and_once() -> None:
    search = new(make_space(), presets=("all A", "half", "SMOOTHSTEP", "all B"))
    origins = []
    for number in range(6):
        suggestion = search.suggest(number)
        origins.append(suggestion.origin)
        search.add(finished(number, suggestion.values, 0.5, suggestion.origin))
    assert origins[:4] == ["preset: all A", "preset: half", "preset: SMOOTHSTEP", "preset: all B"]
    assert origins[4:] == ["sampler: tpe"] * 2
    assert search.presets == ("all A", "half", "SMOOTHSTEP", "all B")


def test_a_preset_is_offered_until_its_trial_is_known() -> None:
    search = new(make_space(), presets=("half", "all B"))
    assert search.suggest(0) == search.suggest(0) == search.suggest(5)
    assert search.suggest(0).values == dict.fromkeys(["IN00_alpha", "IN01_alpha", "IN02_alpha"], 0.5)


@pytest.mark.parametrize("state", ["failed", "skipped", "waiting", "running"])
def test_a_preset_that_failed_is_not_tried_again(state: TrialState) -> None:
    search = new(make_space(), presets=("half", "all B"))
    first = search.suggest(0)
    search.add(finished(0, first.values, None, first.origin, state))
    assert search.suggest(1).origin == "preset: all B"


def test_presets_that_are_the_same_point_are_tried_once() -> None:
    search = new(make_space(2), presets=("half", "HALF", "all A", "OUT12", "OUT07"))
    assert search.presets == ("half", "all A")


def test_presets_that_do_not_fit_are_left_out() -> None:
    search = new(make_space(alpha="0.2..0.8"), presets=("all A", "half", "all B"))
    assert search.presets == ("half",)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_presets_fit_ranges_with_steps(sampler: str) -> None:
    space = make_space(4, alpha="0..1 step 0.05")
    search = new(space, sampler, presets=("GRAD_V", "SMOOTHSTEP", "COSINE"), **startup(sampler, 2))
    for values in run(search, 5):
        space.assign(values)


def test_an_unknown_preset_is_refused_at_the_start() -> None:
    with pytest.raises(PlanError, match=r"There is no preset 'halve'\. Did you mean 'half'"):
        new(make_space(), presets=("halve",))


# Suggestions


def startup(sampler: str, count: int) -> dict[str, int]:
    names = {option.name for row in sampler_rows() if row.id == sampler for option in row.options}
    own = {"n_startup_trials": count, "population_size": max(count, 2), "population": max(count, 4)}
    return {name: number for name, number in own.items() if name in names}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(sampler: str) -> None:
    space = make_space()
    options = startup(sampler, 4)
    through = run(new(space, sampler, presets=("half",), **options), 9)
    assert len({tuple(values.items()) for values in through}) == 9, "a suggestion came twice"

    resumed = new(space, sampler, presets=("half",), **options)
    for number, values in enumerate(through[:6]):
        origin = "preset: half" if number == 0 else f"sampler: {sampler}"
        resumed.add(finished(number, values, score(values), origin))
    assert resumed.suggest(6).values == through[6]
    assert resumed.suggest(6).values == through[6], "asking has no effect"


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_order_in_which_trials_arrive_does_not_matter(sampler: str) -> None:
    space = make_space()
    trials = history(space, 6)
    answers = []
    for order in (trials, trials[::-1]):
        search = new(space, sampler, **startup(sampler, 3))
        for trial in order:
            search.add(trial)
        answers.append(search.suggest(6).values)
    assert answers[0] == answers[1]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_seed_and_number_decide(sampler: str) -> None:
    space = make_space()
    assert new(space, sampler, 1).suggest(0) == new(space, sampler, 1).suggest(0)
    assert new(space, sampler, 1).suggest(0) != new(space, sampler, 2).suggest(0)
    assert new(space, sampler, 1).suggest(0) != new(space, sampler, 1).suggest(1)


LEARNERS = ["tpe", "gp", "cma", "hill", "nsgaii", "nsgaiii"]


@pytest.mark.parametrize("sampler", LEARNERS)
def test_a_changed_score_counts_from_the_next_suggestion_on(sampler: str) -> None:
    space = make_space()
    search = new(space, sampler, **startup(sampler, 3))
    trials = history(space, 8)
    for trial in trials:
        search.add(trial)
    before = search.suggest(8).values
    worst = min(trials, key=lambda trial: trial.value or 0.0)
    search.add(finished(worst.number, worst.values, 100.0))
    assert search.suggest(8).values != before
    search.add(worst)
    assert search.suggest(8).values == before, "and back again"


@pytest.mark.parametrize("sampler", LEARNERS)
@pytest.mark.parametrize(
    ("state", "value"),
    [("failed", None), ("skipped", None), ("waiting", None), ("running", None), ("failed", 100.0), ("complete", None),
     ("complete", math.nan), ("complete", math.inf)],
)  # fmt: skip
def test_what_has_no_score_teaches_nothing(sampler: str, state: TrialState, value: float | None) -> None:
    space = make_space()
    search = new(space, sampler, **startup(sampler, 3))
    for trial in history(space, 6):
        search.add(trial)
    before = search.suggest(9).values
    search.add(finished(6, dict.fromkeys(before, 0.99), value, state=state))
    assert search.suggest(9).values == before


def test_failed_trials_do_not_count_as_startup() -> None:
    space = make_space()
    trials = history(space, 6)
    failed = [finished(t.number, t.values, None, state="failed") for t in trials]
    for sampler in ("tpe", "gp"):
        taught, untaught, fresh = (new(space, sampler, n_startup_trials=4) for _ in range(3))
        for trial, failure in zip(trials, failed, strict=True):
            taught.add(trial)
            untaught.add(failure)
        assert untaught.suggest(6).values == fresh.suggest(6).values
        assert taught.suggest(6).values != fresh.suggest(6).values


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_kind_of_dimension_is_respected(sampler: str) -> None:
    space = mixed_space()
    search = new(space, sampler, **startup(sampler, 5))
    # the Gaussian process takes a second or more per suggestion where there are steps and choices
    points = run(search, 6 if sampler == "gp" else 15)
    seen: dict[str, set[Value]] = {parameter.name: set() for parameter in space.parameters}
    for values in points:
        space.assign(values)  # raises where a value lies outside its bounds, or off its steps
        for name, value in values.items():
            seen[name].add(value)
    assert {type(value) for value in seen["IN00_rank"]} == {int}
    assert {type(value) for value in seen["IN00_vote"]} == {bool}
    assert seen["IN00_mode"] <= {"a", "b"}
    assert seen["IN01_alpha"] <= {0, 0.25, 1}
    assert seen["IN02_rank"] <= {8, 16, 24, 32}
    assert all(abs(float(v) * 20 - round(float(v) * 20)) < 1e-9 for v in seen["IN00_alpha"])
    assert all(1e-8 <= float(v) <= 1e-2 for v in seen["IN00_cos_eps"])


def test_logarithmic_ranges_are_drawn_evenly_by_magnitude() -> None:
    space = make_space(1, alpha="1e-6..1 log")
    search = new(space, "random")
    drawn = [math.log10(float(search.suggest(n).values["IN00_alpha"])) for n in range(200)]
    below = sum(value < -3 for value in drawn) / len(drawn)
    assert 0.35 < below < 0.65


def test_steps_and_whole_numbers_reach_both_ends() -> None:
    space = mixed_space()
    search = new(space, "random")
    seen = {search.suggest(n).values["IN02_rank"] for n in range(100)}
    assert seen == {8, 16, 24, 32}


@pytest.mark.parametrize(
    ("sampler", "seeds", "trials", "blocks", "more"),
    [
        ("tpe", 6, 30, 4, {}),
        ("gp", 1, 30, 4, {}),
        ("cma", 6, 30, 4, {}),
        ("hill", 6, 30, 4, {}),
        ("nsgaii", 4, 60, 8, {"crossover": "blxalpha"}),
        ("nsgaiii", 4, 60, 8, {"crossover": "blxalpha"}),
    ],
)
def test_the_model_beats_chance_on_a_hill(
    sampler: str, seeds: int, trials: int, blocks: int, more: dict[str, Any]
) -> None:
    space = make_space(blocks)

    def regret(name: str, **options: Any) -> float:
        given = {**startup(name, 8), **options}
        runs = (run(new(space, name, seed, presets=("half", "all A"), **given), trials) for seed in range(seeds))
        return sum(-max(score(values) for values in points) for points in runs)

    assert regret(sampler, **more) < 0.7 * regret("random")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_failed_trials_are_got_over_and_a_resumed_run_says_the_same(sampler: str) -> None:
    space = make_space()
    through, resumed = (new(space, sampler, presets=("half",), **startup(sampler, 4)) for _ in range(2))
    trials = []
    for number in range(12):
        suggestion = through.suggest(number)
        failed = number in {1, 2, 6, 7, 8}
        state: TrialState = "failed" if failed else "complete"
        value = None if failed else score(suggestion.values)
        trials.append(finished(number, suggestion.values, value, suggestion.origin, state))
        through.add(trials[-1])
    for trial in trials[:9]:
        resumed.add(trial)
    for trial in trials[9:]:
        assert resumed.suggest(trial.number).values == trial.values
        resumed.add(trial)
    assert len({tuple(trial.values.values()) for trial in trials}) == 12, "a point came twice"


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_small_space_is_exhausted_before_anything_comes_twice(sampler: str) -> None:
    points = run(new(make_space(2, alpha="0..1 step 0.5"), sampler, presets=("half",), **startup(sampler, 2)), 9)
    assert len({tuple(point.values()) for point in points}) == 9


def test_values_that_came_back_from_json_are_understood() -> None:
    import json

    space = mixed_space()
    search = new(space, "tpe", n_startup_trials=2)
    for trial in history(space, 4):
        search.add(Trial.from_json(json.loads(json.dumps(trial.to_json()))))
    space.assign(search.suggest(4).values)


def test_auto_is_resolved_and_named() -> None:
    assert new(make_space(9), "auto").sampler == "optim"
    assert new(make_space(9), "auto").suggest(0).origin == "sampler: optim"
    assert new(mixed_space(), "auto").sampler == "tpe"


def test_bad_samplers_are_refused_at_the_start() -> None:
    with pytest.raises(PlanError, match="no sampler 'tp'"):
        new(make_space(), "tp")
    with pytest.raises(PlanError, match="must lie between"):
        new(make_space(), "tpe", n_startup_trials=0)


def test_optunas_own_log_level_is_left_as_it_was() -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    try:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        new(make_space()).suggest(0)
        assert optuna.logging.get_verbosity() == optuna.logging.ERROR
    finally:
        optuna.logging.set_verbosity(before)


def test_the_global_random_state_is_left_alone() -> None:
    import numpy as np

    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    search = new(make_space(), "tpe", n_startup_trials=2)
    for trial in history(make_space(), 4):
        search.add(trial)
    search.suggest(4)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002


def test_what_differs_only_in_another_methods_numbers_was_tried() -> None:
    """Two methods, of which one has no number left: its second merge would be the first one again."""
    number = Parameter("IN00_width", parse_bound("0..1"), "width", ("IN00",), 0.5)
    method = Parameter("method", parse_bound("{slerp, tensor_sum}"), "method", (), "slerp")
    space = Space((method, number), (), ("IN00",), ways={"slerp": (), "tensor_sum": ("width",)})
    seen = [space.active(values) for values in run(new(space, "random", 3), 12)]
    assert seen.count({"method": "slerp"}) == 1
    assert len([values for values in seen if values["method"] == "tensor_sum"]) == 11


def curve_and_choice() -> Space:
    """Points of a curve, a number of another method, and the choice between the two."""
    single = ComponentGuide("unet", (Strategy("single", parameters=("alpha",), curve=Curve(4)),))
    curve = space_of(Guide((single,)), WEIGHTED, SD1)
    method = Parameter("method", parse_bound("{weighted_sum, tensor_sum}"), "method", (), "weighted_sum")
    width = Parameter("unet_width", parse_bound("0..1"), "width", ("IN00",), 0.5)
    ways = {"weighted_sum": ("alpha",), "tensor_sum": ("width",)}
    return dataclasses.replace(curve, parameters=(method, *curve.parameters, width), ways=ways)


@pytest.mark.parametrize("sampler", sorted({"auto", "optim", "tpe", "hill"} & {"auto", *SAMPLERS}))
def test_curves_and_methods_are_searched(sampler: str) -> None:
    space = curve_and_choice()
    points = run(new(space, sampler, presets=("half", "GRAD_V")), 14)
    assert points[0]["unet_alpha_p2"] == 0.5
    for values in points:
        assert set(space.assign(values)["alpha"]) == set(space.curves[0].blocks)
    assert {values["method"] for values in points} == {"weighted_sum", "tensor_sum"}


def test_the_points_of_a_curve_lie_along_it() -> None:
    depths = depths_of(curve_and_choice(), SD1)
    assert [depths[f"unet_alpha_p{i}"][1] for i in (1, 2, 3, 4)] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert len({depths[f"unet_alpha_p{i}"][0] for i in (1, 2, 3, 4)}) == 1
    assert depths["method"][0] == " method"


def test_a_sampler_that_breaks_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from optuna.samplers import RandomSampler

    def broken(*_: Any) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr(RandomSampler, "sample_independent", broken)
    with pytest.raises(RunError, match=r"'random' could not propose trial 3, because of this: IndexError: list index"):
        new(make_space(), "random").suggest(3)
