"""Several searches in one run: a later one starts from the best so far, and a change in mid-run is one more."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from lib_optim.plan.errors import PlanError, RunError, StoreError
from lib_optim.plan.passes import PassRecord
from lib_optim.plan.run_plan import Budget, PassSpec, RunPlan, SamplerSpec, VerifySpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.store import Store
from tests.rig import Rig, payload

RANDOM = SamplerSpec("random", presets=())
HILL = (payload("hill", seed=8),)


def plan(rig: Rig, *passes: PassSpec, **changes: Any) -> RunPlan:
    return rig.plan(**{"budget": Budget(2), "payloads": (payload(),), "sampler": RANDOM, "passes": passes, **changes})


def records(rig: Rig) -> list[PassRecord]:
    store = Store(rig.folder_of().database)
    try:
        return [PassRecord.from_json(json.loads(text)) for _, text in store.passes()]
    finally:
        store.close()


def of_pass(rig: Rig, number: int) -> list[Any]:
    return [trial for trial in rig.stored().trials if trial.pass_id == number]


def test_other_payloads_and_fewer_parameters(rig: Rig) -> None:
    second = PassSpec("details", payloads=HILL, budget=Budget(3), free=("in_*", "OUT_alpha"))
    snapshot = rig.run(plan(rig, second, verify=VerifySpec(1)))
    first = of_pass(rig, 1)
    best = max(first, key=lambda trial: trial.value)
    later = of_pass(rig, 2)
    assert [trial.origin for trial in later] == [f"best: {best.number}", "sampler: random", "sampler: random"]
    assert later[0].values == best.values
    assert later[0].recipe == best.recipe
    for trial in later[1:]:
        assert trial.values["BASE_alpha"] == best.values["BASE_alpha"]
        assert trial.values["in_alpha"] != best.values["in_alpha"]
        assert list(trial.values) == list(best.values)
    assert {i.payload for i in rig.stored().images if i.trial in {t.number for t in later}} == {"hill"}
    record = records(rig)[1]
    assert (record.name, record.start, record.begun) == ("details", best.number, True)
    assert record.fixed == {"BASE_alpha": best.values["BASE_alpha"]}

    # the last search has the last word, and its winner is verified by its own payloads
    assert snapshot["best"]["trial"] in {trial.number for trial in later}
    assert [i.payload for i in rig.stored().images if i.trial == 5] == ["hill"]
    assert snapshot["verification"]["winner"] == snapshot["best"]["trial"]
    assert "All 3 trials are done. Winner" in snapshot["sentence"]
    with rig.folder_of().trials_csv.open(newline="") as file:
        assert [row["pass"] for row in csv.DictReader(file)] == ["1", "1", "2", "2", "2", "verification"]
    assert [p["label"] for p in snapshot["run"]["passes"]] == ["1", "2", "verification"]


def test_other_judges_score_the_stored_images_again(rig: Rig) -> None:
    """Weights alone change the values at once; nothing is generated, and the next pass's sampler knows them all."""
    judges = (ScorerSpec("technical", 3.0), ScorerSpec("similarity", options={"reference": _reference(rig)}))
    made: list[str] = []
    rig.hook("generate", lambda job, stamp: made.append(stamp["Optim trial"].split()[-1]))
    tpe = SamplerSpec("tpe", {"n_startup_trials": 2}, ())
    rig.run(plan(rig, PassSpec(scorers=judges, budget=Budget(1), sampler=tpe), budget=Budget(3)))
    stored = rig.stored()
    again = [trial for trial in stored.trials if trial.origin.startswith("rescored:")]
    assert [trial.origin for trial in again] == ["rescored: 0", "rescored: 1", "rescored: 2"]
    assert [trial.values for trial in again] == [trial.values for trial in of_pass(rig, 1)]
    assert made == ["0", "1", "2", "6"]
    raw = {(s.trial, s.scorer): s.raw for s in stored.scores}
    for number, trial in enumerate(again):
        assert raw[trial.number, "technical"] == raw[number, "technical"]
        expected = (3 * (raw[number, "technical"] - 0.3) / 0.6 + _mapped(raw[trial.number, "similarity"])) / 4
        assert trial.value == pytest.approx(expected, abs=1e-9)
        files = {i.trial: i.file for i in stored.images}
        assert files[trial.number] == files[number]
    assert len(list(rig.folder_of().images.iterdir())) == 4
    assert of_pass(rig, 2)[-1].origin == "sampler: tpe"
    assert rig.snapshot()["progress"]["trials"] == 1


