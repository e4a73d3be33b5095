"""The rules by which a run ends before its trials are used up, on real runs; each alone in tests/search."""

from __future__ import annotations

import dataclasses
from typing import Any

from lib_optim.plan.run_plan import Budget
from tests.rig import Rig, payload


def test_images_minutes_patience_and_target_end_a_run(rig: Rig) -> None:
    """One run, resumed under one rule after another, so that the models are read once per rule only."""
    snapshot = rig.run(rig.plan(budget=Budget(50, images=5)))
    assert rig.states() == ["complete"] * 2
    assert "The budget of 5 images is spent" in snapshot["sentence"]
    assert "Best: trial" in snapshot["sentence"]
    assert snapshot["progress"]["trials"] == 2
    best = snapshot["best"]["value"]
    for budget, words in (
        (Budget(50, minutes=1e-4), "minutes of work are spent"),
        (Budget(50, target=best), "reached the target"),
        (Budget(50, patience=1, min_delta=1e9), "1 proposed trials in a row did not beat the best by more than 1e+09"),
    ):
        name = _replan(rig, budget)
        rig.manager.resume(name)
        assert words in rig.end()["sentence"]
        assert rig.states() == ["complete"] * 2


def _replan(rig: Rig, budget: Budget) -> str:
    folder = rig.folder_of()
    folder.write_plan(dataclasses.replace(folder.read_plan(), budget=budget))
    return folder.name


def test_finish_this_trial_then_stop(rig: Rig) -> None:
    def press(job: Any, stamp: Any) -> None:
        if job.index == 0 and stamp["Optim trial"].endswith(" 1"):
            rig.manager.finish()
            rig.manager.finish()

    rig.hook("generate", press)
    snapshot = rig.run(rig.plan(budget=Budget(9)))
    assert rig.states() == ["complete"] * 2
    assert sorted(rig.stored().pixels()) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert snapshot["finishing"]
    assert "Stopped by you after the trial that was under way. Best: trial" in snapshot["sentence"]
    rig.manager.resume(rig.folder_of().name, trials=3)
    assert not rig.snapshot()["finishing"]
    rig.end()
    assert rig.states() == ["complete"] * 3


def test_stop_is_still_at_once_after_finish(rig: Rig) -> None:
    def press(job: Any, stamp: Any) -> None:
        rig.manager.finish()
        rig.manager.stop()

    rig.hook("generate", press)
    rig.manager.start(rig.plan(payloads=(payload(steps=20),)))
    assert "Stopped by you." in rig.end()["sentence"]
    assert rig.states() == ["running"]


def test_the_phase_is_on_screen(rig: Rig) -> None:
    seen = []
    rig.hook("generate", lambda job, stamp: seen.append(rig.snapshot()["progress"]["phase"]))
    snapshot = rig.run(rig.plan(payloads=(payload(),), budget=Budget(3)))
    assert seen == ["start design 1/1", "search 1/2", "search 2/2"]
    assert snapshot["progress"]["phase"] == "search 2/2"
