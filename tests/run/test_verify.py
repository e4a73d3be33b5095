"""The best of a search are made again from fresh seeds, and only then a winner is named."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib_optim.plan.errors import MergeError
from lib_optim.plan.records import Verdict
from lib_optim.plan.run_plan import Budget, PassSpec, RunPlan, SamplerSpec, SaveSpec, VerifySpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.store import Store
from tests.rig import Rig, make_plan, payload

MANUAL = (ScorerSpec("manual"),)
RANDOM = SamplerSpec("random", presets=())


def verified(rig: Rig, finalists: int = 2, **changes: Any) -> RunPlan:
    changes = {"budget": Budget(4), "payloads": (payload(),), "sampler": RANDOM, **changes}
    verify = dataclasses.replace(changes.pop("verify", VerifySpec()), finalists=finalists)
    return rig.plan(verify=verify, **changes)


def verdicts(rig: Rig) -> list[Verdict]:
    store = Store(rig.folder_of().database)
    try:
        return [Verdict.from_json(json.loads(text)) for text in store.verdicts()]
    finally:
        store.close()


def searched(rig: Rig) -> list[Any]:
    return [trial for trial in rig.stored().trials if trial.pass_id == 1]


def test_the_finalists_make_new_images_and_the_table_is_recorded(rig: Rig) -> None:
    plan = verified(rig, payloads=(payload("fox"), payload("hill", seed=8)), save=SaveSpec("fp16"))
    snapshot = rig.run(plan)
    stored = rig.stored()
    best = sorted(searched(rig), key=lambda trial: -trial.value)[:2]
    again = [trial for trial in stored.trials if trial.pass_id == 2]
    assert [trial.origin for trial in again] == [f"verify: {trial.number}" for trial in best]
    assert [trial.values for trial in again] == [trial.values for trial in best]
    assert [trial.recipe for trial in again] == [trial.recipe for trial in best]
    # paired: the same seeds for both, and none of the search's
    seeds = {trial.number: [i.seed for i in stored.images if i.trial == trial.number] for trial in stored.trials}
    assert seeds[again[0].number] == seeds[again[1].number]
    assert not set(seeds[again[0].number]) & set(seeds[0])

    (verdict,) = verdicts(rig)
    assert [row.trial for row in verdict.finalists] == [trial.number for trial in best]
    for row, before, after in zip(verdict.finalists, best, again, strict=True):
        assert (row.again, row.before, row.fresh, row.held_out) == (after.number, before.value, after.value, None)
        assert row.together == pytest.approx((before.value + after.value) / 2, abs=1e-12)
    winner = max(verdict.finalists, key=lambda row: row.together)
    assert verdict.winner == winner.trial
    assert snapshot["verification"] == verdict.to_json()
    assert snapshot["best"]["trial"] == verdict.winner
    assert f"All 4 trials are done. Winner: trial {winner.trial}, verified on fresh seeds" in snapshot["sentence"]
    assert snapshot["progress"]["images_done"] == snapshot["progress"]["images_all"] == 4 * 2 + 2 * 2

    # everything follows the winner
    folder = rig.folder_of()
    values = next(trial.values for trial in best if trial.number == verdict.winner)
    assert folder.best_recipe.read_text() == rig.manager._worker.context.recipe(values).text
    assert f"trial{verdict.winner:04d}" in snapshot["saved"][0]
    with folder.trials_csv.open(newline="") as file:
        assert [row["pass"] for row in csv.DictReader(file)] == ["1"] * 4 + ["verification"] * 2


def test_a_lucky_trial_loses_to_one_that_holds_up(rig: Rig) -> None:
    """By hand, so that the values are known: the best of the search falls on fresh seeds."""
    rig.manager.start(verified(rig, scorers=MANUAL, budget=Budget(3)))
    given = {0: 5.0, 1: 9.0, 2: 8.0, 3: 2.0, 4: 7.0}
    snapshot = by_hand(rig, given)
    assert [trial["pass"] for trial in snapshot["trials"]] == [1, 1, 1, 2, 2]
    (verdict,) = verdicts(rig)
    assert [(row.trial, row.before, row.fresh, row.together) for row in verdict.finalists] == [
        (1, 9.0, 2.0, 5.5), (2, 8.0, 7.0, 7.5),
    ]  # fmt: skip
    assert verdict.winner == snapshot["best"]["trial"] == 2
    assert "Winner: trial 2, verified on fresh seeds: 7 there, 8 in the search." in snapshot["sentence"]


def by_hand(rig: Rig, given: dict[int, float]) -> dict[str, Any]:
    """Give each trial the score in `given`, as it comes; return the last snapshot."""
    for number, value in given.items():
        rig.until(lambda n=number: [n, 0] in rig.snapshot()["waiting"], f"trial {number}")
        rig.until_state("waiting")
        rig.manager.score(number, 0, value, f"{number} {value}")
    return rig.end()


def test_a_human_may_change_his_mind_about_a_finalist(rig: Rig) -> None:
    rig.manager.start(verified(rig, scorers=MANUAL, budget=Budget(2)))
    for number, value in ((0, 9.0), (1, 8.0), (2, 9.0)):
        rig.until(lambda n=number: [n, 0] in rig.snapshot()["waiting"], f"trial {number}")
        rig.until_state("waiting")
        rig.manager.score(number, 0, value, f"{number}")
    rig.until(lambda: [3, 0] in rig.snapshot()["waiting"], "the second finalist")
    rig.manager.score(1, 0, 8.5, "of a trial of the search")
    assert rig.snapshot()["progress"]["phase"] == "verification 2/2"
    rig.manager.score(2, 0, 1.0, "second thoughts")
    rig.manager.score(3, 0, 8.0, "3")
    assert rig.end()["best"]["trial"] == 1
    assert verdicts(rig)[-1].winner == 1


def test_held_out_prompts_and_judge(rig: Rig) -> None:
    held = VerifySpec(payloads=(payload("cat", seed=-1, n_iter=2),), scorers=(ScorerSpec("manual"),))
    rig.manager.start(verified(rig, verify=held, budget=Budget(2)))
    for number in (2, 3):  # the search waits for nobody, the finalists do
        for image in range(3):
            rig.until(lambda n=number, i=image: [n, i] in rig.snapshot()["waiting"], f"{number} {image}")
            rig.until_state("waiting")
            rig.manager.score(number, image, number + image, f"{number} {image}")
    snapshot = rig.end()
    stored = rig.stored()
    assert {i.payload for i in stored.images if i.trial < 2} == {"fox"}
    assert [i.payload for i in stored.images if i.trial == 2] == ["fox", "cat", "cat"]
    (verdict,) = verdicts(rig)
    for row in verdict.finalists:
        raw = [s.raw for s in stored.scores if s.trial == row.again and s.scorer == "technical"]
        assert row.fresh == raw[0]
        assert row.held_out == pytest.approx((raw[1] + raw[2]) / 2, abs=1e-12)
        assert row.together == pytest.approx((row.before + sum(raw)) / 4, abs=1e-12)
        assert row.opinions == {"manual": row.again + 1.0}  # decides nothing
        assert next(t for t in stored.trials if t.number == row.again).value == pytest.approx(sum(raw) / 3, abs=1e-12)
    assert snapshot["best"]["trial"] == max(verdict.finalists, key=lambda row: row.together).trial


def test_verification_never_enters_the_search(rig: Rig, make_rig: Callable[[], Rig]) -> None:
    """More trials after it are those of a run that was never verified; then the new best are verified as well."""
    tpe = SamplerSpec("tpe", {"n_startup_trials": 2}, ("half",))
    rig.run(verified(rig, sampler=tpe, budget=Budget(3)))
    assert len(verdicts(rig)) == 1
    rig.manager.resume(rig.folder_of().name, trials=6)
    rig.end()
    plain = make_rig()
    plain.run(verified(plain, finalists=0, sampler=tpe, budget=Budget(6)))
    assert [trial.values for trial in searched(rig)] == plain.stored().values()
    last = verdicts(rig)[-1]
    best = sorted(searched(rig), key=lambda trial: -trial.value)[:2]
    assert [row.trial for row in last.finalists] == [trial.number for trial in best]
    made = [trial.origin for trial in rig.stored().trials if trial.pass_id == 2]
    assert len(made) == len(set(made))  # who was verified is not made again


def test_a_trial_whose_images_are_elsewhere_counts_as_much(rig: Rig) -> None:
    """As of a trial that another worker of a shared study made: its value is there, its images are not."""
    rig.run(verified(rig, finalists=0, budget=Budget(1)))
    folder = rig.folder_of()
    store = Store(folder.database)
    store._db.execute("DELETE FROM images")
    store._db.execute("DELETE FROM scores")
    store.close()
    folder.write_plan(dataclasses.replace(folder.read_plan(), verify=VerifySpec(1)))
    rig.manager.resume(folder.name)
    rig.end()
    (row,) = verdicts(rig)[0].finalists
    assert row.fresh is not None
    assert row.together == pytest.approx((row.before + row.fresh) / 2, abs=1e-12)


def test_none_is_verified_if_none_is_asked_for(rig: Rig) -> None:
    snapshot = rig.run(verified(rig, finalists=0))
    assert len(rig.stored().trials) == 4
    assert snapshot["verification"] is None
    assert "Best: trial" in snapshot["sentence"]
    assert verdicts(rig) == []


@pytest.mark.parametrize("where", ["search", "verification"])
def test_a_stopped_run_names_the_best_so_far_as_unverified(rig: Rig, where: str) -> None:
    trial = " 2" if where == "search" else " 5"  # the second finalist

    pressed: list[str] = []

    def press(job: Any, stamp: Any) -> None:
        if stamp["Optim trial"].endswith(trial) and not pressed:
            pressed.append(trial)
            rig.manager.stop()

    rig.hook("generate", press)
    snapshot = rig.run(verified(rig))
    best = max((t for t in searched(rig) if t.value is not None), key=lambda t: t.value)
    assert f"Best so far: trial {best.number} with {best.value:.4g}, not verified." in snapshot["sentence"]
    assert snapshot["best"]["trial"] == best.number
    assert snapshot["verification"] is None
    assert verdicts(rig) == []
    rig.manager.resume(rig.folder_of().name)
    rig.end()
    assert len(rig.stored().trials) == 6
    assert len(verdicts(rig)) == 1


def test_a_finalist_that_fails_gives_way_to_the_next(rig: Rig) -> None:
    def fail(job: Any, stamp: Any) -> None:
        if stamp["Optim trial"].endswith(" 4"):  # the best of the search, again
            raise MergeError("Something went wrong.")

    rig.hook("generate", fail)
    rig.manager.start(verified(rig))
    rig.end(errors=1)
    ranked = sorted(searched(rig), key=lambda trial: -trial.value)
    (verdict,) = verdicts(rig)
    assert verdict.failed == (ranked[0].number,)
    assert [row.trial for row in verdict.finalists] == [trial.number for trial in ranked[1:3]]


def test_when_no_finalist_can_be_made_again_nobody_wins(rig: Rig) -> None:
    def fail(job: Any, stamp: Any) -> None:
        if int(stamp["Optim trial"].split()[-1]) >= 4:
            raise MergeError("Something went wrong.")

    rig.hook("generate", fail)
    rig.manager.start(verified(rig, finalists=1))
    snapshot = rig.end(errors=2)
    assert "not verified" in snapshot["sentence"]
    assert snapshot["best"]["trial"] == max(searched(rig), key=lambda trial: trial.value).number
    assert verdicts(rig) == []


def test_an_image_skipped_for_one_counts_for_none(rig: Rig) -> None:
    def skip(job: Any, stamp: Any) -> None:
        if stamp["Optim trial"].endswith(" 4") and job.index == 0:
            rig.manager.skip_image()

    rig.hook("generate", skip)
    rig.run(verified(rig, payloads=(payload("fox"), payload("hill", seed=8))))
    (verdict,) = verdicts(rig)
    scores = {(s.trial, s.image): s.raw for s in rig.stored().scores}
    assert (5, 0) in scores
    assert [row.fresh for row in verdict.finalists] == [scores[4, 1], scores[5, 1]]


def test_finish_in_the_search_leaves_the_verification_out(rig: Rig) -> None:
    rig.hook("generate", lambda job, stamp: stamp["Optim trial"].endswith(" 2") and rig.manager.finish())
    snapshot = rig.run(verified(rig))
    assert len(rig.stored().trials) == 3
    assert "after the trial that was under way. Best so far: trial" in snapshot["sentence"]
    assert "not verified" in snapshot["sentence"]


def test_a_stopped_run_can_be_verified_without_searching_on(rig: Rig) -> None:
    rig.hook("generate", lambda job, stamp: stamp["Optim trial"].endswith(" 2") and rig.manager.stop())
    rig.run(verified(rig, finalists=1, passes=(PassSpec(budget=Budget(1)),)))
    rig.manager.resume(rig.folder_of().name, verify=True)
    snapshot = rig.end()
    assert [trial["state"] for trial in snapshot["trials"]] == ["complete", "complete", "running", "complete"]
    assert "The search went no further. Winner: trial" in snapshot["sentence"]
    assert len(verdicts(rig)) == 1


def test_the_images_of_the_verification_are_part_of_the_budget(rig: Rig) -> None:
    snapshot = rig.run(verified(rig, budget=Budget(50, images=5)))
    assert len(searched(rig)) == 3
    assert len(rig.stored().images) == 5
    assert "budget of 5 images is spent" in snapshot["sentence"]
    check = rig.manager.check(verified(rig, budget=Budget(50, images=5)))
    assert (check.trials, check.verify_images) == (3, 2)


@pytest.mark.parametrize(
    ("verify", "words"),
    [
        (VerifySpec(-1), "finalists must lie between 0"),
        (VerifySpec(21), "finalists must lie between 0"),
        (VerifySpec(0, (payload("cat"),)), "no finalist to show them"),
        (VerifySpec(1, (payload("fox"),)), "'fox' is held out and searched with"),
        (VerifySpec(1, (payload("cat", steps=0),)), "steps must lie between"),
        (VerifySpec(1, (payload("cat", tiling=True),)), "cannot honour"),
        (VerifySpec(1, scorers=(ScorerSpec("technical"),)), "'technical' is held out and searched with"),
        (VerifySpec(1, scorers=(ScorerSpec("beauty"),)), "beauty"),
    ],
)
def test_bad_input(rig: Rig, verify: VerifySpec, words: str) -> None:
    problems = rig.manager.check(rig.plan(verify=verify)).problems
    assert any(words in problem.sentence for problem in problems), problems
    assert all(problem.where.startswith("verify") for problem in problems)


def test_a_judge_that_cannot_judge_fresh_seeds_is_named(rig: Rig, tmp_path: Path) -> None:
    from PIL import Image

    for name in ("fox-7", "fox-8"):
        Image.new("RGB", (64, 64)).save(tmp_path / f"{name}.png")
    scorer = ScorerSpec("similarity", options={"reference": str(tmp_path)})
    problems = rig.manager.check(verified(rig, scorers=(scorer,))).problems
    assert "On the fresh seeds of the verification:" in problems[0].sentence
    assert "set the number of finalists to 0" in problems[0].sentence
    assert not rig.manager.check(verified(rig, finalists=0, scorers=(scorer,))).problems


def test_killed_in_the_middle_of_the_verification(make_rig: Callable[..., Rig], tmp_path: Path) -> None:
    """``kill -9`` while the second finalist's second image is made: what is there is not made again."""
    rig = make_rig(tmp_path)
    root = Path(__file__).resolve().parents[2]
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.run.test_verify", str(tmp_path)], cwd=root, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == b"now\n"
    child.send_signal(signal.SIGKILL)
    child.wait(30)
    child.stdout.close()
    before = rig.stored()
    assert [trial.state for trial in before.trials] == ["complete"] * 4 + ["running"]
    made: list[tuple[str, int]] = []
    rig.hook("generate", lambda job, stamp: made.append((stamp["Optim trial"].split()[-1], job.index)))
    rig.manager.resume(rig.folder_of().name)
    rig.end()
    assert made == [("4", 1)]
    after = rig.stored()
    assert after.trials[:4] == before.trials[:4]
    assert before.pixels().items() <= after.pixels().items()
    whole = make_rig()
    whole.run(_killed_plan(whole.models))
    assert whole.stored().pixels() == after.pixels()
    assert verdicts(whole) == verdicts(rig)


def _killed_plan(models: Path) -> RunPlan:
    return make_plan(models, sampler=RANDOM, budget=Budget(3), verify=VerifySpec(2))


def _main(folder: Path) -> None:
    rig = Rig(folder, folder)

    def wait_to_be_killed(job: Any, stamp: Any) -> None:
        if stamp["Optim trial"].endswith(" 4") and job.index == 1:
            print("now", flush=True)
            signal.pause()

    rig.hook("generate", wait_to_be_killed)
    rig.manager.start(_killed_plan(rig.models))
    rig.manager.wait()


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