def _reference(rig: Rig) -> str:
    from PIL import Image

    path = rig.folder / "reference.png"
    Image.linear_gradient("L").convert("RGB").resize((64, 64)).save(path)
    return str(path)


def _mapped(raw: float) -> float:
    from lib_optim.scoring.combine import mapped

    return mapped("similarity", raw)


@pytest.mark.parametrize("at", [2, 7])
def test_stopped_anywhere_and_resumed_it_is_the_same_run(rig: Rig, make_rig: Callable[[], Rig], at: int) -> None:
    passes = (PassSpec(payloads=(payload(), *HILL), free=("in_*",)), PassSpec(scorers=(ScorerSpec("technical", 2.0),)))
    whole = make_rig()
    whole.run(plan(whole, *passes))
    pressed: list[int] = []

    def press(job: Any, stamp: Any) -> None:
        if stamp["Optim trial"].endswith(f" {at}") and not pressed:
            pressed.append(at)
            rig.manager.stop()

    rig.hook("generate", press)
    rig.run(plan(rig, *passes))
    assert len(rig.stored().trials) == at + 1
    rig.manager.resume(rig.folder_of().name)
    rig.end()
    mine, theirs = rig.stored(), whole.stored()
    assert [trial.origin for trial in mine.trials] == [trial.origin for trial in theirs.trials]
    assert [trial.pass_id for trial in mine.trials] == [trial.pass_id for trial in theirs.trials]
    assert [trial.value for trial in mine.trials] == [trial.value for trial in theirs.trials]
    assert mine.values() == theirs.values()
    assert mine.pixels() == theirs.pixels()


def test_a_run_cut_off_between_two_passes_loses_and_doubles_nothing(rig: Rig) -> None:
    """The pass was recorded and one of its trials had entered, when the disk was full."""
    entered = []
    put = Store.put_entered

    def fail(store: Store, *what: Any) -> None:
        if entered:
            raise StoreError("The run's database cannot be written.")
        entered.append(1)
        put(store, *what)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "put_entered", fail)
        rig.manager.start(plan(rig, PassSpec(scorers=(ScorerSpec("technical", 2.0),), budget=Budget(1))))
        rig.end(state="failed", errors=1)
    assert [record.begun for record in records(rig)] == [True, False]
    assert len(rig.stored().trials) == 3
    rig.manager.resume(rig.folder_of().name)
    rig.end()
    origins = [trial.origin.split(":")[0] for trial in rig.stored().trials]
    assert origins == ["sampler", "sampler", "rescored", "rescored", "sampler"]
    assert [record.begun for record in records(rig)] == [True, True]


def test_more_trials_go_to_the_last_pass(rig: Rig) -> None:
    rig.run(plan(rig, PassSpec(payloads=HILL, budget=Budget(2))))
    rig.manager.resume(rig.folder_of().name, trials=3)
    rig.end()
    assert [trial.pass_id for trial in rig.stored().trials] == [1, 1, 2, 2, 2]
    assert rig.folder_of().read_plan().budget.trials == 2


