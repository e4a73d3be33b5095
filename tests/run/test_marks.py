"""What a person may say besides a score: broken, left out, hand over; and several ratings per image."""

from __future__ import annotations

import pytest

from lib_optim.plan.errors import PlanError, RunError
from lib_optim.plan.run_plan import Budget
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.marks import BROKEN
from tests.rig import Rig, payload

MANUAL = (ScorerSpec("manual"),)
ONE = (payload(),)


def wait_for(rig: Rig, trial: int) -> None:
    rig.until(lambda: rig.snapshot()["waiting"] and rig.snapshot()["waiting"][0][0] == trial, f"trial {trial} to wait")
    rig.until_state("waiting")


def test_a_broken_image_fails_its_trial_at_once_and_undoing_brings_the_trial_back(rig: Rig) -> None:
    rig.manager.start(rig.plan(scorers=MANUAL, budget=Budget(2)))
    wait_for(rig, 0)
    rig.manager.mark(0, 1, "mark: broken", True, "x")
    wait_for(rig, 1)  # nobody need rate the other image
    trial = rig.trials()[0]
    assert (trial["state"], trial["value"]) == ("failed", None)
    assert trial["reason"].startswith(BROKEN)
    assert "'hill' with seed 8" in trial["reason"]
    assert rig.manager.snapshot(0, [0])["images"]["0"][1]["marks"] == ["broken"]
    rig.manager.mark(0, 1, "mark: broken", True, "x")  # the same click again
    rig.manager.mark(0, 1, "mark: broken", False, "y")
    assert rig.trials()[0]["state"] == "waiting"
    for trial_number in (0, 1):
        for image in (0, 1):
            rig.manager.score(trial_number, image, 4 + trial_number, f"{trial_number} {image}")
    assert rig.end()["best"] == {"trial": 1, "value": 5.0}
    assert rig.states() == ["complete", "complete"]
    assert rig.trials()[0]["reason"] == ""


def test_a_complete_trial_can_be_called_broken_and_the_search_forgets_its_value(rig: Rig) -> None:
    rig.manager.start(rig.plan(scorers=MANUAL, payloads=ONE, budget=Budget(3)))
    wait_for(rig, 0)
    rig.manager.score(0, 0, 9, "a")
    wait_for(rig, 1)
    search = rig.manager._worker.context.history._search  # type: ignore[union-attr]
    assert search._trials[0].value == 9
    rig.manager.mark(0, 0, "mark: broken", True, "b")
    assert (search._trials[0].state, search._trials[0].value) == ("failed", None)
    assert rig.snapshot()["best"] is None
    rig.manager.mark(0, 0, "mark: broken", False, "c")
    assert (search._trials[0].state, search._trials[0].value) == ("complete", 9)
    assert rig.snapshot()["best"] == {"trial": 0, "value": 9}
    rig.manager.score(0, 0, 2, "d")
    assert search._trials[0].value == 2
    rig.manager.stop()
    rig.end()
    assert rig.stored().trials[0].value == 2


def test_a_broken_image_spares_the_images_after_it(rig: Rig) -> None:
    rig.hook("generate", lambda job, stamp: job.index == 1 and rig.manager.mark(0, 0, "mark: broken", True, "x"))
    payloads = (payload("fox"), payload("hill", seed=8), payload("bird", seed=9))
    rig.manager.start(rig.plan(scorers=MANUAL, payloads=payloads, budget=Budget(2)))
    wait_for(rig, 1)
    assert rig.states() == ["failed", "waiting"]
    assert len([image for image in rig.stored().images if image.trial == 0]) == 2
    rig.manager.mark(0, 0, "mark: broken", False, "y")
    for image in range(3):
        rig.manager.score(1, image, 5, f"1 {image}")
    wait_for(rig, 0)  # made to its end
    assert len([image for image in rig.stored().images if image.trial == 0]) == 3
    rig.manager.stop()
    rig.end()


def test_an_image_left_out_does_not_count_and_neither_does_a_trial_of_them(rig: Rig) -> None:
    rig.manager.start(rig.plan(scorers=MANUAL, budget=Budget(1)))
    wait_for(rig, 0)
    rig.manager.mark(0, 0, "mark: left out", True, "a")
    assert rig.snapshot()["waiting"] == [[0, 1]]
    rig.manager.mark(0, 1, "mark: left out", True, "b")
    wait_for(rig, 1)
    assert rig.states() == ["skipped", "waiting"]
    rig.manager.mark(0, 1, "mark: left out", False, "c")
    assert rig.states() == ["waiting", "waiting"]
    rig.manager.mark(1, 0, "mark: left out", True, "d")
    rig.manager.score(0, 1, 3, "e")
    assert rig.trials()[0]["value"] is None or rig.trials()[0]["value"] == 3
    rig.manager.score(1, 1, 7, "f")
    rig.end()
    assert [trial["value"] for trial in rig.trials()] == [3, 7]


def test_marks_survive_stop_and_resume(rig: Rig) -> None:
    name = rig.manager.start(rig.plan(scorers=MANUAL, budget=Budget(2)))
    wait_for(rig, 0)
    rig.manager.mark(0, 0, "mark: broken", True, "a")
    wait_for(rig, 1)
    rig.manager.mark(1, 0, "mark: left out", True, "b")
    rig.manager.stop()
    rig.end()
    rig.manager.resume(name)
    rig.until(lambda: rig.snapshot()["waiting"] == [[1, 1]], "the image that counts")
    rig.manager.mark(0, 0, "mark: broken", True, "a")  # sent again by a page that had no answer
    assert rig.states() == ["failed", "waiting"]
    rig.manager.mark(0, 0, "mark: broken", False, "c")
    assert rig.states() == ["waiting", "waiting"]
    rig.manager.stop()
    rig.end()


