"""Run folders as earlier versions wrote them still open, report and go on; those of later versions stay untouched.

`released/` holds a run per form of the record that was in use: two trials of two images, made by the code of the commit
that names the file. The paths of its models are put right here, as a user's move to another machine would.
"""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lib_optim.plan.errors import StoreError
from lib_optim.run.archive import import_run
from lib_optim.run.folder import LOG_BYTES, LOG_PARTS, RunFolder
from lib_optim.run.report import report_html
from lib_optim.run.store import Store
from lib_optim.run.versions import noted_versions
from tests.rig import Rig

RELEASED = sorted((Path(__file__).parent / "released").glob("*.zip"))


def unpacked(path: Path, rig: Rig) -> RunFolder:
    outputs = rig.manager.outputs
    with zipfile.ZipFile(path) as archive:
        archive.extractall(outputs)
    run = RunFolder(outputs / path.stem)
    plan = json.loads(run.plan.read_text())
    for model in plan["models"]:
        model["path"] = str(rig.models / model["path"])
    run.plan.write_text(json.dumps(plan))
    return run


def test_there_are_runs_of_earlier_versions() -> None:
    assert len(RELEASED) >= 2
    assert sum(path.stat().st_size for path in RELEASED) < 200_000


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_a_run_of_an_earlier_version_opens_reports_and_goes_on(path: Path, make_rig: Callable[[], Rig]) -> None:
    rig = make_rig()
    run = unpacked(path, rig)
    before = rig.stored(run.name)
    assert len(before.trials) == 2
    assert [row["problem"] for row in rig.manager.runs()] == [""]
    assert rig.manager.recorded(run.name).winner is not None
    assert "Trial" in report_html(run)
    rig.manager.resume(run.name, trials=3)
    rig.end()
    after = rig.stored(run.name)
    # A plan that says nothing of the verification gets today's: more trials follow the third.
    assert [trial.state for trial in after.trials[:3]] == ["complete"] * 3
    assert after.values()[:2] == before.values()
    assert [trial.value for trial in after.trials[:2]] == [trial.value for trial in before.trials]
    assert {place: after.pixels()[place] for place in before.pixels()} == before.pixels()
    store = Store(run.database)
    versions = noted_versions(store)
    store.close()
    assert [row["host"] for row in versions] == ["standalone"]
    assert {"optim", "host_version", "python", "torch", "since"} <= versions[0].keys()


def test_a_run_of_a_later_version_is_refused_and_left_as_it_is(make_rig: Callable[[], Rig]) -> None:
    rig = make_rig()
    run = unpacked(RELEASED[-1], rig)
    plan = run.plan.read_text()
    run.plan.write_text(json.dumps({**json.loads(plan), "version": 99}))
    for open_it in (run.read_plan, lambda: rig.manager.resume(run.name), lambda: rig.manager.recorded(run.name)):
        with pytest.raises(StoreError, match=r"newer Optim \(version 99.*update the extension"):
            open_it()
    run.plan.write_text(plan)
    with sqlite3.connect(run.database) as db:
        db.execute("UPDATE meta SET value='99' WHERE key='schema'")
    db.close()
    data = run.database.read_bytes()
    for open_it in (lambda: Store(run.database), lambda: rig.manager.resume(run.name), lambda: report_html(run)):
        with pytest.raises(StoreError, match=r"another version of Optim \(database 99.*update the extension"):
            open_it()
    assert run.database.read_bytes() == data
    assert not rig.manager.active


def test_an_archive_of_an_earlier_version_is_imported(tmp_path: Path) -> None:
    for path in RELEASED:
        name = import_run(path, tmp_path / "outputs")
        assert RunFolder.open(tmp_path / "outputs", name).read_plan().name == "test"


def test_a_log_does_not_grow_without_end(tmp_path: Path) -> None:
    import logging

    folder = RunFolder.create(tmp_path, "x")
    with folder.logging():
        for _ in range(4 * LOG_BYTES // 100_000):
            logging.getLogger("lib_optim.test").warning("x" * 100_000)
    files = sorted(folder.path.glob("log.txt*"))
    assert [path.name for path in files] == ["log.txt", *(f"log.txt.{i + 1}" for i in range(LOG_PARTS))]
    assert all(path.stat().st_size <= LOG_BYTES for path in files)