def test_a_change_in_mid_run_is_a_new_pass(rig: Rig) -> None:
    wanted = plan(rig, payloads=(payload(), payload("hill", seed=-1)), budget=Budget(2))

    def press(job: Any, stamp: Any) -> None:
        if stamp["Optim trial"].endswith(" 1") and len(records(rig)) == 1:
            assert rig.manager.change(dataclasses.replace(wanted, budget=Budget(7))) == 2
            assert rig.manager.change(wanted) == 2  # a second thought replaces the first
            assert not records(rig)[1].begun
            assert rig.snapshot()["run"]["passes"][-1]["begun"] is False

    rig.hook("generate", press)
    snapshot = rig.run(plan(rig, PassSpec("planned", budget=Budget(1)), budget=Budget(9), payloads=(payload(),)))
    stored = rig.stored()
    made = [trial for trial in stored.trials if not trial.origin.startswith("rescored")]
    assert [trial.pass_id for trial in made] == [1, 1, 2, 2, 3]  # what was planned comes after it
    assert [record.name for record in records(rig)] == ["", "changed in mid-run", "planned"]
    best = max(of_pass(rig, 1), key=lambda trial: trial.value)
    assert stored.trials[2].origin == f"best: {best.number}"
    assert {i.seed for i in stored.images if i.payload == "fox"} == {7}
    assert snapshot["state"] == "finished"


def test_what_would_be_another_run_is_refused(rig: Rig) -> None:
    with pytest.raises(RunError, match="No run is going on"):
        rig.manager.change(plan(rig))
    problems: list[str] = []

    def press(job: Any, stamp: Any) -> None:
        other = plan(rig, guide=dataclasses.replace(rig.plan().guide, components=rig.plan().guide.components[:1]))
        for change in (other, plan(rig, models=rig.plan().models[::-1]), plan(rig, payloads=())):
            try:
                rig.manager.change(change)
            except PlanError as error:
                problems.extend(problem.sentence for problem in error.problems)

    rig.hook("generate", press)
    rig.run(plan(rig, budget=Budget(1)))
    assert any("What to vary cannot change in mid-run" in sentence for sentence in problems), problems
    assert any("The models cannot change in mid-run" in sentence for sentence in problems), problems
    assert any("No payload is chosen" in sentence for sentence in problems)
    assert len(records(rig)) == 1


def test_finish_between_two_passes_begins_no_other(rig: Rig) -> None:
    rig.hook("generate", lambda job, stamp: stamp["Optim trial"].endswith(" 1") and rig.manager.finish())
    rig.run(plan(rig, PassSpec(payloads=HILL)))
    assert len(rig.stored().trials) == 2
    assert len(records(rig)) == 1


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (PassSpec(payloads=()), "Pass 2: No payload is chosen"),
        (PassSpec(payloads=(payload(steps=0),)), "Pass 2: Payload 'fox': steps must lie between"),
        (PassSpec(scorers=()), "Pass 2: No scorer was chosen"),
        (PassSpec(scorers=(ScorerSpec("beauty"),)), "Pass 2: "),
        (PassSpec(sampler=SamplerSpec("tpee")), "Pass 2: There is no sampler 'tpee'"),
        (PassSpec(budget=Budget(0)), "Pass 2: The number of trials must lie"),
        (PassSpec(free=("in_alhpa",)), "Pass 2 shall search 'in_alhpa', which is no parameter of this run"),
    ],
)
def test_bad_input(rig: Rig, spec: PassSpec, words: str) -> None:
    problems = rig.manager.check(plan(rig, spec)).problems
    assert any(words in problem.sentence for problem in problems), problems
    assert all(problem.where.startswith("passes[0].") for problem in problems)


def test_an_old_plan_is_one_pass(rig: Rig) -> None:
    data = plan(rig).to_json()
    del data["passes"], data["verify"]
    assert RunPlan.from_json(data).passes == ()
    check = rig.manager.check(plan(rig, PassSpec(payloads=(payload(), *HILL), budget=Budget(5)), verify=VerifySpec(2)))
    assert check.counts == ((2, 1), (5, 2), (2, 2))
