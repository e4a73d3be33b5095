"""Changes to a plan, as a fork says them."""

from __future__ import annotations

import dataclasses

import pytest

from lib_optim.plan.bounds import parse_bound
from lib_optim.plan.changes import PARTS, changed_plan, mixed_plan
from lib_optim.plan.errors import PlanError
from lib_optim.plan.guide import Guide
from lib_optim.plan.payload import Payload
from lib_optim.plan.run_plan import Budget, ModelRef, RunPlan, SamplerSpec
from lib_optim.plan.scorers import ScorerSpec

PLAN = RunPlan(
    "mix",
    (ModelRef("a"), ModelRef("b")),
    "weighted_sum",
    Guide((), {"alpha": parse_bound("0..1")}),
    (Payload("fox", seed=5, subseed=6), Payload("hill", seed=7, subseed=8)),
    (ScorerSpec("technical"), ScorerSpec("clipscore", 2.0, options={"tag": "x"})),
    sampler=SamplerSpec("tpe", presets=("half",)),
)


def test_nothing_said_is_nothing_changed() -> None:
    assert changed_plan(PLAN) == PLAN


def test_every_change_arrives() -> None:
    plan = changed_plan(
        PLAN, "other", 12, "random", ["clipscore=0.5", "technical"], ["hill=0"], ["ALPHA=0..0.5", "M00_alpha==0.3"]
    )
    assert (plan.name, plan.budget) == ("other", Budget(12))
    assert (plan.sampler.id, plan.sampler.presets) == ("random", ("half",))
    assert plan.scorers == (ScorerSpec("clipscore", 0.5, options={"tag": "x"}), ScorerSpec("technical"))
    assert [payload.score_weight for payload in plan.payloads] == [1.0, 0.0]
    assert {key: str(bound) for key, bound in plan.guide.bounds.items()} == {"ALPHA": "0..0.5", "M00_alpha": "=0.3"}


def test_every_mistake_is_named() -> None:
    with pytest.raises(PlanError) as caught:
        changed_plan(PLAN, scorers=["clipscore=much"], payload_weights=["hil=1", "fox"], bounds=["IN05", "IN06=1..0"])
    sentences = " ".join(problem.sentence for problem in caught.value.problems)
    assert "'clipscore=much' is no scorer" in sentences
    assert "no payload 'hil'. Did you mean 'hill'?" in sentences
    assert "'fox' is no payload weight" in sentences
    assert "'IN05' is no bound of a parameter" in sentences
    assert "the lower end 1 is not below" in sentences


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_taken_and_nothing_else(part: str) -> None:
    other = RunPlan(
        "theirs",
        (ModelRef("c"), ModelRef("d")),
        "add_difference",
        Guide((), {"alpha": parse_bound("0..2")}),
        (Payload("lake", seed=1, subseed=2),),
        (ScorerSpec("manual"),),
        sampler=SamplerSpec("random"),
        budget=Budget(99),
        save=dataclasses.replace(PLAN.save, dtype="fp32"),
        seed=77,
        recipe="text",
        adjust=True,
    )
    mixed = mixed_plan(PLAN, other, [part])
    for field in dataclasses.fields(RunPlan):
        source = other if field.name in PARTS[part] else PLAN
        assert getattr(mixed, field.name) == getattr(source, field.name), field.name


def test_a_payload_keeps_the_seeds_it_was_given() -> None:
    fresh = dataclasses.replace(
        PLAN, payloads=(Payload("hill", score_weight=2.0), Payload("new"), Payload("fox", seed=1))
    )
    hill, new, fox = mixed_plan(PLAN, fresh, ["payloads"]).payloads
    assert (hill.seed, hill.subseed, hill.score_weight) == (7, 8, 2.0)
    assert (new.seed, fox.seed, fox.subseed) == (-1, 1, 6)
