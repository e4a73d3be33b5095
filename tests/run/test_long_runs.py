"""A run of a thousand trials, as the page is shown it; and the memory that each trial took."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.snapshot import every_block, fill, pages
from lib_optim.plan.records import Trial
from lib_optim.run.check import Resolved, check_plan
from lib_optim.run.context import RunContext
from lib_optim.run.folder import RunFolder
from lib_optim.run.footprint import memory_now
from lib_optim.run.store import Store
from lib_optim.run.view import RunView
from lib_optim.ui.routes import ROOM
from tests.rig import Rig

MOST = 100_000
TRIALS = 1000


@pytest.fixture
def long_run(rig: Rig, tmp_path: Path) -> tuple[RunFolder, Resolved]:
    resolved = check_plan(every_block(rig.models, TRIALS), rig.host, rig.manager.scorers_dir).resolved
    assert resolved is not None
    folder = RunFolder.create(tmp_path, "long")
    fill(folder, resolved, TRIALS, pictures=False)
    return folder, resolved


def test_a_thousand_stored_trials_come_in_small_pieces(long_run: tuple[RunFolder, Resolved], rig: Rig) -> None:
    folder, resolved = long_run
    view = RunView()
    run = {"folder": folder.name, "name": "long", "trials": TRIALS, "images": len(resolved.jobs), "started": 0.0}
    with closing(Store(folder.record())) as store:
        context = RunContext(resolved, folder, store, rig.host, view, rig.manager.scorers_dir)
        view.open_run(run, resolved.jobs)
        context.show()
        view.set_current(TRIALS - 1)
        found = pages(lambda since: view.snapshot(since, None, (), ROOM))
        assert max(len(json.dumps(page)) for page in found) < MOST
        rows = {row["number"]: row for page in found for row in page["trials"]}
        assert sorted(rows) == list(range(TRIALS))
        best, stored = view.best, store.trials()
        assert best is not None
        assert all(dict(trial.values) == rows[trial.number]["values"] for trial in stored)
        assert all(rows[n]["memory"]["ram"] > 1e9 and rows[n]["scores"]["technical"] >= 0 for n in rows)
        # What the page shows large does not wait for its turn.
        assert {TRIALS - 1, best.number} <= {row["number"] for row in found[0]["trials"]}
        assert set(found[0]["images"]) == {str(TRIALS - 1), str(best.number)}
        # From then on only what changes is sent, in one piece.
        view.put_trial(stored[7])
        after = view.snapshot(found[-1]["revision"], None, (), ROOM)
        assert [row["number"] for row in after["trials"]] == [7]
        assert not after["more"]
        assert len(json.dumps(after)) < 10_000


def test_a_trial_that_changes_while_the_pieces_come_is_sent_again() -> None:
    view = RunView()
    view.open_run({"folder": "f", "name": "n", "trials": 9, "images": 1, "started": 0.0}, ())
    for number in range(9):
        view.put_trial(Trial(number, "complete", {"x": 0.5}, "o" * 200, value=float(number)))
    first = view.snapshot(0, None, (), 1500)
    assert first["more"]
    view.put_trial(Trial(0, "complete", {"x": 0.25}, "o", value=-1.0))
    rest = pages(lambda since: view.snapshot(since or first["revision"], None, (), 1500))
    assert [row for page in rest for row in page["trials"] if row["number"] == 0][-1]["values"] == {"x": 0.25}
    assert {row["number"] for page in [first, *rest] for row in page["trials"]} == set(range(9))


def test_memory_is_noted_with_every_trial_and_comes_back(rig: Rig) -> None:
    snapshot = rig.run()
    noted = {row["number"]: row["memory"] for row in snapshot["trials"]}
    assert all(memory["ram"] > 1e6 for memory in noted.values())
    with closing(Store(rig.folder_of().record())) as store:
        assert store.memory() == noted
    rig.manager.resume(rig.folder_of().name)
    again = rig.end()
    assert {row["number"]: row["memory"] for row in again["trials"]} == noted


def test_a_record_without_memory_opens(tmp_path: Path) -> None:
    Store(tmp_path / "run.db").close()
    with closing(sqlite3.connect(tmp_path / "run.db")) as db:
        db.execute("DROP TABLE footprints")
        db.commit()
    with closing(Store(tmp_path / "run.db")) as store:
        assert store.memory() == {}
        store.put_memory(0, {"ram": 5.0})
        store.put_memory(0, {"ram": 6.0, "vram": 7.0})
        assert store.memory() == {0: {"ram": 6.0, "vram": 7.0}}


def test_the_memory_of_this_process_is_known() -> None:
    before = memory_now()["ram"]
    block = bytearray(b"x" * 60_000_000)
    assert memory_now()["ram"] - before > 40_000_000
    del block
