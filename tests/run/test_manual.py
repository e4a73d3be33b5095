"""Scoring by hand: the run waits for a person, and for nothing else."""

from __future__ import annotations

import csv
import time
from typing import Any

import pytest

from lib_optim.plan.errors import RunError
from lib_optim.plan.run_plan import Budget, SamplerSpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.store import Store
from tests.rig import Rig, payload, same_pixels

MANUAL = (ScorerSpec("manual"),)


def score_waiting(rig: Rig, value: float = 5.0) -> list[list[int]]:
    """Score every image that waits."""
    waiting = rig.until(lambda: rig.snapshot()["state"] == "waiting" and rig.snapshot()["waiting"], "a wait")
    for trial, image in waiting:
        rig.manager.score(trial, image, value, f"{trial}-{image}-{value}")
    return list(waiting)


def until_waiting(rig: Rig, trial: int) -> None:
    """Wait until all images of `trial` are there, and it waits for its scores."""
    rig.until(lambda: len(rig.trials()) == trial + 1 and rig.states()[trial] == "waiting", f"trial {trial}")
    rig.until_state("waiting")


def test_a_run_waits_for_its_scores_without_holding_the_host(rig: Rig) -> None:
    settings = {"prompt": "mine", "steps": 2, "width": 64, "height": 64}
    base = rig.host.txt2img(settings)
    rig.manager.start(rig.plan(scorers=MANUAL))
    snapshot = rig.until_state("waiting")
    assert snapshot["waiting"] == [[0, 0], [0, 1]]
    assert rig.states() == ["waiting"]
    assert rig.has_originals()
    began = time.monotonic()
    assert same_pixels(rig.host.txt2img(settings), base)
    assert time.monotonic() - began < 5
    rig.manager.score(0, 0, 8, "a")
    time.sleep(0.2)
    assert rig.snapshot()["waiting"] == [[0, 1]]
    assert rig.states() == ["waiting"]
    rig.manager.score(0, 1, 4, "b")
    until_waiting(rig, 1)
    assert rig.trials()[0]["value"] == 6.0
    assert score_waiting(rig, 3.0) == [[1, 0], [1, 1]]
    assert rig.end()["best"] == {"trial": 0, "value": 6.0}
    assert rig.stored().trials[0].value == 6.0


def test_a_score_counts_once_per_request_and_can_be_changed(rig: Rig) -> None:
    rig.manager.start(rig.plan(scorers=MANUAL, payloads=(payload(),), budget=Budget(2)))
    rig.until_state("waiting")
    rig.manager.score(0, 0, 2, "one")
    rig.manager.score(0, 0, 9, "one")  # the same click, sent again
    until_waiting(rig, 1)
    assert rig.trials()[0]["value"] == 2.0
    rig.manager.score(0, 0, 9, "two")
    assert rig.trials()[0]["value"] == 9.0
    assert rig.snapshot()["best"] == {"trial": 0, "value": 9.0}
    with rig.folder_of().trials_csv.open(newline="") as file:
        assert [(row["trial"], row["value"]) for row in csv.DictReader(file)] == [("0", "9.0")]
    rig.manager.score(1, 0, 9.5, "three")
    rig.end()
    assert [(s.trial, s.raw) for s in rig.stored().scores] == [(0, 9.0), (1, 9.5)]


@pytest.mark.parametrize("value", [-0.1, 10.1, float("nan"), float("inf")])
def test_scores_out_of_range_are_refused(rig: Rig, value: float) -> None:
    rig.manager.start(rig.plan(scorers=MANUAL, payloads=(payload(),), budget=Budget(1)))
    rig.until_state("waiting")
    with pytest.raises(RunError, match="between 0 and 10"):
        rig.manager.score(0, 0, value, "x")
    for trial, image in ((0, 7), (3, 0)):
        with pytest.raises(RunError, match="no image"):
            rig.manager.score(trial, image, 5, "x")
    assert rig.snapshot()["waiting"] == [[0, 0]]
    rig.manager.stop()
    rig.end()
    assert rig.stored().scores == []


def test_a_run_without_manual_scorer_takes_no_clicks(rig: Rig) -> None:
    refused = []

    def click(*_: Any) -> None:
        try:
            rig.manager.score(0, 0, 5, "x")
        except RunError as error:
            refused.append(str(error))

    rig.hook("generate", click)
    rig.run(rig.plan(budget=Budget(1)))
    assert "not scored by hand" in refused[0]


def test_taking_a_score_back_makes_the_trial_wait_again(rig: Rig) -> None:
    rig.manager.start(rig.plan(scorers=MANUAL, payloads=(payload(),), budget=Budget(2)))
    rig.until_state("waiting")
    rig.manager.score(0, 0, 7, "a")
    until_waiting(rig, 1)
    recipe = rig.folder_of().best_recipe
    assert recipe.exists()
    rig.manager.score(0, 0, None, "b")
    assert rig.states() == ["waiting", "waiting"]
    assert rig.snapshot()["waiting"] == [[0, 0], [1, 0]]
    assert rig.snapshot()["best"] is None
    assert not recipe.exists()
    assert rig.stored().trials[0].value is None
    assert rig.manager._worker.history._search._trials[0].value is None
    rig.manager.score(1, 0, 3, "c")
    rig.until(lambda: rig.states() == ["waiting", "complete"], "trial 1")
    rig.until_state("waiting")
    rig.manager.score(0, 0, 4, "d")
    rig.end()
    assert [trial["value"] for trial in rig.trials()] == [4.0, 3.0]
    assert len(rig.folder_of().trials_csv.read_text().splitlines()) == 3
    assert sorted(rig.stored().pixels()) == [(0, 0), (1, 0)]  # nothing was made again


