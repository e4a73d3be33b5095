"""The run folder: names, atomic files, one process at a time."""

from __future__ import annotations

import logging
import logging.config
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lib_optim.plan.errors import RunError, StoreError
from lib_optim.run.folder import RunFolder, list_runs, write_atomic


@pytest.mark.parametrize("name", ["my run", "a/b\\c", "..", "con", "ü nice", "x" * 300, "", "a:b*c?"])
def test_any_name_makes_a_safe_folder(tmp_path: Path, name: str) -> None:
    folder = RunFolder.create(tmp_path, name)
    assert folder.path.parent == tmp_path
    assert folder.images.is_dir()
    assert not set(folder.name) & set('/\\:*?"<>|')
    assert len(folder.name) < 80


def test_a_name_used_twice_gets_a_number(tmp_path: Path) -> None:
    assert RunFolder.create(tmp_path, "run").name + "-2" == RunFolder.create(tmp_path, "run").name


def test_no_room_for_the_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be made"):
        RunFolder.create(tmp_path / "file", "run")


@pytest.mark.parametrize("name", ["..", ".", "", "../x", "a/b", "missing"])
def test_only_runs_can_be_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="no run"):
        RunFolder.open(tmp_path, name)


def test_a_broken_plan_is_one_sentence(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "run")
    folder.plan.write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        folder.read_plan()
    folder.plan.write_text('{"version": 1, "nam": "x"}')
    with pytest.raises(StoreError, match="Did you mean 'name'"):
        folder.read_plan()
    assert [run.name for run in list_runs(tmp_path)] == [folder.name]


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "run")
    code = f"""
        from pathlib import Path
        from lib_optim.run.folder import RunFolder
        with RunFolder(Path({str(folder.path)!r})).locked():
            print("locked", flush=True)
            input()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(RunError, match="another process"), folder.locked():
            pass
        other.kill()
        other.wait()
    with folder.locked():
        pass


def test_atomic_write_keeps_the_old_content_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "best.mecha"
    write_atomic(target, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        write_atomic(target, "new")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["best.mecha"]


def test_a_log_that_another_program_closed_goes_on_and_a_lost_one_harms_nobody(tmp_path: Path) -> None:
    """A server that starts closes all handlers; a folder may be gone by the next word."""
    folder = RunFolder.create(tmp_path, "run")
    log = logging.getLogger("lib_optim.run")
    with folder.logging():
        log.info("one")
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
        log.info("two")
        assert [line.rsplit(" ", 1)[1] for line in folder.log.read_text().splitlines()] == ["one", "two"]
    with folder.logging():
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
        shutil.rmtree(folder.path)
        log.info("three")
    assert not folder.path.exists()


def test_what_a_killed_start_left_is_taken_by_the_next_one(tmp_path: Path) -> None:
    killed = RunFolder.create(tmp_path, "mine")
    (killed.path / "plan.json.part").write_text("{")
    another = RunFolder.create(tmp_path, "mine")
    assert another.name.endswith("-mine-2")  # the first one may only just have begun
    write_atomic(another.plan, "{}")
    for path in (killed.path, another.path):
        os.utime(path, (1, 1))
    assert RunFolder.create(tmp_path, "mine").path == killed.path
    os.utime(killed.path, (1, 1))
    (killed.images / "00000-000-fox.png").touch()
    assert RunFolder.create(tmp_path, "mine").name.endswith("-mine-3")  # what holds anything is left alone
