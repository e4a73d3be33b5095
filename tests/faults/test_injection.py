"""Each fault at each step: the model whole, the queue free, the flags clean, one sentence, the trace in the log."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib_optim.plan.run_plan import Budget, SaveSpec
from tests.faults.injecting import inject
from tests.faults.rows import FAULTS, LEFT_OUT, OUTCOMES, ROWS, STEPS, Row
from tests.rig import Rig, payload

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="open files are looked up in /proc")


@pytest.fixture(scope="module")
def shared(demo_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One host with its model, for all rows."""
    made = Rig(tmp_path_factory.mktemp("faults"), demo_models)
    for file in made.models.glob("*.safetensors"):  # not links: a row changes one
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content)
    made.host.choose(made.checkpoint("demo-a"))
    yield made
    made.close()


def test_every_combination_has_a_row_or_a_reason() -> None:
    rows = {(row.step, row.fault) for row in ROWS}
    assert len(rows) == len(ROWS)
    assert not rows & LEFT_OUT.keys()
    assert rows | LEFT_OUT.keys() == {(step, fault) for step in STEPS for fault in FAULTS}
    assert {row.outcome for row in ROWS} == OUTCOMES.keys()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.step}, {row.fault}")
def test_a_fault_costs_what_its_row_says(shared: Rig, row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = shared
    saves = row.step == "save"
    method = "slerp" if row.step == "merge" else "weighted_sum"  # a simple method is no step of its own
    plan = rig.plan(
        name=f"{row.step} {row.fault}", method=method,
        budget=Budget(1), payloads=(payload(),), save=SaveSpec(checkpoint=saves),
    )  # fmt: skip
    with monkeypatch.context() as patch:
        made = inject(row, patch, rig)
        run = rig.manager.start(plan)
        if row.fault == "hang":
            assert made.hanging.wait(60)
            assert rig.snapshot()["state"] in ("starting", "running", "stopping")  # the page is answered meanwhile
        rig.until(lambda: rig.manager.wait(0.005) or rig._paused(), "the end")
    made.undo()
    assert made.hit.is_set()
    snapshot = rig.snapshot()
    if row.outcome == "pauses":
        _paused(rig, row, snapshot)
        return
    _as_documented(rig, row, snapshot)
    _clean(rig)
    if row.outcome in ("ends", "ends after") or row.step == "save":
        rig.manager.resume(run)
        snapshot = rig.end(errors=None)
        assert rig.states().count("complete") == 1
        assert bool(snapshot["saved"]) == saves
        _clean(rig)


def _paused(rig: Rig, row: Row, snapshot: dict) -> None:  # type: ignore[type-arg]
    """Five failed; what was wrong is mended by now, so Continue goes on."""
    assert snapshot["state"] == "paused"
    assert rig.states() == ["failed"] * 5
    assert all(row.says in error and "\n" not in error for error in snapshot["errors"]), snapshot["errors"]
    rig.manager.go_on()
    rig.end(errors=5)
    assert rig.states().count("complete") == 1
    _clean(rig)


def _as_documented(rig: Rig, row: Row, snapshot: dict) -> None:  # type: ignore[type-arg]
    states, errors = rig.states(), snapshot["errors"]
    ends = row.outcome in ("ends", "ends after")
    assert snapshot["state"] == ("failed" if ends else "finished"), snapshot["sentence"]
    assert states.count("complete") == (0 if row.outcome == "ends" else 1), states
    assert states.count("failed") == (row.outcome == "trial"), (states, errors)
    assert len(errors) == (row.outcome != "unharmed"), errors
    log = rig.folder_of(snapshot["run"]["folder"]).log.read_text()
    for sentence in (snapshot["sentence"], *errors):
        assert "\n" not in sentence
        assert "Traceback" not in sentence
        assert " line " not in sentence
    if errors:
        assert row.says in errors[0], errors
        assert "Traceback" in log
    if row.outcome == "trial":
        failed = snapshot["trials"][states.index("failed")]
        assert failed["value"] is None
        assert errors == [f"Trial {failed['number']}: {failed['reason']}"]


def _clean(rig: Rig) -> None:
    """The host as it was, and nothing of the run left in it or on the disk."""
    assert rig.has_originals()
    host, model = rig.host, rig.host.model()
    assert model is not None
    assert not model.dirty
    assert host.state().checkpoint == "demo-a.safetensors"
    assert (host._in_job, host.stop_requested(), host.progress(), host.others_waiting()) == (False, False, None, False)
    assert not rig.manager.active
    assert rig.snapshot()["current"] is None
    left = [path for path in rig.folder.rglob("*") if path.suffix == ".part" or path.name.startswith("run.db-")]
    assert not left, left
