"""Runs with several objectives: real ones, over the demo pair."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib_optim.plan.errors import PlanError, RunError
from lib_optim.plan.records import Verdict
from lib_optim.plan.run_plan import Budget, PassSpec, RunPlan, SamplerSpec, SharedSpec, VerifySpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.axes import points_of
from lib_optim.run.recorded import recorded_run
from lib_optim.run.store import Store
from lib_optim.scoring.combine import image_value
from lib_optim.search.pareto import chosen_by, front
from tests.rig import Rig, payload

AXES = ("prompt", "picture")
JUDGES = (ScorerSpec("demo", axis="prompt"), ScorerSpec("technical", axis="picture"))
RANDOM = SamplerSpec("random", presets=())
DEMO = payload("one", prompt="a red circle on a blue background")


def two_axes(rig: Rig, **changes: Any) -> RunPlan:
    return rig.plan(**{"scorers": JUDGES, "payloads": (DEMO,), "budget": Budget(5), "sampler": RANDOM, **changes})


def raw_of(rig: Rig, trial: int, scorer: str, name: str | None = None) -> list[float]:
    return [s.raw for s in rig.stored(name).scores if (s.trial, s.scorer) == (trial, scorer)]


def points(snapshot: dict[str, Any]) -> dict[int, tuple[float, ...]]:
    ours = snapshot["pareto"]["pass"]
    return {
        t["number"]: tuple(t["axes"][axis] for axis in snapshot["pareto"]["axes"])
        for t in snapshot["trials"]
        if t["pass"] == ours and "axes" in t
    }


def test_axes_are_scored_shown_and_tabled(rig: Rig) -> None:
    snapshot = rig.run(two_axes(rig))
    assert snapshot["pareto"]["axes"] == list(AXES)
    found = points(snapshot)
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert snapshot["pareto"]["front"] == front(found)
    assert snapshot["pareto"]["chosen"] is None
    for number, (prompt, picture) in found.items():
        (demo,), (technical,) = raw_of(rig, number, "demo"), raw_of(rig, number, "technical")
        assert (prompt, picture) == (demo, technical)
        value = next(t["value"] for t in snapshot["trials"] if t["number"] == number)
        assert value == image_value({"demo": demo, "technical": technical}, JUDGES)
    assert snapshot["best"]["trial"] == max(snapshot["trials"], key=lambda t: t["value"])["number"]
    count = len(front(found))
    assert (f"{count} trials are beaten by no other one" in snapshot["sentence"]) == (count > 1)
    with rig.folder_of().trials_csv.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {int(r["trial"]): (float(r["axis:prompt"]), float(r["axis:picture"])) for r in rows} == found


def test_a_resumed_run_goes_on_as_it_would_have(rig: Rig, make_rig: Callable[..., Rig]) -> None:
    search = SamplerSpec("tpe", {"n_startup_trials": 2}, presets=())
    whole = rig.run(two_axes(rig, sampler=search, budget=Budget(6)))
    other = make_rig()
    other.host.choose(other.checkpoint("demo-a"))
    other.manager.start(two_axes(other, sampler=search, budget=Budget(6)))
    other.until(lambda: other.states().count("complete") >= 3, "three trials")
    other.manager.stop()
    other.end()
    other.manager.resume(other.folder_of().name)
    resumed = other.end()
    assert other.stored().values() == rig.stored().values()
    assert points(resumed) == points(whole)
    assert resumed["pareto"]["front"] == whole["pareto"]["front"]


def verdicts(rig: Rig, name: str | None = None) -> list[Verdict]:
    store = Store(rig.folder_of(name).database)
    try:
        return [Verdict.from_json(json.loads(text)) for text in store.verdicts()]
    finally:
        store.close()


def test_finalists_are_spread_over_the_front_and_a_choice_is_verified_and_wins(rig: Rig) -> None:
    rig.manager.start(two_axes(rig, budget=Budget(6), verify=VerifySpec(3)))
    rig.until(lambda: rig.states().count("complete") >= 3, "some trials")
    with pytest.raises(RunError, match="Trial 77 is no scored trial"):
        rig.manager.choose(77)
    snapshot = rig.end()
    found, name = points(snapshot), rig.folder_of().name
    (first,) = verdicts(rig)
    best = max((t for t in snapshot["trials"] if t["pass"] == 1), key=lambda t: t["value"])["number"]
    ends = {max(found, key=lambda number: found[number][axis]) for axis in (0, 1)}
    assert {best, *ends} <= {row.trial for row in first.finalists}
    for row in first.finalists:
        assert tuple(row.axes_before[axis] for axis in AXES) == found[row.trial]
        (demo,), (technical,) = raw_of(rig, row.again, "demo"), raw_of(rig, row.again, "technical")
        assert row.axes_fresh == {"prompt": demo, "picture": technical}
    assert first.winner == max(first.finalists, key=lambda row: row.together).trial

    # Somebody prefers another one, which was not verified: it is saved, and said to be the user's choice.
    mine = min(found, key=lambda number: (number in {row.trial for row in first.finalists}, number))
    rig.manager.choose(mine)
    snapshot = rig.snapshot()
    assert (snapshot["best"]["trial"], snapshot["pareto"]["chosen"]) == (mine, mine)
    recipe = rig.folder_of().best_recipe.read_text()
    assert rig.manager.recorded(name).winner == mine
    # It stands after a restart, and is verified then; the table names it the winner.
    rig.manager.resume(name, verify=True)
    snapshot = rig.end()
    last = verdicts(rig)[-1]
    assert last.winner == mine == snapshot["best"]["trial"] == snapshot["verification"]["winner"]
    assert snapshot["pareto"]["chosen"] == mine
    assert f"Your choice: trial {mine}, verified on fresh seeds" in snapshot["sentence"]
    assert rig.folder_of().best_recipe.read_text() == recipe
    # Taken back: the best by value wins again.
    rig.manager.choose(None)
    assert rig.snapshot()["pareto"]["chosen"] is None
    again = recorded_run(rig.host, rig.manager.scorers_dir, name)
    assert again.winner == again.unchosen
    assert points_of(again.trials, again.passes[0]) == found


def test_a_fork_with_other_axes_scores_stored_images_anew(rig: Rig) -> None:
    rig.run(two_axes(rig, scorers=tuple(dataclasses.replace(s, axis="") for s in JUDGES), budget=Budget(4)))
    parent = rig.folder_of().name
    before = rig.stored(parent)
    assert rig.snapshot()["pareto"] is None
    plan = rig.folder_of(parent).read_plan()
    name, taken = rig.manager.fork(parent, dataclasses.replace(plan, scorers=JUDGES, budget=Budget(1), name="axes"))
    snapshot = rig.end()
    assert taken.trials == (0, 1, 2, 3)
    assert len(points(snapshot)) == 5
    after = rig.stored(name)
    assert {k: v for k, v in after.pixels().items() if k[0] < 4} == before.pixels()
    assert [s.raw for s in after.scores if s.trial < 4] == [s.raw for s in before.scores]
    with pytest.raises(RunError, match="This run has one goal"):
        rig.manager.choose(1, parent)


def test_a_later_pass_starts_from_the_choice_and_may_have_one_objective(rig: Rig) -> None:
    later = PassSpec("picture alone", scorers=(ScorerSpec("technical"),), budget=Budget(2), sampler=RANDOM)
    rig.manager.start(two_axes(rig, passes=(later,), budget=Budget(4)))
    rig.until(lambda: rig.states()[:1] == ["complete"], "a trial")
    rig.manager.choose(0)
    snapshot = rig.end()
    assert snapshot["pareto"] is None
    trials = {t["number"]: t for t in snapshot["trials"]}
    assert [t["origin"] for t in trials.values() if t["origin"].startswith("best:")] in ([], ["best: 0"])
    assert rig.manager._worker.context.passes.current.record.start == 0
    assert all("axes" in t for t in trials.values() if t["pass"] == 1)
    assert not any("axes" in t for t in trials.values() if t["pass"] == 2)
    with rig.folder_of().trials_csv.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(bool(row["axis:prompt"]) == (row["pass"] == "1") for row in rows)


def test_goals_may_come_in_mid_run(rig: Rig) -> None:
    plain = tuple(dataclasses.replace(spec, axis="") for spec in JUDGES)
    rig.manager.start(two_axes(rig, scorers=plain, budget=Budget(20)))
    rig.until(lambda: rig.states().count("complete") >= 2, "two trials")
    rig.manager.change(two_axes(rig, budget=Budget(2)))
    snapshot = rig.end()
    later = [t for t in snapshot["trials"] if t["pass"] == snapshot["pareto"]["pass"]]
    again = [t for t in later if t["origin"].startswith("rescored: ")]
    assert len(again) >= 2
    assert all(set(t["axes"]) == set(AXES) for t in later)
    assert not any("axes" in t for t in snapshot["trials"] if t["pass"] == 1)
    assert {t["number"] for t in later} == set(points(snapshot))


def test_the_eyes_can_be_an_axis(rig: Rig) -> None:
    judges = (ScorerSpec("manual", axis="eyes"), ScorerSpec("technical", axis="picture"))
    rig.manager.start(two_axes(rig, scorers=judges, budget=Budget(2)))
    for trial, score in ((0, 9.0), (1, 2.0)):
        rig.until(lambda: rig.snapshot()["waiting"], "a wait")
        rig.manager.score(trial, 0, score, f"{trial}")
    rig.end()
    rig.manager.resume(rig.folder_of().name, trials=3)
    rig.until(lambda: [2, 0] in rig.snapshot()["waiting"], "the third")
    assert [p[0] for p in points(rig.snapshot()).values()] == [9.0, 2.0]
    rig.manager.score(1, 0, 4.0, "better")
    assert [p[0] for p in points(rig.snapshot()).values()] == [9.0, 4.0]
    rig.manager.score(2, 0, 1.0, "third")
    rig.end()


def test_what_cannot_be_is_refused_before_anything_is_touched(rig: Rig) -> None:
    def sentences(**changes: Any) -> list[str]:
        with pytest.raises(PlanError) as caught:
            rig.manager.start(two_axes(rig, **changes))
        return [problem.sentence for problem in caught.value.problems]

    (one,) = sentences(sampler=SamplerSpec("cma", presets=()))
    assert one.startswith("The search 'CMA-ES' knows one goal only, and the judges name 2")
    (one,) = sentences(scorers=(JUDGES[0], ScorerSpec("technical")))
    assert "belongs to no goal" in one
    later = PassSpec(scorers=(JUDGES[0], ScorerSpec("technical")))
    assert "Pass 2: The judge technical belongs to no goal" in sentences(passes=(later,))[0]
    later = PassSpec(sampler=SamplerSpec("hill"))
    assert "Pass 2: The search 'Hill climbing' knows one goal only" in sentences(passes=(later,))[0]
    (one,) = sentences(scorers=JUDGES[:1], verify=VerifySpec(1, scorers=JUDGES[1:]))
    assert "held-out judge 'technical' decides nothing" in one
    assert not rig.host.paths().outputs.exists() or not any(rig.host.paths().outputs.iterdir())


def test_old_plans_load_and_have_one_objective(rig: Rig) -> None:
    data = rig.plan().to_json()
    for spec in data["scorers"]:
        del spec["axis"]
    assert RunPlan.from_json(data) == rig.plan()


def test_a_shared_study_brings_every_axis_to_all_workers(rig: Rig, make_rig: Callable[..., Rig]) -> None:
    shared = SharedSpec(f"sqlite:///{rig.folder / 'study.db'}", "two axes")
    search = SamplerSpec("tpe", {"n_startup_trials": 2}, presets=())
    first = points(rig.run(two_axes(rig, budget=Budget(3), sampler=search, shared=shared)))
    other = make_rig()
    other.host.choose(other.checkpoint("demo-a"))
    second = other.run(two_axes(other, budget=Budget(5), sampler=search, shared=shared))
    assert len(points(second)) == 5
    assert {number: points(second)[number] for number in first} == first
    # Its own proposals are those of somebody who made all of them alone.
    alone = make_rig()
    alone.host.choose(alone.checkpoint("demo-a"))
    alone.run(two_axes(alone, budget=Budget(5), sampler=search))
    assert alone.stored().values() == other.stored().values()


def test_the_command_line_lists_the_front_and_chooses(
    rig: Rig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lib_optim import __main__ as program

    monkeypatch.setattr(program, "_manager", lambda _: rig.manager)
    snapshot = rig.run(two_axes(rig))
    name, found = rig.folder_of().name, points(snapshot)

    def optim(*arguments: str) -> str:
        status = program.main(list(arguments))
        out, err = capsys.readouterr()
        return str(out) if status == 0 else str(err)

    listed = optim("choose", name).splitlines()
    assert listed[0].split() == ["trial", *AXES, "value"]
    shown = {int(line.split()[0]) for line in listed[1:] if "though" not in line}
    assert shown == set(front(found))
    weights = {"prompt": 1.0, "picture": 3.0}
    wanted = chosen_by(found, tuple(weights.values()))
    assert "chosen" in optim("choose", name, *(f"--weight={axis}={w}" for axis, w in weights.items()))
    assert rig.snapshot()["pareto"]["chosen"] == wanted
    saved = Path(optim("save", name).strip())
    assert f"trial{wanted:04d}" in saved.name
    assert saved.is_file()
    assert "chosen" not in optim("choose", name, "--none")
    assert "no goal 'colour'; it has prompt, picture" in optim("choose", name, "--weight=colour=1")
    assert "must not be below 0" in optim("choose", name, "--weight=prompt=-1")
    assert "no weight of a goal" in optim("choose", name, "--weight=prompt")
    assert "one of the three" in optim("choose", name, "1", "--none")
    assert "Trial 99 is no scored trial" in optim("choose", name, "99")
    assert optim("fork", name, "--trials=1", "--axis=demo=all", "--axis=technical=all").strip()
    assert rig.snapshot()["pareto"] is None
    assert "The run has no judge 'demi'. Did you mean 'demo'" in optim("fork", name, "--axis=demi=a")