def test_hand_over_to_the_automatic_judges_and_back(rig: Rig) -> None:
    scorers = (ScorerSpec("manual", 3.0), ScorerSpec("technical"))
    name = rig.manager.start(rig.plan(scorers=scorers, payloads=ONE, budget=Budget(4)))
    wait_for(rig, 0)
    run = rig.snapshot()["run"]
    assert (run["handed_over"], run["can_hand_over"]) == (False, True)
    rig.manager.hand_over()
    rig.until(lambda: "complete" in rig.states()[1:], "a trial without a person")
    rig.manager.pause()
    rig.until_state("paused")
    rig.manager.stop()
    rig.end()
    done = [trial for trial in rig.stored().trials if trial.state == "complete"]
    raw = {score.trial: score.raw for score in rig.stored().scores if score.scorer == "technical"}
    for trial in done:  # on the scale of both together
        assert trial.value == pytest.approx((raw[trial.number] - 0.3) / 0.6, abs=1e-12)
    rig.manager.resume(name)
    rig.until(lambda: rig.snapshot()["run"] and rig.snapshot()["run"]["can_hand_over"], "the run")
    assert rig.snapshot()["run"]["handed_over"], "kept across sessions"
    if rig.manager.active:
        rig.until(lambda: not rig.manager.active, "the end, with nobody there")
    assert rig.states() == ["complete"] * 4
    assert rig.snapshot()["waiting"] == []


def test_a_trial_that_was_handed_over_can_be_rated_later(rig: Rig) -> None:
    scorers = (ScorerSpec("manual"), ScorerSpec("technical"))
    rig.manager.start(rig.plan(scorers=scorers, payloads=ONE, budget=Budget(2)))
    wait_for(rig, 0)
    rig.hook("generate", lambda job, stamp: rig.manager.hand_over(False))
    rig.manager.hand_over()
    wait_for(rig, 1)
    alone = rig.trials()[0]["value"]
    assert rig.manager.snapshot(0, [0])["images"]["0"][0]["marks"] == ["unrated"]
    rig.manager.score(0, 0, 10, "a")
    assert rig.trials()[0]["value"] == pytest.approx((alone + 1) / 2)
    rig.manager.score(0, 0, None, "b")
    assert rig.trials()[0]["value"] == alone
    assert rig.states() == ["complete", "waiting"]
    rig.manager.stop()
    rig.end()


def test_without_automatic_judges_there_is_nobody_to_hand_over_to(rig: Rig) -> None:
    rig.manager.start(rig.plan(scorers=MANUAL, payloads=ONE, budget=Budget(1)))
    wait_for(rig, 0)
    with pytest.raises(RunError, match="No automatic judge"):
        rig.manager.hand_over()
    assert not rig.snapshot()["run"]["can_hand_over"]
    rig.manager.stop()
    rig.end()


def test_a_score_for_another_run_is_refused(rig: Rig) -> None:
    rig.manager.start(rig.plan(scorers=MANUAL, payloads=ONE, budget=Budget(1)))
    wait_for(rig, 0)
    with pytest.raises(RunError, match="The run other is not going on"):
        rig.manager.score(0, 0, 5, "a", folder="other")
    rig.manager.stop()
    rig.end()
    assert rig.stored().scores == []


RATINGS = (ScorerSpec("manual", 3.0, name="anatomy"), ScorerSpec("manual", 1.0, name="style"))


def test_named_ratings_are_weighted_and_all_are_needed(rig: Rig) -> None:
    rig.manager.start(rig.plan(scorers=RATINGS, payloads=ONE, budget=Budget(1)))
    wait_for(rig, 0)
    assert [(row["key"], row["name"]) for row in rig.snapshot()["run"]["ratings"]] == [
        ("manual: anatomy", "anatomy"), ("manual: style", "style"),
    ]  # fmt: skip
    rig.manager.score(0, 0, 8, "a", name="anatomy")
    assert rig.snapshot()["waiting"] == [[0, 0]]
    with pytest.raises(RunError, match="no rating 'colour'"):
        rig.manager.score(0, 0, 8, "b", name="colour")
    rig.manager.score(0, 0, 4, "c", name="style")
    rig.end()
    assert rig.trials()[0]["value"] == pytest.approx((3 * 0.8 + 0.4) / 4)
    header = rig.folder_of().trials_csv.read_text().splitlines()[0]
    assert "score:manual: anatomy,score:manual: style" in header


@pytest.mark.parametrize(
    ("scorers", "sentence"),
    [
        ((ScorerSpec("manual", name="a"), ScorerSpec("manual", name="a")), "manual: a is listed 2 times"),
        ((ScorerSpec("technical", name="a"),), "only ratings by hand have names"),
        ((ScorerSpec("manual", name=" a"),), "needs a name of 1 to 40"),
    ],
)
def test_names_that_cannot_be(rig: Rig, scorers: tuple[ScorerSpec, ...], sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        rig.manager.start(rig.plan(scorers=scorers))