def test_a_changed_score_changes_the_next_suggestion(make_rig: Any) -> None:
    """And to what a run would have proposed that had been scored so from the beginning."""

    def suggestions(first: list[float], changed: list[float]) -> list[Any]:
        rig: Rig = make_rig()
        tpe = SamplerSpec("tpe", {"n_startup_trials": 3}, ("all A", "all B", "half"))
        rig.manager.start(rig.plan(scorers=MANUAL, payloads=(payload(),), budget=Budget(4), sampler=tpe))
        for number, value in enumerate(first):
            until_waiting(rig, number)
            if number == 2:
                for trial, other in enumerate(changed):
                    rig.manager.score(trial, 0, other, f"again {trial}")
            rig.manager.score(number, 0, value, f"{number}")
        until_waiting(rig, 3)
        rig.manager.stop()
        rig.end()
        return rig.stored().values()

    plain = suggestions([9, 1, 5], [])
    changed = suggestions([9, 1, 5], [1, 9])
    same = suggestions([1, 9, 5], [])
    assert plain[:3] == changed[:3] == same[:3]
    assert plain[3] != changed[3]
    assert changed[3] == same[3]


def test_manual_and_automatic_together(rig: Rig) -> None:
    scorers = (ScorerSpec("manual", weight=3.0), ScorerSpec("technical"))
    rig.manager.start(rig.plan(scorers=scorers, payloads=(payload(),), budget=Budget(1)))
    rig.until_state("waiting")
    (automatic,) = rig.stored().scores
    rig.manager.score(0, 0, 8, "a")
    rig.end()
    expected = (3 * 0.8 + (automatic.raw - 0.3) / 0.6) / 4
    assert rig.trials()[0]["value"] == pytest.approx(expected, abs=1e-12)
    assert rig.snapshot()["images"]["0"][0]["scores"] == {"technical": automatic.raw, "manual": 8.0}


def test_images_can_be_scored_before_their_trial_is_through(rig: Rig) -> None:
    rig.hook("generate", lambda job, stamp: job.index and rig.manager.score(0, 0, 6, "early"))
    rig.manager.start(rig.plan(scorers=MANUAL, budget=Budget(1)))
    rig.until_state("waiting")
    assert rig.snapshot()["waiting"] == [[0, 1]]
    rig.manager.score(0, 1, 4, "late")
    rig.end()
    assert rig.trials()[0]["value"] == 5.0


@pytest.mark.parametrize("command", ["stop", "skip_trial", "pause"])
def test_commands_while_waiting_for_a_score(rig: Rig, command: str) -> None:
    rig.host.choose(rig.checkpoint("demo-b"))
    rig.manager.start(rig.plan(scorers=MANUAL, payloads=(payload(),), budget=Budget(1)))
    rig.until_state("waiting")
    getattr(rig.manager, command)()
    if command == "stop":
        rig.end()
        assert rig.states() == ["waiting"]
    elif command == "skip_trial":
        rig.until(lambda: rig.states() == ["skipped", "waiting"], "the next trial")
        assert rig.snapshot()["waiting"] == [[1, 0]]
        rig.manager.score(1, 0, 5, "a")
        rig.end()
    else:
        rig.until_state("paused")
        assert rig.host.state().checkpoint == "demo-b.safetensors"  # the user's own is back
        rig.manager.score(0, 0, 5, "a")
        rig.manager.go_on()
        rig.end()
        assert rig.trials()[0]["value"] == 5.0
    assert rig.host.state().checkpoint == "demo-b.safetensors"


def test_a_waiting_trial_waits_again_after_resume(rig: Rig) -> None:
    name = rig.manager.start(rig.plan(scorers=MANUAL, budget=Budget(1)))
    rig.until_state("waiting")
    rig.manager.score(0, 0, 6, "a")
    rig.manager.stop()
    rig.end()
    made = []
    rig.hook("generate", lambda *_: made.append(1))
    rig.manager.resume(name)
    rig.until_state("waiting")
    assert rig.snapshot()["waiting"] == [[0, 1]]
    rig.manager.score(0, 1, 8, "b")
    rig.end()
    assert rig.trials()[0]["value"] == 7.0
    assert not made


def test_a_score_recorded_just_before_a_kill_counts_after_resume(rig: Rig) -> None:
    """The record of the score came first, the trial's new value never did."""
    name = rig.manager.start(rig.plan(scorers=MANUAL, payloads=(payload(),), budget=Budget(2)))
    rig.until_state("waiting")
    rig.manager.score(0, 0, 2, "a")
    until_waiting(rig, 1)
    rig.manager.stop()
    rig.end()
    (score,) = rig.stored().scores
    store = Store(rig.folder_of().database)
    store.add_score(type(score)(0, 0, "manual", 9.0, "b"))
    store.close()
    rig.manager.resume(name)
    rig.until_state("waiting")
    assert rig.trials()[0]["value"] == 9.0
    assert rig.stored().trials[0].value == 9.0
    rig.manager.stop()
    rig.end()
