"""What is said of the images of a run that has ended counts, and a later session goes on from it."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from lib_optim.plan.errors import RunError, StoreError
from lib_optim.plan.run_plan import Budget, SharedSpec, VerifySpec
from lib_optim.plan.scorers import ScorerSpec
from tests.rig import Rig, payload

MANUAL = (ScorerSpec("manual"),)


def rated(rig: Rig, *values: float, **changes: object) -> str:
    """Run a trial of one image per value, rated so, to the end."""
    settings = {"scorers": MANUAL, "payloads": (payload(steps=1),), "budget": Budget(len(values)), **changes}
    name = rig.manager.start(rig.plan(**settings))
    done = 0
    while not rig.manager.wait(0.005):
        for trial, image in rig.snapshot()["waiting"]:
            rig.manager.score(trial, image, values[min(trial, len(values) - 1)], f"first-{trial}-{image}")
            done += 1
    rig.end()
    assert done >= len(values)
    return name


def table(rig: Rig) -> list[str]:
    with rig.folder_of().trials_csv.open(newline="") as file:
        return [row["value"] for row in csv.DictReader(file)]


def test_value_best_and_files_follow_and_a_resume_searches_on_from_them(rig: Rig) -> None:
    name = rated(rig, 3.0, 6.0)
    recipe = rig.folder_of().best_recipe.read_text()
    assert rig.snapshot()["best"]["trial"] == 1
    rig.manager.score(0, 0, 9.0, "again", folder=name)
    rig.manager.score(0, 0, 1.0, "again", folder=name)  # the same click, sent again
    snapshot = rig.snapshot()
    assert (snapshot["state"], snapshot["best"]) == ("finished", {"trial": 0, "value": 9.0})
    assert [trial["value"] for trial in snapshot["trials"]] == [9.0, 6.0]
    assert [trial.value for trial in rig.stored().trials] == [9.0, 6.0]
    assert table(rig) == ["9.0", "6.0"]
    assert rig.folder_of().best_recipe.read_text() != recipe
    assert rig.has_originals()
    rig.manager.resume(name, trials=3)
    rig.until(lambda: rig.snapshot()["waiting"] == [[2, 0]], "trial 2")
    assert rig.manager._worker.history._search._trials[0].value == 9.0  # type: ignore[union-attr]
    rig.manager.score(2, 0, 1.0, "third", folder=name)
    rig.end()
    assert table(rig) == ["9.0", "6.0", "1.0"]


def test_marks_and_a_rating_taken_back(rig: Rig) -> None:
    name = rated(rig, 3.0, 6.0)
    rig.manager.mark(1, 0, "mark: broken", True, "x", folder=name)
    assert rig.states() == ["complete", "failed"]
    assert rig.snapshot()["best"]["trial"] == 0
    rig.manager.mark(1, 0, "mark: broken", False, "y", folder=name)
    assert (rig.states(), rig.snapshot()["best"]) == (["complete"] * 2, {"trial": 1, "value": 6.0})
    rig.manager.score(0, 0, None, "z", folder=name)
    assert rig.states() == ["waiting", "complete"]
    rig.manager.resume(name)
    assert rig.until(lambda: rig.snapshot()["waiting"], "it asks again") == [[0, 0]]
    rig.manager.score(0, 0, 8.0, "w", folder=name)
    rig.end()
    assert rig.snapshot()["best"] == {"trial": 0, "value": 8.0}


def test_any_run_by_its_name_but_none_that_another_program_runs(tmp_path: Path, make_rig: Callable[..., Rig]) -> None:
    first = make_rig(tmp_path)
    name = rated(first, 3.0, 6.0)
    second = make_rig(tmp_path)  # another program, in the same folder, with nothing on show
    second.manager.score(1, 0, 2.0, "late", folder=name)
    assert [trial.value for trial in second.stored().trials] == [3.0, 2.0]
    assert second.snapshot()["run"] is None
    with pytest.raises(RunError, match="No run is going on"):
        second.manager.score(1, 0, 2.0, "whose")
    with pytest.raises(StoreError, match="There is no run 'other'"):
        second.manager.score(1, 0, 2.0, "other", folder="other")
    with pytest.raises(RunError, match="has no image 5"):
        second.manager.score(1, 5, 2.0, "none", folder=name)
    with first.folder_of().locked(), pytest.raises(RunError, match="being run by another process"):
        second.manager.score(1, 0, 7.0, "locked", folder=name)
    second.manager.score(1, 0, 7.0, "locked", folder=name)  # and it is free again after each of these
    assert [trial.value for trial in second.stored().trials] == [3.0, 7.0]


def test_a_verified_run_stays_at_its_end(rig: Rig) -> None:
    name = rated(rig, 3.0, 6.0, verify=VerifySpec(1))
    before = rig.snapshot()["progress"]
    assert before["phase"].startswith("verification")
    rig.manager.score(1, 0, 7.0, "again", folder=name)
    assert rig.snapshot()["progress"] == before
    assert rig.snapshot()["trials"][1]["value"] == 7.0


def test_a_shared_study_keeps_its_scores(rig: Rig, tmp_path: Path) -> None:
    name = rated(rig, 3.0)
    folder = rig.folder_of(name)
    folder.write_plan(dataclasses.replace(folder.read_plan(), shared=SharedSpec(f"sqlite:///{tmp_path}/s.db", "study")))
    with pytest.raises(RunError, match="shared study"):
        rig.manager.score(0, 0, 7.0, "again", folder=name)
