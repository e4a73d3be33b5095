"""Freezing in mid-run: a new pass of the same run, in which the frozen parameters stay as in the best so far."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from lib_optim.plan.design import StartDesign
from lib_optim.plan.errors import OptimError, PlanError, RunError
from lib_optim.plan.passes import PassRecord, first_pass, free_names, frozen_pass
from lib_optim.plan.run_plan import Budget, PassSpec, RunPlan, SamplerSpec, SharedSpec
from lib_optim.run.store import Store
from tests.rig import Rig, make_plan, payload

RANDOM = SamplerSpec("random", presets=("half",), design=StartDesign(random=1))
NAMES = {"BASE_alpha", "in_alpha", "out_alpha"}


def plan(rig: Rig, *passes: PassSpec, **changes: Any) -> RunPlan:
    return rig.plan(**{"budget": Budget(5), "payloads": (payload(),), "sampler": RANDOM, "passes": passes, **changes})


def records(rig: Rig) -> list[PassRecord]:
    with contextlib.closing(Store(rig.folder_of().database)) as store:
        return [PassRecord.from_json(json.loads(text)) for _, text in store.passes()]


def at_trial(rig: Rig, number: int, act: Callable[[], object]) -> None:
    """Have `act` done once, at the first image of trial `number`."""
    done: list[object] = []

    def press(job: Any, stamp: Any) -> None:
        if stamp["Optim trial"].endswith(f" {number}") and not done:
            done.append(1)
            act()

    rig.hook("generate", press)


def made_of(rig: Rig) -> list[Any]:
    return [trial for trial in rig.stored().trials if not trial.origin.startswith("rescored")]


def check(rig: Rig) -> None:
    """Five trials were asked for in all; two were made when BASE was frozen during the second."""
    made = made_of(rig)
    assert [trial.pass_id for trial in made] == [1, 1, 2, 2, 2]
    assert [trial.origin for trial in made[2:]] == ["sampler: random"] * 3  # no preset and no design again
    best = max(made[:2], key=lambda trial: trial.value)
    for trial in made[2:]:
        assert trial.values["BASE_alpha"] == best.values["BASE_alpha"]
        assert trial.values["in_alpha"] != best.values["in_alpha"]
        assert list(trial.values) == list(best.values)
    _, record = records(rig)
    assert (record.name, record.begun, record.start) == ("frozen in mid-run", True, best.number)
    assert record.fixed == {"BASE_alpha": best.values["BASE_alpha"]}
    assert record.budget.trials == 3
    again = [trial for trial in rig.stored().trials if trial.origin.startswith("rescored")]
    assert [trial.values for trial in again] == [best.values]  # the best is in the new pass, and cost nothing


def test_a_running_run_goes_on_without_what_is_frozen(rig: Rig) -> None:
    answers: list[Any] = []
    at_trial(rig, 1, lambda: answers.extend(rig.manager.freeze(["BASE_alpha"]) for _ in range(2)))
    snapshot = rig.run(plan(rig))
    assert [(made.number, made.record.begun) for made in answers] == [(2, False)] * 2  # a second click changes nothing
    check(rig)
    assert [row["label"] for row in snapshot["run"]["passes"]] == ["1", "2"]


def test_a_paused_run_goes_on_without_what_is_frozen(rig: Rig) -> None:
    at_trial(rig, 0, rig.manager.pause)  # trial 1 is under way then, without an image yet
    rig.manager.start(plan(rig))
    rig.until_state("paused")
    rig.manager.freeze(["BASE_alpha"])
    rig.manager.go_on()
    rig.end()
    check(rig)


@pytest.mark.parametrize("stop_at", [1, 4])
def test_it_is_recorded_and_resumed(rig: Rig, stop_at: int) -> None:
    """Stopped before the new pass began, and in the middle of it."""
    at_trial(rig, stop_at, rig.manager.stop)
    at_trial(rig, 1, lambda: rig.manager.freeze(["BASE_alpha"]))  # what is hooked in last comes first
    rig.run(plan(rig))
    assert records(rig)[1].begun == (stop_at > 1)
    rig.manager.resume(rig.folder_of().name)
    rig.end()
    check(rig)


def test_a_second_thought_freezes_more_and_what_was_planned_comes_after_it(rig: Rig) -> None:
    def act() -> None:
        rig.manager.freeze(["BASE_alpha"])
        rig.manager.freeze(["in_alpha"])
        with pytest.raises(PlanError, match="nothing is left to search"):
            rig.manager.freeze(["out_alpha"])

    at_trial(rig, 1, act)
    rig.run(plan(rig, PassSpec("planned", budget=Budget(1)), budget=Budget(3)))
    assert [record.name for record in records(rig)] == ["", "frozen in mid-run", "planned"]
    assert set(records(rig)[1].fixed) == {"BASE_alpha", "in_alpha"}
    assert [trial.pass_id for trial in made_of(rig)] == [1, 1, 2, 3]


def test_what_a_pass_has_fixed_stays_fixed_in_the_next(rig: Rig) -> None:
    at_trial(rig, 1, lambda: rig.manager.freeze(["BASE_alpha"]))
    at_trial(rig, 4, lambda: rig.manager.freeze(["out_alpha"]))
    rig.run(plan(rig))
    third = records(rig)[2]
    assert set(third.fixed) == {"BASE_alpha", "out_alpha"}
    assert third.budget.trials == 1


def test_what_cannot_be_frozen_is_one_sentence_and_changes_nothing(rig: Rig) -> None:
    with pytest.raises(RunError, match="No run is going on"):
        rig.manager.freeze(["BASE_alpha"])
    said: list[str] = []

    def refused(names: list[str]) -> None:
        with pytest.raises(OptimError) as caught:
            rig.manager.freeze(names)
        said.append(str(caught.value))

    at_trial(rig, 0, lambda: refused(["BASE_alpha"]))
    at_trial(rig, 1, lambda: [refused(names) for names in ([], ["BASE_alhpa"], sorted(NAMES))])
    at_trial(rig, 2, lambda: refused(["BASE_alpha"]))
    rig.run(plan(rig, budget=Budget(3)))
    assert [sentence.partition(",")[0].partition(";")[0] for sentence in said] == [
        "No trial of this run is scored",
        "Nothing is chosen to be frozen",
        "'BASE_alhpa' is not a parameter of this run. Did you mean 'BASE_alpha'?",
        "All parameters are to be frozen",
        "The budget ends with the trial under way",
    ]
    assert len(records(rig)) == 1


def test_a_shared_study_is_not_frozen_in_mid_run(rig: Rig) -> None:
    said: list[str] = []

    def act() -> None:
        with pytest.raises(RunError) as caught:
            rig.manager.freeze(["BASE_alpha"])
        said.append(str(caught.value))

    at_trial(rig, 1, act)
    rig.run(plan(rig, budget=Budget(2), shared=SharedSpec(f"sqlite:///{rig.folder / 'study.db'}", "x")))
    assert said == ["A shared study cannot change in mid-run; start another one."]


def test_names_are_not_read_as_wildcards(tmp_path: Any) -> None:
    odd = ["a[0]_alpha", "a0_alpha", "b*_alpha", "bc_alpha"]
    record = frozen_pass(first_pass(make_plan(tmp_path)), [odd[0], odd[2]], Budget(1))
    assert free_names(record.free, odd) == [odd[0], odd[2]]
