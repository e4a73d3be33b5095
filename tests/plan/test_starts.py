"""Start points: how block weights meet a space."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lib_optim.plan.blocks import block_map
from lib_optim.plan.bounds import parse_bound
from lib_optim.plan.errors import PlanError
from lib_optim.plan.guide import ComponentGuide, Group, Guide, Strategy
from lib_optim.plan.run_plan import SamplerSpec
from lib_optim.plan.space import Space, space_of
from lib_optim.plan.starts import StartPoint, start_notes, start_problems, start_values
from lib_optim.search.study import Search
from tests.plan.methods import BARE, MANY, WEIGHTED

SD1 = block_map("sd1")


def space(*strategies: Strategy, method: Any = WEIGHTED, **bounds: str) -> Space:
    guide = Guide(
        (ComponentGuide("unet", strategies or (Strategy("all"),)),),
        {name: parse_bound(text) for name, text in bounds.items()},
    )
    return space_of(guide, method, SD1)


def test_one_value_per_block_and_what_is_absent_stays_as_in_a() -> None:
    values = start_values(StartPoint("mine", {"IN03": 0.25, "OUT11": 1.0}), space(), SD1)
    assert values == {**{p.name: 0.0 for p in space().parameters}, "IN03_alpha": 0.25, "OUT11_alpha": 1.0}


def test_groups_take_the_mean_steps_the_nearest_and_other_parameters_their_default() -> None:
    groups = Strategy("group", groups=(Group("in", ("IN*",)), Group("rest", ("M00", "OUT*"))))
    given = space(groups, method=MANY, alpha="0..1 step 0.25")
    point = StartPoint("mine", {"IN00": 0.2, "IN01": 0.4, "M00": 1.0})
    values = start_values(point, given, SD1)
    assert (values["in_alpha"], values["rest_alpha"]) == (0.25, 1.0)
    assert values["in_beta"] == 0.3
    assert list(start_notes(point, given, SD1)) == [
        "The start 'mine' gives in_alpha several weights; their mean is tried."
    ]


def test_a_follower_that_is_searched_by_itself_takes_its_own_weight_or_its_leaders() -> None:
    given = space(Strategy("select", ("IN00", "TIME")))
    assert start_values(StartPoint("m", {"IN00": 0.5}), given, SD1) == {"IN00_alpha": 0.5, "TIME_alpha": 0.5}
    assert start_values(StartPoint("m", {"IN00": 0.5, "TIME": 1}), given, SD1)["TIME_alpha"] == 1


def test_what_the_run_does_not_search_is_named() -> None:
    given = space(Strategy("select", ("IN00",)))
    point = StartPoint("m", {"IN00": 0.5, "IN01": 0.7, "IN02": 0.0, "BASE": 0.1})
    assert list(start_notes(point, given, SD1)) == [
        "The start 'm' names IN01, BASE, which this run does not search; the rest is tried."
    ]


@pytest.mark.parametrize(
    ("point", "options", "sentence"),
    [
        (StartPoint("m", {"IN03": 1.5}), {}, r"The start 'm' gives IN03_alpha 1\.5, which lies outside 0\.\.1; widen"),
        (StartPoint("m", {"IN00": 0.5}), {"alpha": "0.2..1"}, "gives IN01_alpha 0, which lies outside"),
        (StartPoint("m", {"IN3": 1.0}), {}, r"names 'IN3', no block here\. Did you mean 'IN03'\?"),
        (StartPoint("m", {}), {}, "holds no weights"),
        (StartPoint(" ", {"IN00": 1.0}), {}, "has no name"),
    ],
)
def test_what_cannot_be_tried(point: StartPoint, options: dict[str, str], sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        start_values(point, space(**options), SD1)
    assert any(True for _ in start_problems((point,), space(**options), SD1))


def test_a_run_without_weights_and_two_of_one_name() -> None:
    point = StartPoint("m", {"IN00": 1.0})
    other = space(Strategy("all", parameters=("cos_eps",)), method=MANY)
    with pytest.raises(PlanError, match="this run searches none"):
        start_values(point, other, SD1)
    (problem,) = start_problems((point, point), space(), SD1)
    assert problem.sentence == "Two starts are called 'm'; rename or remove one."
    assert BARE.parameters == ()


def test_the_search_tries_starts_before_presets_and_never_twice() -> None:
    half = StartPoint("half as well", dict.fromkeys([b.name for b in SD1.of_component("unet")], 0.5))
    sampler = SamplerSpec("random", presets=("half", "all A"), start=(half, StartPoint("mine", {"IN03": 0.25})))
    search = Search(space(), SD1, sampler, 3)
    assert search.presets == ("all A",)
    origins = []
    for number in range(4):
        suggestion = search.suggest(number)
        origins.append(suggestion.origin)
        search.add(_trial(number, suggestion))
    assert origins == ["start: half as well", "start: mine", "preset: all A", "sampler: random"]


def _trial(number: int, suggestion: Any) -> Any:
    from lib_optim.plan.records import Trial

    return Trial(number, "complete", suggestion.values, suggestion.origin, value=float(number))


def test_it_survives_json_and_older_plans_have_none() -> None:
    sampler = SamplerSpec(start=(StartPoint("mine", {"IN03": 0.25}),))
    assert SamplerSpec.from_json(json.loads(json.dumps(sampler.to_json()))) == sampler
    assert SamplerSpec.from_json({"id": "tpe", "presets": []}).start == ()
