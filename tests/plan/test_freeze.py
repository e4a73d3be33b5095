"""Freezing parameters at a trial's values."""

from __future__ import annotations

from typing import Any

import pytest

from lib_optim.plan.blocks import block_map
from lib_optim.plan.bounds import parse_bound
from lib_optim.plan.errors import PlanError
from lib_optim.plan.freeze import frozen_plan
from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from lib_optim.plan.payload import Payload
from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import ModelRef, RunPlan
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.plan.space import Space, space_of
from lib_optim.plan.starts import start_values
from tests.plan.methods import MANY, WEIGHTED

SD1 = block_map("sd1")


def plan_of(method: Any = WEIGHTED, **bounds: str) -> tuple[RunPlan, Space]:
    guide = Guide(
        (ComponentGuide("unet", (Strategy("all"),)),), {name: parse_bound(text) for name, text in bounds.items()}
    )
    models = (ModelRef("a.safetensors"), ModelRef("b.safetensors"))
    plan = RunPlan("mix", models, method.id, guide, (Payload("p"),), (ScorerSpec("technical"),))
    return plan, space_of(guide, method, SD1)


def trial_of(space: Space, value: float = 0.25) -> Trial:
    return Trial(7, "complete", {p.name: value for p in space.parameters}, "sampler: tpe", value=1.0)


def test_frozen_parameters_keep_the_trials_value_and_the_rest_is_searched() -> None:
    plan, space = plan_of()
    frozen = frozen_plan(plan, space, trial_of(space), ["IN03_alpha", "M00_alpha"])
    after = space_of(frozen.guide, WEIGHTED, SD1)
    assert {p.name for p in space.parameters} - {p.name for p in after.parameters} == {"IN03_alpha", "M00_alpha"}
    assert {s.name: s.value for s in after.settings}["IN03_alpha"] == 0.25
    assert after.merged_blocks == space.merged_blocks
    assert (frozen.name, plan.name) == ("mix frozen", "mix")
    assert frozen_plan(frozen, after, trial_of(after), ["OUT11_alpha"]).name == "mix frozen"


def test_the_trial_is_the_first_to_be_tried_and_its_merge_the_same() -> None:
    plan, space = plan_of()
    trial = trial_of(space, 0.75)
    frozen = frozen_plan(plan, space, trial, ["IN03_alpha", "OUT11_alpha"])
    after = space_of(frozen.guide, WEIGHTED, SD1)
    (start,) = frozen.sampler.start
    assert frozen.sampler.presets == ()
    assert after.assign(start_values(start, after, SD1)) == space.assign(trial.values)


def test_a_bound_of_the_parameter_gives_way_and_wider_ones_stay() -> None:
    plan, space = plan_of(MANY, in03_ALPHA="0..0.5", alpha="0..1 step 0.25")
    frozen = frozen_plan(plan, space, trial_of(space), ["IN03_alpha"])
    assert str(frozen.guide.bounds["IN03_alpha"]) == "=0.25"
    assert "in03_ALPHA" not in frozen.guide.bounds
    after = space_of(frozen.guide, MANY, SD1)
    assert {str(p.bound) for p in after.parameters if p.method_parameter == "alpha"} == {"0..1 step 0.25"}


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ((), "Nothing is chosen to be frozen"),
        (("IN3_alpha",), "'IN3_alpha' is not a parameter of this run. Did you mean"),
        (None, "nothing is left to search"),
    ],
)
def test_what_cannot_be_frozen_is_named(names: tuple[str, ...] | None, sentence: str) -> None:
    plan, space = plan_of()
    chosen = [p.name for p in space.parameters] if names is None else names
    with pytest.raises(PlanError, match=sentence):
        frozen_plan(plan, space, trial_of(space), chosen)
