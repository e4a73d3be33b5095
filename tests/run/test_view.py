"""The snapshot that the page polls."""

from __future__ import annotations

import dataclasses
import json
import random
import time

import pytest

from lib_optim.plan.passes import PassRecord
from lib_optim.plan.payload import Payload, jobs_of
from lib_optim.plan.records import ImageRecord, Trial
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.passes import RunPass
from lib_optim.run.view import RunView

RUN = {"folder": "f", "name": "n", "trials": 10, "images": 2, "started": 0.0, "manual": True, "higher_is_better": True}


@pytest.fixture
def view() -> RunView:
    view = RunView()
    view.open_run(RUN, jobs_of((Payload("cat", "a cat", n_iter=2, seed=1),)))
    view.set_state("running", "Going.")
    return view


def complete(number: int, value: float) -> Trial:
    return Trial(number, "complete", {"x": 0.5}, "o", value=value, seconds={"merge": 1.0, "generate": 3.0})


def image(trial: int, index: int) -> ImageRecord:
    return ImageRecord(trial, index, "cat", 1 + index, f"images/{trial}-{index}.png", "", "")


def test_an_idle_snapshot_has_every_key() -> None:
    snapshot = RunView().snapshot(0, None)
    assert set(snapshot) == {
        "version", "state", "sentence", "revision", "run", "progress", "best", "verification", "pareto", "current",
        "finishing", "trials", "images", "waiting", "comparing", "saved", "saved_notes", "errors", "calibration",
        "watched", "more",
    }  # fmt: skip
    assert snapshot["state"] == "idle"
    json.dumps(snapshot, allow_nan=False)


def test_the_front_of_a_thousand_trials_stays_small_and_quick(view: RunView) -> None:
    judges = (ScorerSpec("a", axis="one"), ScorerSpec("b", axis="two"), ScorerSpec("c", axis="three"))
    view.put_pass(RunPass(1, 1, PassRecord("search", (Payload("cat"),), judges)))
    rng = random.Random(0)
    for number in range(1000):
        axes = {name: rng.random() for name in ("one", "two", "three")}
        view.put_trial(dataclasses.replace(complete(number, sum(axes.values())), axes=axes))
    began = time.perf_counter()
    snapshot = view.snapshot(view.revision, None)
    first = time.perf_counter() - began
    assert len(json.dumps(snapshot["pareto"])) < 2000
    assert snapshot["trials"] == []
    assert snapshot["pareto"]["axes"] == ["one", "two", "three"]
    began = time.perf_counter()
    assert view.snapshot(view.revision, None)["pareto"] == snapshot["pareto"]
    assert time.perf_counter() - began < first  # a page asks every second
    view.set_chosen(7)
    assert (view.snapshot(0, None)["pareto"]["chosen"], view.snapshot(0, None)["best"]["trial"]) == (7, 7)
    view.set_chosen(None)
    view.put_trial(dataclasses.replace(complete(1000, 3.0), axes=dict.fromkeys(("one", "two", "three"), 1.0)))
    assert view.snapshot(0, None)["pareto"]["front"] == [1000]


def test_only_trials_changed_since_are_sent(view: RunView) -> None:
    view.put_trial(complete(0, 1.0))
    seen = view.snapshot(0, None)["revision"]
    view.put_trial(complete(1, 2.0))
    assert [t["number"] for t in view.snapshot(seen, None)["trials"]] == [1]
    assert [t["number"] for t in view.snapshot(0, None)["trials"]] == [0, 1]


def test_a_reader_from_another_run_gets_everything(view: RunView) -> None:
    view.put_trial(complete(0, 1.0))
    assert len(view.snapshot(view.revision + 1000, None)["trials"]) == 1


def test_best_is_the_highest_and_the_earliest_of_equals(view: RunView) -> None:
    for number, value in enumerate([-3.0, -1.0, -1.0, -2.0]):
        view.put_trial(complete(number, value))
    assert view.snapshot(0, None)["best"] == {"trial": 1, "value": -1.0}


def test_a_best_that_was_rescored_loses_its_place(view: RunView) -> None:
    view.put_trial(complete(0, 5.0))
    view.put_trial(complete(1, 4.0))
    view.put_trial(complete(0, 1.0))
    assert view.snapshot(0, None)["best"]["trial"] == 1


def test_images_of_current_best_and_waiting_trials_are_sent(view: RunView) -> None:
    for number in range(4):
        view.put_trial(complete(number, float(number == 1)))
        view.put_image(image(number, 0))
    view.set_current(3)
    view.set_waiting({(0, 0)})
    assert set(view.snapshot(0, None)["images"]) == {"0", "1", "3"}
    assert set(view.snapshot(0, None, also=[2])["images"]) == {"0", "1", "2", "3"}


def test_eta_counts_the_machine_and_not_the_human(view: RunView) -> None:
    for number in range(4):
        view.put_trial(
            Trial(number, "complete", {}, "o", value=0.0, seconds={"merge": 1, "generate": 3}, started=0, finished=9999)
        )
    progress = view.snapshot(0, (2, 4))["progress"]
    assert progress["trial_seconds"] == 4.0
    assert progress["eta_seconds"] == 24.0
    assert (progress["step"], progress["steps"]) == (2, 4)


def test_scores_are_shown_with_their_combination(view: RunView) -> None:
    view.put_trial(complete(0, 1.0))
    view.put_image(image(0, 1))
    view.put_scores(0, 1, {"technical": 0.4, "manual": 7}, 0.55)
    (entry,) = view.snapshot(0, None)["images"]["0"]
    assert entry["scores"] == {"technical": 0.4, "manual": 7}
    assert entry["value"] == 0.55
    assert entry["prompt"] == "a cat"
    assert entry["file"] == "0-1.png"
