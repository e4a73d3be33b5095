"""Nobody waits: the next trial is made while earlier ones wait for a person's ratings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from lib_optim.plan.errors import PlanError
from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import Budget, RunPlan, SamplerSpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.ahead import assumed, room
from tests.rig import Rig, payload

MANUAL = (ScorerSpec("manual"),)


def plan(rig: Rig, trials: int, ahead: int = 1, sampler: str = "random", judges: Sequence[str] = ()) -> RunPlan:
    return rig.plan(
        scorers=(*MANUAL, *map(ScorerSpec, judges)), payloads=(payload(),), budget=Budget(trials), ahead=ahead,
        sampler=SamplerSpec(sampler, presets=("half",)),
    )  # fmt: skip


def until_waiting(rig: Rig, *trials: int) -> None:
    """Wait until these trials, and no others, wait for ratings, and the run for them."""
    wanted = [[trial, 0] for trial in trials]
    rig.until(lambda: (s := rig.snapshot())["waiting"] == wanted and s["state"] == "waiting", f"{wanted} to wait")


def test_the_next_trial_is_made_while_one_waits_and_no_more_than_that(rig: Rig) -> None:
    name = rig.manager.start(plan(rig, 4))
    until_waiting(rig, 0, 1)
    assert rig.states() == ["waiting", "waiting"]
    assert rig.has_originals(), "whoever else uses the program has their own model meanwhile"
    rig.manager.score(1, 0, 8, "a")  # in any order
    until_waiting(rig, 0, 2)
    assert rig.states() == ["waiting", "complete", "waiting"]
    search = rig.manager._worker.context.history._search  # type: ignore[union-attr]
    assert (search._trials[0].state, search._trials[0].value) == ("complete", 8), "assumed: the worst so far"
    rig.manager.score(0, 0, 3, "b")
    assert (search._trials[0].state, search._trials[0].value) == ("complete", 3)
    until_waiting(rig, 2, 3)
    rig.manager.stop()
    rig.end()
    assert [(t.state, t.value) for t in rig.stored().trials] == [
        ("complete", 3), ("complete", 8), ("waiting", None), ("waiting", None),
    ]  # fmt: skip
    rig.manager.resume(name)
    until_waiting(rig, 2, 3)  # and no fifth: the budget has four
    rig.manager.score(3, 0, 5, "c")
    until_waiting(rig, 2)
    rig.manager.score(2, 0, 9, "d")
    assert rig.end()["best"] == {"trial": 2, "value": 9}
    assert [trial["value"] for trial in rig.trials()] == [3, 8, 9, 5]


def test_a_sampler_that_needs_every_answer_waits_once_the_start_design_is_through(rig: Rig) -> None:
    rig.manager.start(plan(rig, 3, sampler="cma"))
    until_waiting(rig, 0)  # the preset; what comes next is the sampler's
    rig.manager.score(0, 0, 3, "a")
    until_waiting(rig, 1)
    rig.manager.stop()
    rig.end()
    assert rig.states() == ["complete", "waiting"]


def test_finish_asks_for_the_ratings_of_what_is_made_and_handing_over_ends_it(rig: Rig) -> None:
    rig.manager.start(plan(rig, 5, judges=("technical",)))
    until_waiting(rig, 0, 1)
    rig.manager.finish()
    rig.manager.score(0, 0, 6, "a")
    until_waiting(rig, 1)
    rig.manager.hand_over()
    rig.end()
    assert rig.states() == ["complete", "complete"]
    assert rig.manager.snapshot(0, [1])["images"]["1"][0]["marks"] == ["unrated"]


def test_handing_over_ends_all_that_wait(rig: Rig) -> None:
    rig.manager.start(plan(rig, 3, ahead=2, judges=("technical",)))
    until_waiting(rig, 0, 1, 2)
    rig.manager.hand_over()
    rig.end()
    assert rig.states() == ["complete"] * 3


@pytest.mark.parametrize("ahead", [-1, 11])
def test_a_number_out_of_range(rig: Rig, ahead: int) -> None:
    with pytest.raises(PlanError, match="From 0 to 10 trials may wait"):
        rig.manager.start(plan(rig, 1, ahead=ahead))


def trial(
    number: int, value: float | None = None, state: str = "complete", axes: Mapping[str, float] | None = None
) -> Trial:
    return Trial(number, state, {}, "sampler: tpe", value=value, axes=axes or {})  # type: ignore[arg-type]


def test_what_waits_counts_as_the_worst_so_far() -> None:
    waiting = [trial(3, state="waiting")]
    done = [trial(0, 5.0), trial(1, 2.0), trial(2, state="failed")]
    assert [(t.number, t.state, t.value) for t in assumed(waiting, [*done, *waiting])] == [(3, "complete", 2.0)]
    assert assumed(waiting, waiting) == waiting
    goals = [trial(0, 5.0, axes={"a": 1.0, "b": 4.0}), trial(1, 2.0, axes={"a": 3.0, "b": 2.0})]
    assert dict(assumed(waiting, goals)[0].axes) == {"a": 1.0, "b": 2.0}


def test_what_waits_has_its_place_in_the_budget() -> None:
    trials = [trial(0, 5.0), trial(1, state="waiting"), trial(2, state="failed")]
    assert room(Budget(3), trials, 1, 12, 4)
    assert not room(Budget(2), trials, 1, 12, 4)
    assert room(Budget(9, images=16), trials, 1, 12, 4)
    assert not room(Budget(9, images=15), trials, 1, 12, 4)
