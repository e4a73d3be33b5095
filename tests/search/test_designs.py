"""The start design: after starts and presets, in order, each point once, and old plans have none."""

from __future__ import annotations

import json

import pytest

from lib_optim.plan.design import StartDesign
from lib_optim.plan.run_plan import SamplerSpec
from lib_optim.search.designs import design_points
from lib_optim.search.study import Search
from tests.search.test_study import SD1, finished, make_space, mixed_space, score


def origins(search: Search, count: int) -> list[str]:
    found = []
    for number in range(count):
        suggestion = search.suggest(number)
        found.append(suggestion.origin)
        search.add(finished(number, suggestion.values, score(suggestion.values), suggestion.origin))
    return found


def test_the_order_and_then_the_sampler() -> None:
    design = StartDesign(vertices=2, grid=1, latin=2, sobol=1, random=1)
    search = Search(make_space(3), SD1, SamplerSpec("random", {}, ("half",), design=design), 7)
    assert origins(search, 9) == [
        "preset: half", "design: vertices 1", "design: vertices 2", "design: grid 1", "design: latin 1",
        "design: latin 2", "design: sobol 1", "design: random 1", "sampler: random",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", list(StartDesign().counts))
def test_every_count_counts_and_every_point_fits(kind: str) -> None:
    space = mixed_space()
    points = list(design_points(StartDesign(**{kind: 6}), space, 3))
    assert [origin for origin, _ in points] == [f"design: {kind} {i}" for i in range(1, 7)]
    for _, values in points:
        space.assign(values)
    assert points == list(design_points(StartDesign(**{kind: 6}), space, 3))
    assert points != list(design_points(StartDesign(**{kind: 6}), space, 4))


def test_what_was_tried_before_is_left_out() -> None:
    search = Search(make_space(1), SD1, SamplerSpec("random", {}, ("all A",), design=StartDesign(vertices=4)), 7)
    assert origins(search, 3) == ["preset: all A", "design: vertices 1", "sampler: random"] or origins(search, 0) == []
    assert search.suggest(9).origin == "sampler: random"


def test_a_resumed_design_goes_on() -> None:
    spec = SamplerSpec("random", {}, (), design=StartDesign(latin=5))
    through, resumed = (Search(make_space(3), SD1, spec, 7) for _ in range(2))
    for number in range(5):
        suggestion = through.suggest(number)
        through.add(finished(number, suggestion.values, 1.0, suggestion.origin))
        if number < 2:
            resumed.add(finished(number, suggestion.values, None, suggestion.origin, "failed"))
        elif number == 2:
            assert resumed.suggest(2) == suggestion


def test_it_survives_json_and_older_plans_have_none() -> None:
    spec = SamplerSpec(design=StartDesign(latin=5))
    assert SamplerSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    assert SamplerSpec.from_json({"id": "tpe", "presets": []}).design.total == 0


def test_counts_out_of_range_are_refused() -> None:
    [first, second] = StartDesign(latin=-1, random=1001).problems()
    assert str(first) == "The start design's latin must lie between 0 and 1000, not -1."
    assert second.where == "sampler.design.random"
