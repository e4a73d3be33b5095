"""The database of a run: nothing twice, nothing lost, nothing half."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from lib_optim.plan.errors import StoreError
from lib_optim.plan.records import ImageRecord, Score, Trial
from lib_optim.run.store import Store

TRIAL = Trial(0, "running", {"IN00_alpha": 0.25, "flag": True, "word": "hi"}, "preset: half", "abc", started=5.0)
IMAGE = ImageRecord(0, 1, "cat", 42, "images/x.png", "a cat\nSteps: 4", "ff00", 1.5)


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "run.db")
    opened.add_pass("{}")
    yield opened
    opened.close()


def test_records_come_back_as_they_were(store: Store) -> None:
    store.put_trial(TRIAL)
    store.put_image(IMAGE)
    store.add_score(Score(0, 1, "technical", 0.75, created=9.0))
    assert store.trials() == [TRIAL]
    assert store.images(0) == [IMAGE]
    assert store.scores(0) == [Score(0, 1, "technical", 0.75, created=9.0)]


def test_a_trial_is_updated_in_place(store: Store) -> None:
    store.put_trial(TRIAL)
    store.put_image(IMAGE)
    done = Trial(0, "complete", TRIAL.values, TRIAL.origin, "abc", value=0.5, started=5.0, finished=6.0)
    store.put_trial(done)
    assert store.trials() == [done]
    assert store.images() == [IMAGE]


def test_a_request_counts_once(store: Store) -> None:
    assert store.add_score(Score(0, 1, "manual", 7, request="r1"))
    assert not store.add_score(Score(0, 1, "manual", 3, request="r1"))
    assert [s.raw for s in store.scores()] == [7]


def test_a_new_score_removes_the_old_one_and_deletes_nothing(store: Store) -> None:
    store.add_score(Score(0, 1, "manual", 7, request="r1"))
    store.add_score(Score(0, 1, "manual", 3, request="r2"))
    store.remove_score(Score(0, 1, "manual", 0, request="r3"))
    assert store.scores() == []
    assert [(s.raw, s.removed) for s in store.scores(removed=True)] == [(7, True), (3, True), (0, True)]
    assert not store.remove_score(Score(0, 1, "manual", 0, request="r3"))


def test_many_threads_lose_nothing(store: Store) -> None:
    def add(worker: int) -> None:
        for i in range(25):
            store.add_score(Score(worker, i, "manual", i / 10, request=f"{worker}-{i}"))

    threads = [threading.Thread(target=add, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.scores()) == 200


def test_what_was_written_survives_a_kill(tmp_path: Path) -> None:
    code = f"""
        import os, signal
        from pathlib import Path
        from lib_optim.plan.records import Trial
        from lib_optim.run.store import Store
        store = Store(Path({str(tmp_path / "run.db")!r}))
        store.add_pass("{{}}")
        for n in range(7):
            store.put_trial(Trial(n, "complete", {{"x": n}}, "sampler: tpe", value=float(n)))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False, timeout=60)
    store = Store(tmp_path / "run.db")
    assert [trial.value for trial in store.trials()] == [0, 1, 2, 3, 4, 5, 6]
    assert store.last_pass() == 1
    store.close()


def test_a_strange_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path / "run.db")


def test_somebody_elses_database_is_refused(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "run.db")
    db.execute("CREATE TABLE songs (title TEXT)")
    db.commit()
    db.close()
    with pytest.raises(StoreError, match="not a database of Optim"):
        Store(tmp_path / "run.db")


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "run.db")
    store.close()
    db = sqlite3.connect(tmp_path / "run.db")
    db.execute("UPDATE meta SET value='99'")
    db.commit()
    db.close()
    with pytest.raises(StoreError, match="another version"):
        Store(tmp_path / "run.db")


def test_a_full_disk_is_one_sentence_and_keeps_what_was_there(tmp_path: Path) -> None:
    store = Store(tmp_path / "run.db")
    store.add_pass("{}")
    store.put_trial(TRIAL)
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count={pages + 1}")

    def fill() -> None:
        for n in range(1, 200):
            store.put_trial(Trial(n, "complete", {"x": 1.0}, "o", reason="r" * 4000))

    with pytest.raises(StoreError, match="disk full"):
        fill()
    assert store.trials()[0] == TRIAL
    store.close()


def test_a_lock_of_another_program_is_one_sentence_and_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib_optim.run.store.PATIENCE", 0.1)
    with contextlib.closing(Store(tmp_path / "run.db")) as store:
        store.add_pass("{}")
        store.put_trial(TRIAL)
        with contextlib.closing(sqlite3.connect(tmp_path / "run.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="database is locked; another program holds it; close that"):
                store.put_trial(dataclasses.replace(TRIAL, number=1))
            assert store.trials() == [TRIAL]
        store.put_trial(dataclasses.replace(TRIAL, number=1))
        assert len(store.trials()) == 2
