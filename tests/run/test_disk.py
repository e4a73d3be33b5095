"""What a run may take of the disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib_optim.plan.run_plan import Budget, DiskSpec, SaveSpec
from lib_optim.run.disk import DiskGuard, folder_bytes
from tests.rig import Rig


def test_a_budget_that_is_used_up_is_said_and_may_be_had_again(tmp_path: Path) -> None:
    guard = DiskGuard(tmp_path, DiskSpec(1e-6))  # a thousand bytes
    assert guard.problem() == ""
    (tmp_path / "a.png").write_bytes(bytes(999))
    assert guard.problem() == ""
    (tmp_path / "b.png").write_bytes(bytes(1))
    assert "take 1e-06 GB, which is its disk budget; continue to let it take 1e-06 GB more" in guard.problem()
    guard.allow_more()
    assert guard.problem() == ""
    (tmp_path / "c.png").write_bytes(bytes(1000))
    assert guard.problem()
    assert DiskGuard(tmp_path, DiskSpec()).problem() == ""
    assert folder_bytes(tmp_path / "none") == 0


def test_a_full_disk_is_said_and_continuing_does_not_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[[Any], Any] = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=5_000_000))
    guard = DiskGuard(tmp_path, DiskSpec())
    assert guard.problem().startswith("The disk of the run has 5 MB free")
    guard.allow_more()
    assert guard.problem()


def test_a_run_pauses_where_its_disk_budget_is_used_up(rig: Rig) -> None:
    plan = rig.plan(budget=Budget(2), save=SaveSpec(checkpoint=False), disk=DiskSpec(1e-6))
    (problem,) = rig.manager.check(rig.plan(disk=DiskSpec(-1))).problems
    assert "The disk budget must not be below 0" in problem.sentence
    check = rig.manager.check(plan)
    assert any("its disk budget is 1e-06 GB: the run will pause there." in sentence for sentence in check.warnings)
    rig.manager.start(plan)
    paused = rig.until_state("paused")
    assert "which is its disk budget" in paused["sentence"]
    assert rig.states() == ["complete"]
    rig.manager.go_on()
    rig.until(lambda: len(rig.trials()) == 2, "the second trial")
    rig.until(lambda: not rig.manager.active or rig.snapshot()["state"] == "paused", "its end")
    rig.manager.stop()
    assert rig.manager.wait(60)
    assert rig.states() == ["complete", "complete"]
