"""Runs as zip files: out and in again, and what strangers put into them."""

from __future__ import annotations

import io
import json
import sqlite3
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lib_optim.plan.errors import RunError, StoreError
from lib_optim.plan.payload import Payload
from lib_optim.plan.records import ImageRecord, Trial
from lib_optim.plan.run_plan import RunPlan
from lib_optim.run.archive import export_run, import_run
from lib_optim.run.folder import RunFolder, list_runs
from lib_optim.run.shelf import TRASH, rename_run, trash_run
from lib_optim.run.store import Store
from tests.plan.test_passes import PLAN


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


@pytest.fixture
def run(outputs: Path) -> RunFolder:
    return filled(RunFolder.create(outputs, "mix"))


def filled(folder: RunFolder) -> RunFolder:
    """Three trials with an image each, a table and a log."""
    folder.write_plan(PLAN)
    store = Store(folder.record())
    number = store.add_pass(json.dumps({}))
    for i in range(3):
        store.put_trial(Trial(i, "complete", {"a": i / 10}, "start: 1", value=float(i), pass_id=number))
        store.put_image(ImageRecord(i, 0, "p", 1, f"images/{i:04d}-00-p.png", "", "x"))
        (folder.images / f"{i:04d}-00-p.png").write_bytes(b"\x89PNG picture %d" % i * 100)
    store.close()
    folder.trials_csv.write_text("trial\n")
    folder.log.write_text("private")
    return folder


def packed(run: RunFolder, images: bool = True) -> bytes:
    out = io.BytesIO()
    export_run(run, out, images)
    return out.getvalue()


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_run_comes_back_as_it_was_but_for_its_log(run: RunFolder, outputs: Path, tmp_path: Path) -> None:
    name = import_run(put(tmp_path / "x.zip", packed(run)), outputs)
    assert name == f"{run.name}-2"
    back = RunFolder.open(outputs, name)
    assert back.read_plan() == run.read_plan()
    pictures = {path.name: path.read_bytes() for path in run.images.iterdir()}
    assert {path.name: path.read_bytes() for path in back.images.iterdir()} == pictures
    old, new = Store(run.database), Store(back.database)
    assert list(old.trials()) == list(new.trials())
    assert list(old.images(1)) == list(new.images(1))
    assert not back.log.exists()
    assert {folder.name for folder in list_runs(outputs)} == {run.name, name}


def test_a_run_that_is_being_written_is_exported_whole(run: RunFolder, outputs: Path, tmp_path: Path) -> None:
    store = Store(run.database)  # in WAL mode, the last trial not in the file itself yet
    store.put_trial(Trial(3, "complete", {"a": 1.0}, "sampler", value=9.0, pass_id=1))
    name = import_run(put(tmp_path / "x.zip", packed(run, images=False)), outputs, "other name")
    assert name == "other-name"
    assert [trial.value for trial in Store(outputs / name / "run.db").trials()] == [0.0, 1.0, 2.0, 9.0]
    assert list((outputs / name / "images").iterdir()) == []
    store.close()


def rewritten(data: bytes, change: Callable[[zipfile.ZipFile], None], without: str = "") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            if not without or not info.filename.endswith(without):
                new.writestr(info, old.read(info))
        change(new)
    return out.getvalue()


