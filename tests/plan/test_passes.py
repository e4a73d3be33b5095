"""Passes as data: what a later one takes from the first, and which seeds it draws."""

from __future__ import annotations

import dataclasses
import json

from lib_optim.plan.guide import Guide
from lib_optim.plan.passes import (
    PassRecord,
    changed_pass,
    first_pass,
    free_names,
    later_pass,
    pass_seed,
    verification_of,
)
from lib_optim.plan.payload import Payload, jobs_of, same_picture
from lib_optim.plan.run_plan import Budget, PassSpec, RunPlan, SamplerSpec, VerifySpec
from lib_optim.plan.scorers import ScorerSpec

CAT, DOG = Payload("cat", "a cat"), Payload("dog", "a dog")
PLAN = RunPlan(
    "p", (), "weighted_sum", Guide(()), (CAT,), (ScorerSpec("technical"),), SamplerSpec("tpe", {"multivariate": True}),
    Budget(9), seed=3, verify=VerifySpec(2, (Payload("bird"),), (ScorerSpec("manual"),)),
    passes=(
        PassSpec("more", (CAT, DOG), budget=Budget(4), free=("IN*",)), PassSpec(scorers=(ScorerSpec("clipscore"),)),
    ),
).with_drawn_seeds()  # fmt: skip


def test_what_a_pass_leaves_open_is_as_in_the_first() -> None:
    more, other = later_pass(PLAN, 1), later_pass(PLAN, 2)
    assert (more.name, more.scorers, more.budget, more.free, more.planned) == (
        "more", PLAN.scorers, Budget(4), ("IN*",), 1,
    )  # fmt: skip
    assert (other.payloads, other.budget, other.free) == (PLAN.payloads, Budget(9), ())
    assert other.scorers == (ScorerSpec("clipscore"),)
    assert more.sampler == SamplerSpec("tpe", {"multivariate": True}, presets=())
    assert not more.begun


def test_a_payload_that_stays_keeps_its_seed() -> None:
    first, more = first_pass(PLAN), later_pass(PLAN, 1)
    assert more.payloads[0] == first.payloads[0]
    assert more.payloads[1].seed >= 0
    assert same_picture(jobs_of(more.payloads)[0], jobs_of(first.payloads)[0])
    wish = dataclasses.replace(PLAN, payloads=(DOG, dataclasses.replace(CAT, score_weight=2.0)), passes=())
    changed = changed_pass(wish, more)
    assert changed.payloads[0].seed == more.payloads[1].seed
    assert changed.planned == 1
    assert changed.payloads[1].seed >= 0


def test_the_same_picture_however_it_counts() -> None:
    (job,) = jobs_of((dataclasses.replace(CAT, seed=1, subseed=2),))
    weighted = dataclasses.replace(CAT, name="x", caption="y", score_weight=3.0, seed=1, subseed=9)
    assert same_picture(job, jobs_of((weighted,))[0])
    for change in ({"seed": 2}, {"prompt": "a dog"}, {"steps": 3}, {"subseed_strength": 0.1}):
        assert not same_picture(job, jobs_of((dataclasses.replace(CAT, **{"seed": 1, "subseed": 9, **change}),))[0])


def test_the_verification_is_of_the_pass_it_verifies() -> None:
    record = verification_of(later_pass(PLAN, 1), PLAN)
    assert [payload.name for payload in record.payloads] == ["cat", "dog", "bird"]
    assert (record.held_out, record.judges) == (1, ("technical",))
    assert [spec.id for spec in record.scorers] == ["technical", "manual"]
    assert [spec.id for spec in record.deciding] == ["technical"]
    assert PassRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_free_names() -> None:
    names = ["BASE_alpha", "IN00_alpha", "IN01_alpha", "OUT_beta"]
    assert free_names((), names) == names
    assert free_names(("in*", "out_beta"), names) == names[1:]
    assert free_names(("IN00",), names) == []


def test_pass_seeds_differ_and_the_first_is_the_plans() -> None:
    assert pass_seed(3, 1) == 3
    assert len({pass_seed(3, n) for n in range(1, 9)}) == 8
    assert pass_seed(3, 2) == pass_seed(3, 2) != pass_seed(4, 2)
