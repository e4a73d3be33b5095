"""The whole plan: through text and back, and the seeds it draws."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_optim.plan.bounds import Bound
from lib_optim.plan.errors import PlanError
from lib_optim.plan.guide import ComponentGuide, Group, Guide, Strategy
from lib_optim.plan.payload import MAX_SEED, Payload
from lib_optim.plan.records import ImageRecord, Score, Trial
from lib_optim.plan.run_plan import Budget, ModelRef, RunPlan, SamplerSpec, SaveSpec
from lib_optim.plan.scorers import MANUAL, ScorerSpec

PLAN = RunPlan(
    "first",
    (ModelRef("/models/a.safetensors", "0" * 64, "a"), ModelRef("/models/b.safetensors")),
    "weighted_sum",
    Guide(
        (
            ComponentGuide("unet", (Strategy("group", groups=(Group("g", ("IN*",)),)), Strategy("all"))),
            ComponentGuide("text_encoder", (Strategy("single", ("BASE",), parameters=("alpha",)),)),
        ),
        {
            "alpha": Bound("float", 0.0, 1.0, 0.05),
            "IN05": Bound("same", value="IN04"),
            "rank": Bound("choice", choices=(8, 16.5, "x", True)),
            "k": Bound("fixed", value=1),
        },
    ),
    (Payload("cat", "a cat", seed=3, styles=("s",), override_settings={"a": [1, {"b": None}]}, eta=0.5),),
    (ScorerSpec(MANUAL), ScorerSpec("clipscore", 2.0, "cuda:1", {"model": "x", "n": 3})),
    SamplerSpec("tpe", {"n_startup_trials": 5, "multivariate": True}, ("half",)),
    Budget(12),
    SaveSpec("bf16", False),
    7,
)


def through_text(plan: RunPlan) -> RunPlan:
    return RunPlan.from_json(json.loads(json.dumps(plan.to_json())))


def test_round_trip() -> None:
    again = through_text(PLAN)
    assert again == PLAN
    assert type(again.guide.bounds["k"].value) is int
    assert [type(choice) for choice in again.guide.bounds["rank"].choices] == [int, float, str, bool]


def test_the_smallest_plan_takes_defaults() -> None:
    plan = RunPlan.from_json(
        {"name": "x", "models": [], "method": "m", "guide": {"components": []}, "payloads": [], "scorers": []}
    )
    assert plan == RunPlan("x", (), "m", Guide(()), (), ())
    assert (plan.budget.trials, plan.seed) == (30, 0)
    assert plan.save.dtype == "fp16"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("budget", "trials"), "many", "'budget.trials' must be a whole number, not 'many'."),
        (("guide", "components", 0, "strategies", 0, "type"), "al", "must be one of 'all', 'select'"),
        (("guide", "bounds", "alpha", "lo"), 1, "'lo' is not a field of guide.bounds.alpha. Did you mean 'low'?"),
        (("payloads", 0, "cfg"), 7, "'cfg' is not a field of payloads[0]. Did you mean 'cfg_scale'?"),
        (("save", "dtype"), "fp8", "'save.dtype' must be one of 'fp16', 'bf16', 'fp32', not 'fp8'."),
        (("models", 1), "b.safetensors", "models[1] must be an object, not 'b.safetensors'."),
        (("version",), 99, "was written by a newer Optim"),
        (("payloads", 0, "version"), 99, "payloads[0] was written by a newer Optim"),
    ],
)
def test_a_fault_deep_inside_is_named_with_its_place(path: tuple[Any, ...], value: Any, words: str) -> None:
    data: Any = PLAN.to_json()
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(PlanError) as caught:
        RunPlan.from_json(data)
    assert len(caught.value.problems) == 1
    assert words in str(caught.value)


def draw(seed: int, *payloads: Payload) -> list[tuple[int, int]]:
    plan = dataclasses.replace(PLAN, seed=seed, payloads=payloads).with_drawn_seeds()
    return [(payload.seed, payload.subseed) for payload in plan.payloads]


def test_drawn_seeds_are_the_same_for_the_same_plan_seed() -> None:
    payloads = (Payload("a"), Payload("b"), Payload("c", seed=5))
    assert draw(7, *payloads) == draw(7, *payloads)
    assert draw(7, *payloads) != draw(8, *payloads)
    # held fast: a plan made today draws the same images tomorrow
    assert [seed for seed, _ in draw(7, *payloads)] == [4233356579, 23650707, 5]


def test_given_seeds_are_left_alone() -> None:
    assert draw(7, Payload("a", seed=0, subseed=0), Payload("b", seed=MAX_SEED, subseed=3)) == [(0, 0), (MAX_SEED, 3)]


def test_payloads_draw_different_seeds() -> None:
    drawn = [number for pair in draw(1, *(Payload(str(i)) for i in range(50))) for number in pair]
    assert len(set(drawn)) == len(drawn)
    assert all(0 <= number <= MAX_SEED for number in drawn)


def test_drawing_twice_changes_nothing() -> None:
    plan = dataclasses.replace(PLAN, payloads=(Payload("a"),)).with_drawn_seeds()
    assert plan.with_drawn_seeds() == plan == through_text(plan)


def test_drawing_asks_the_host_for_nothing_more() -> None:
    plan = dataclasses.replace(PLAN, payloads=(Payload("a", seed=1),)).with_drawn_seeds()
    assert plan.payloads[0].used_fields() == ("seed",)


words = st.dictionaries(st.text(), st.booleans() | st.integers() | st.floats(-1e9, 1e9) | st.text())
states = st.sampled_from(["running", "waiting", "complete", "failed", "skipped"])
numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.builds(
        Trial, st.integers(0), states, words, st.text(), st.text(), st.none() | numbers, st.text(),
        st.dictionaries(st.text(), numbers), numbers, st.none() | numbers,
    )
)  # fmt: skip
def test_trials_round_trip(trial: Trial) -> None:
    assert Trial.from_json(json.loads(json.dumps(trial.to_json()))) == trial


def test_images_and_scores_round_trip() -> None:
    image = ImageRecord(3, 1, "cat", 5, "images/3.png", "a cat", "abc", 0.5, True)
    score = Score(3, 1, "manual", 7.0, "r1", True, 12.5)
    assert ImageRecord.from_json(image.to_json()) == image
    assert Score.from_json(score.to_json()) == score