def link(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("evil/images/a.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(info, "/etc/passwd")


@pytest.mark.parametrize(
    "name",
    [
        "../evil.png", "/etc/evil", "{run}/../../evil", "{run}/images/../../evil.png", "{run}/images/a/b.png",
        "{run}/evil.py", "{run}/images/a.html", "C:/evil", "{run}\\images\\a.png", "other/plan.json",
        "{run}/images/a:b.png", "plan.json",
    ],
)  # fmt: skip
def test_what_belongs_to_no_run_is_refused_and_nothing_left_behind(
    run: RunFolder, outputs: Path, tmp_path: Path, name: str
) -> None:
    evil = rewritten(packed(run), lambda archive: archive.writestr(name.format(run=run.name), b"x"))
    before = sorted(tmp_path.rglob("*"))
    archive = put(tmp_path / "x.zip", evil)
    with pytest.raises(RunError, match=r"\.$"):
        import_run(archive, outputs)
    assert sorted(tmp_path.rglob("*")) == sorted([*before, archive])


def test_links_and_missing_parts_are_refused(run: RunFolder, outputs: Path, tmp_path: Path) -> None:
    for data in (
        rewritten(packed(run), link),
        rewritten(packed(run), lambda _: None, without="run.db"),
        rewritten(packed(run), lambda _: None, without="plan.json"),
        rewritten(packed(run), lambda a: a.writestr(f"{run.name}/run.db", b"no database"), without="run.db"),
        rewritten(packed(run), lambda a: a.writestr(f"{run.name}/plan.json", b"{"), without="plan.json"),
        rewritten(packed(run), lambda a: a.writestr(f"{run.name}/plan.json", b"[" * 9999), without="plan.json"),
        packed(run)[:-30],
        packed(run)[:2000],
        b"no zip",
    ):
        with pytest.raises(RunError):
            import_run(put(tmp_path / "x.zip", data), outputs)
        assert [folder.name for folder in outputs.iterdir()] == [run.name]


def test_a_record_that_names_files_elsewhere_is_refused(run: RunFolder, outputs: Path, tmp_path: Path) -> None:
    database = sqlite3.connect(run.database)
    database.execute("UPDATE images SET file = '../../../secret.png' WHERE trial = 1")
    database.commit()
    database.close()
    with pytest.raises(RunError, match="no plain name"):
        import_run(put(tmp_path / "x.zip", packed(run)), outputs)


def test_an_archive_that_grows_without_end_is_stopped(run: RunFolder, outputs: Path, tmp_path: Path) -> None:
    data = rewritten(
        packed(run), lambda a: a.writestr(f"{run.name}/best.mecha", b"0" * 3_000_000, zipfile.ZIP_DEFLATED)
    )
    lying = bytearray(data)
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"best.mecha"))
    lying[at + 24 : at + 28] = (100).to_bytes(4, "little")  # what it unpacks to, as the directory says
    with pytest.raises(RunError):
        import_run(put(tmp_path / "x.zip", bytes(lying)), outputs)
    assert [folder.name for folder in outputs.iterdir()] == [run.name]


def test_a_run_gets_another_name_and_keeps_its_date(run: RunFolder, outputs: Path) -> None:
    name = rename_run(outputs, run.name, "my best / one")
    assert name == f"{run.name[:11]}my-best-one"
    assert RunFolder.open(outputs, name).read_plan() == PLAN
    assert rename_run(outputs, name, "my best / one") == name
    other = RunFolder.create(outputs, "other")
    other.write_plan(PLAN)
    with pytest.raises(RunError, match="already"):
        rename_run(outputs, other.name, "my best one")
    with pytest.raises(RunError, match="needs a name"):
        rename_run(outputs, name, " ")
    with pytest.raises(StoreError):
        rename_run(outputs, "../outputs", "x")


def test_a_run_in_the_trash_is_on_no_list_and_whole(run: RunFolder, outputs: Path) -> None:
    where = trash_run(outputs, run.name)
    assert where.parent == outputs / TRASH
    assert (where / "images" / "0000-00-p.png").exists()
    assert list_runs(outputs) == []
    with pytest.raises(StoreError):
        RunFolder.open(outputs, f"{TRASH}/{where.name}")


def test_a_run_that_goes_on_is_not_moved(run: RunFolder, outputs: Path) -> None:
    with run.locked():
        for move in (lambda: trash_run(outputs, run.name), lambda: rename_run(outputs, run.name, "x")):
            with pytest.raises(RunError, match="another process"):
                move()
    assert run.plan.exists()


def test_the_plan_of_the_test_is_one(run: RunFolder) -> None:
    assert isinstance(run.read_plan(), RunPlan)
    assert run.read_plan().payloads[0] == PLAN.payloads[0]
    assert isinstance(PLAN.payloads[0], Payload)
