"""Runs that are judged by comparing: the real thing with the demo pair."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib_optim.plan.errors import PlanError, RunError
from lib_optim.plan.judging import Comparison
from lib_optim.plan.run_plan import Budget, RunPlan, SamplerSpec, VerifySpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.comparing import Answer
from lib_optim.run.recorded import recorded_run
from lib_optim.run.store import Store
from tests.rig import Rig, payload


def plan(rig: Rig, trials: int, judges: tuple[str, ...] = (), ahead: int = 0, **options: Any) -> RunPlan:
    eyes = ScorerSpec("manual", options={"way": "pairs", "comparisons": 1, **options})
    return rig.plan(
        scorers=(eyes, *map(ScorerSpec, judges)), payloads=(payload(),), budget=Budget(trials), ahead=ahead,
        sampler=SamplerSpec("random", presets=("half",)),
    )  # fmt: skip


def questions(rig: Rig, count: int = 1) -> list[dict[str, Any]]:
    """Wait until so many questions are asked, and the run waits for them."""

    def asked() -> Any:
        snapshot = rig.snapshot()
        found = (snapshot["comparing"] or {}).get("questions", [])
        return found if len(found) == count and snapshot["state"] == "waiting" else None

    return list(rig.until(asked, f"{count} questions"))


def trials_of(question: dict[str, Any]) -> list[int]:
    return [picture["trial"] for picture in question["shown"]]


def answer(rig: Rig, question: dict[str, Any], request: str, outcome: str = "better", **said: Any) -> None:
    shown = tuple((picture["trial"], picture["image"]) for picture in question["shown"])
    rig.manager.compare(Answer(shown, outcome, **said), request)  # type: ignore[arg-type]


def prefer(rig: Rig, best: Callable[[list[int]], int], trials: int, comparisons: int = 1) -> int:
    """Answer every question of a run with `trials` trials until it ends; return how many there were."""
    count = 0
    while True:
        snapshot = rig.until(
            lambda: (s := rig.snapshot())["state"] in ("waiting", "finished") and s, "a question or the end"
        )
        if snapshot["state"] == "finished":
            return count
        for question in (snapshot["comparing"] or {}).get("questions", [])[:1]:
            shown = trials_of(question)
            answer(rig, question, f"r{count}", best=best(shown), worst=min(shown, key=lambda t: t == best(shown)))
            count += 1


def test_a_run_judged_by_pairs_goes_to_its_end_and_the_preferred_merge_wins(rig: Rig) -> None:
    name = rig.manager.start(plan(rig, 5, comparisons=2))
    order = [2, 0, 4, 3, 1]  # how they are liked: 3 is the favourite
    clicks = prefer(rig, lambda shown: max(shown, key=lambda trial: order[trial]), 5)
    snapshot = rig.end()
    assert rig.states() == ["complete"] * 5
    assert clicks == 1 + 2 + 2 + 2, "the first has nothing to be compared with, the second one other"
    values = [trial["value"] for trial in rig.trials()]
    assert sorted(range(5), key=lambda trial: values[trial])[-2:] == [4, 2] or snapshot["best"]["trial"] == 2
    assert snapshot["best"]["trial"] == 2
    assert values[1] < 5 < values[2] < 10
    store = Store(rig.folder_of(name).database)
    said = store.comparisons()
    assert len(said) == 7
    assert all(c.outcome == "better" and {t for t, _ in c.shown} == {c.best, c.worst} for c in said)
    assert [trial.value for trial in store.trials()] == values, "what is shown is what is recorded"
    assert not any(score.scorer == "manual" for score in store.scores()), "values are made anew, never recorded"
    store.close()
    table = rig.folder_of(name).trials_csv.read_text().splitlines()
    head, row = (line.split(",") for line in (table[0], table[3]))
    assert float(row[head.index("score:manual")]) == pytest.approx(values[2], abs=1e-6)


def test_undo_asks_again_ids_count_once_and_a_resumed_run_has_the_same_values(
    tmp_path: Path, make_rig: Callable[..., Rig]
) -> None:
    rig = make_rig(tmp_path)
    name = rig.manager.start(plan(rig, 4))
    [question] = questions(rig)
    for _ in range(3):
        answer(rig, question, "a", best=1)
    rig.until(lambda: rig.states() == ["complete", "complete", "waiting"])
    assert rig.trials()[1]["value"] > 5 > rig.trials()[0]["value"]
    with pytest.raises(RunError, match="no such answer"):
        rig.manager.compare("never", "x")
    rig.manager.compare("a", "b")
    rig.manager.compare("a", "b")  # arrives twice
    assert rig.states() == ["complete", "waiting", "waiting"]
    assert rig.trials()[0]["value"] == 5, "nothing is known of it again"
    again = questions(rig, 2)[0]
    assert again == question
    answer(rig, again, "c", best=0)
    [question] = questions(rig)
    answer(rig, question, "d", "tie")
    [question] = questions(rig)
    before = [(trial["state"], trial["value"]) for trial in rig.trials()]
    rig.manager.stop()
    rig.end()
    rig.close()
    rig = make_rig(tmp_path)
    rig.manager.resume(name)
    assert questions(rig) == [question]
    assert [(trial["state"], trial["value"]) for trial in rig.trials()] == before
    answer(rig, question, "a", best=3)  # an id of before counts no more
    assert questions(rig) == [question]
    answer(rig, question, "e", best=3)
    rig.end()
    assert [c.request for c in rig.stored().comparisons] == ["a", "b", "c", "d", "e"]


def test_a_broken_image_fails_its_trial_and_comes_back(rig: Rig) -> None:
    rig.manager.start(plan(rig, 3))
    [question] = questions(rig)
    answer(rig, question, "a", "broken", broken=(0,))
    rig.until(lambda: rig.states()[:2] == ["failed", "complete"], "the best to fail, the other to need no answer")
    assert "broken" in rig.trials()[0]["reason"]
    rig.manager.compare("a", "b")
    assert rig.states()[0] == "waiting", "it is back, and nobody said how it compares"
    again = rig.until(lambda: next((q for q in rig.snapshot()["comparing"]["questions"] if 0 in trials_of(q)), None))
    answer(rig, again, "c", best=1)
    [question] = questions(rig)
    assert 2 in trials_of(question)
    answer(rig, question, "d", "broken", broken=tuple(trials_of(question)))
    rig.until(lambda: [rig.states()[trial] for trial in trials_of(question)] == ["failed", "failed"])


def test_beside_an_automatic_judge_the_value_is_their_mean_and_either_can_decide_alone(rig: Rig) -> None:
    rig.manager.start(plan(rig, 4, judges=("technical",)))
    [question] = questions(rig)
    answer(rig, question, "a", best=1)
    rig.until(lambda: rig.states() == ["complete", "complete", "waiting"])
    worker = rig.manager._worker
    assert worker is not None
    combination = worker.book.sheet.values.combination(worker.context.passes.current)
    scores = rig.manager.snapshot(0, [0, 1])["images"]
    for trial in (0, 1):
        raw = scores[str(trial)][0]["scores"]
        assert set(raw) == {"manual", "technical"}
        expected = combination.image(raw, "fox")
        assert rig.trials()[trial]["value"] == pytest.approx(expected)
    assert scores["1"][0]["scores"]["manual"] > 5 > scores["0"][0]["scores"]["manual"]
    rig.manager.hand_over()
    rig.end()
    assert rig.states() == ["complete"] * 4
    last = rig.manager.snapshot(0, [3])["images"]["3"][0]
    assert last["marks"] == ["unrated"]
    assert set(last["scores"]) == {"technical"}


def test_a_grid_judges_all_that_wait(rig: Rig) -> None:
    rig.manager.start(plan(rig, 4, ahead=2, way="grid", pictures=4))
    [question] = questions(rig)
    rig.until(lambda: len(rig.snapshot()["waiting"]) == 3)
    [question] = questions(rig)
    assert sorted(trials_of(question)) == [0, 1, 2, 3]
    answer(rig, question, "a", best=2, worst=1)
    values = [trial["value"] for trial in rig.end()["trials"]]
    assert values[2] == max(values)
    assert values[1] == min(values)
    assert values[0] == pytest.approx(values[3])


def test_pairs_as_a_goal_of_its_own(rig: Rig) -> None:
    eyes = ScorerSpec("manual", options={"way": "pairs"}, axis="taste")  # two comparisons per trial
    wanted = dataclasses.replace(plan(rig, 3), scorers=(eyes, ScorerSpec("technical", axis="quality")))
    name = rig.manager.start(wanted)
    prefer(rig, max, 3)
    trials = rig.end()["trials"]
    taste = [trial["axes"]["taste"] for trial in trials]
    assert taste == sorted(taste)
    recorded = rig.manager.recorded(name)
    other = recorded_run(rig.host, rig.manager.scorers_dir, name)
    assert [dict(trial.axes) for trial in other.trials] == [dict(trial.axes) for trial in recorded.trials]


def test_the_winner_is_verified_by_pairs_too(rig: Rig) -> None:
    wanted = dataclasses.replace(plan(rig, 3), verify=VerifySpec(2))
    rig.manager.start(wanted)
    prefer(rig, max, 5)
    verdict = rig.end()["verification"]
    assert [row["again"] for row in verdict["finalists"]] == [3, 4]
    assert verdict["winner"] == verdict["finalists"][1]["trial"] or verdict["winner"] == 2


def test_a_fork_takes_over_what_was_said(rig: Rig) -> None:
    wanted = plan(rig, 3)
    name = rig.manager.start(wanted)
    assert prefer(rig, max, 3) == 2
    before = [trial["value"] for trial in rig.end()["trials"]]
    wanted = dataclasses.replace(rig.folder_of(name).read_plan(), budget=Budget(1))
    other = dataclasses.replace(wanted, scorers=plan(rig, 1, way="grid").scorers)
    fork, taken = rig.manager.fork(name, other)
    assert taken.trials == (0, 1, 2)
    [question] = questions(rig)
    assert [trial["value"] for trial in rig.trials()[:3]] == before
    assert sorted(trials_of(question)) == [0, 1, 2, 3], "only the new one is asked about, now in a grid"
    answer(rig, question, "new", best=3, worst=0)
    rig.end()
    assert [c.request for c in rig.stored(fork).comparisons] == ["r0", "r1", "new"]


def test_what_cannot_be_said_is_refused(rig: Rig) -> None:
    rig.manager.start(plan(rig, 3))
    [question] = questions(rig)
    for shown, said, why in (
        (((0, 0), (0, 0)), {"best": 0}, "as many trials"),
        (((0, 0), (1, 1)), {"best": 0}, "has no image 1"),
        (((0, 0), (1, 0)), {"best": 2}, "must be two of the images"),
        (((0, 0), (1, 0)), {}, "must be two of the images"),
    ):
        with pytest.raises(RunError, match=why):
            rig.manager.compare(Answer(shown, "better", **said), "r")  # type: ignore[arg-type]
    with pytest.raises(RunError, match="must be among those"):
        answer(rig, question, "r", "broken", broken=(7,))
    with pytest.raises(RunError, match="take no ratings"):
        rig.manager.score(1, 0, 5, "r")
    with pytest.raises(RunError, match="is not going on"):
        rig.manager.compare("a", "r", folder="another")
    answer(rig, question, "r", "skipped")
    rig.until(lambda: rig.states()[1] == "complete")
    assert rig.trials()[1]["value"] == 5, "a question that was skipped says nothing"


def test_a_rated_run_takes_no_comparisons(rig: Rig) -> None:
    rig.manager.start(rig.plan(scorers=(ScorerSpec("manual"),), payloads=(payload(),), budget=Budget(2), ahead=1))
    rig.until(lambda: len(rig.snapshot()["waiting"]) == 2)
    assert rig.snapshot()["comparing"] is None
    with pytest.raises(RunError, match="not judged by comparing"):
        rig.manager.compare(Answer(((0, 0), (1, 0)), "tie"), "r")


@pytest.mark.parametrize(
    ("scorers", "why"),
    [
        ((ScorerSpec("manual", options={"way": "pairs"}, name="style"),), "there cannot be several ratings"),
        ((ScorerSpec("manual", options={"way": "pairs", "comparisons": 0}),), "from 1 to 10, not 0"),
        ((ScorerSpec("manual", options={"way": "pairs", "comparisons": 1.5}),), "from 1 to 10, not 1.5"),
        ((ScorerSpec("manual", options={"way": "grid", "pictures": 2}),), "from 3 to 9, not 2"),
        ((ScorerSpec("manual", options={"way": "duel"}),), "must be one of rate, pairs, grid"),
    ],
)
def test_a_way_that_cannot_be_is_a_sentence(rig: Rig, scorers: tuple[ScorerSpec, ...], why: str) -> None:
    with pytest.raises(PlanError, match=why):
        rig.manager.start(dataclasses.replace(plan(rig, 2), scorers=scorers))


def test_a_database_from_before_comparisons_opens(tmp_path: Path) -> None:
    Store(tmp_path / "run.db").close()
    with sqlite3.connect(tmp_path / "run.db") as db:
        db.execute("DROP TABLE comparisons")
    store = Store(tmp_path / "run.db")
    assert store.comparisons() == []
    comparison = Comparison(1, ((0, 0), (1, 0)), "better", 1, 0, subjects=(1,), request="a", created=2.0)
    assert store.add_comparison(comparison)
    assert not store.add_comparison(dataclasses.replace(comparison, best=0, worst=1))
    assert store.comparisons() == [comparison]
    store.close()


def test_only_payloads_that_are_judged_by_eye_are_shown_and_valued_by_it(rig: Rig) -> None:
    eyes = ScorerSpec("manual", options={"way": "pairs"}, payloads=("hill",))
    rig.manager.start(
        dataclasses.replace(
            plan(rig, 3), scorers=(eyes, ScorerSpec("technical")), payloads=(payload(), payload("hill", seed=8))
        )
    )
    [question] = questions(rig)
    assert question["payload"] == "hill"
    answer(rig, question, "a", best=1)
    [question] = questions(rig)
    assert (question["payload"], 2 in trials_of(question)) == ("hill", True)
    images = rig.manager.snapshot(0, [1])["images"]["1"]
    assert ["manual" in image["scores"] for image in images] == [False, True]
    rig.manager.hand_over()
    rig.end()
    assert rig.states() == ["complete"] * 3


def test_nothing_is_asked_about_images_that_are_left_to_the_automatic_judges(rig: Rig) -> None:
    two = (payload(), payload("hill", seed=8))
    rig.manager.start(dataclasses.replace(plan(rig, 2, judges=("technical",)), payloads=two))
    [question] = questions(rig)
    left, other = (0, "hill") if question["payload"] == "fox" else (1, "fox")
    rig.manager.mark(1, left, "mark: unrated", True, "a")  # as a learned taste does
    rig.until(lambda: [q["payload"] for q in rig.snapshot()["comparing"]["questions"]] == [other])
    rig.manager.mark(1, 1 - left, "mark: unrated", True, "b")
    rig.end()
    assert rig.states() == ["complete", "complete"]
    assert rig.stored().comparisons == []
    assert all("manual" not in image["scores"] for image in rig.manager.snapshot(0, [1])["images"]["1"])
