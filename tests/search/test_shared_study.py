"""A study in a storage, seen by two workers: what one of them may do, and what the other then knows."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from lib_optim.plan.errors import StoreError
from lib_optim.search.shared_storage import Address, _with_driver
from lib_optim.search.shared_study import SharedStudy
from tests.storages import DATABASES, SECRET, Server


@pytest.fixture
def pair(place: tuple[str, str]) -> Iterator[tuple[SharedStudy, SharedStudy]]:
    with closing(SharedStudy(*place)) as one, closing(SharedStudy(*place)) as two:
        yield one, two


def test_what_one_says_the_other_reads(pair: tuple[SharedStudy, SharedStudy]) -> None:
    one, two = pair
    first, second = one.begin(), two.begin()
    assert (first.number, second.number) == (0, 1)
    assert one.describe(first.id, {"values": {"a": 0.1, "b": True, "c": "word"}})
    assert one.beat(first.id, 3)
    assert one.end(first.id, {"scores": [[0, "technical", 0.5]]}, 0.25)
    done, open_ = two.trials()
    assert (done.state, done.value, done.beat) == ("complete", 0.25, 3)
    assert done.content == {"values": {"a": 0.1, "b": True, "c": "word"}}
    assert done.result == {"scores": [[0, "technical", 0.5]]}
    assert (open_.state, open_.content, open_.value) == ("running", {}, None)


def test_the_first_end_counts(pair: tuple[SharedStudy, SharedStudy]) -> None:
    one, two = pair
    trial = one.begin()
    assert two.end(trial.id, {"reason": "vanished"}, None)
    assert not one.beat(trial.id, 1)
    assert not one.describe(trial.id, {"values": {}})
    assert not one.end(trial.id, {"scores": []}, 1.0)
    (seen,) = one.trials()
    assert (seen.state, seen.value, seen.result) == ("failed", None, {"reason": "vanished"})


def test_one_worker_takes_a_waiting_trial(pair: tuple[SharedStudy, SharedStudy]) -> None:
    one, two = pair
    assert one.queue({"values": {"a": 0.5}}) == 0
    (waiting,) = two.trials()
    assert (waiting.state, waiting.content) == ("waiting", {"values": {"a": 0.5}})
    assert [two.take(waiting), one.take(waiting)] == [True, False]
    assert one.trials()[0].state == "running"


def test_the_first_worker_says_what_the_study_is_about(
    pair: tuple[SharedStudy, SharedStudy], place: tuple[str, str]
) -> None:
    one, two = pair
    assert one.agree({"models": ["x", "y"], "seed": 1}) == []
    assert two.agree({"seed": 1, "models": ["x", "y"]}) == []
    assert two.agree({"models": ["x", "z"], "seed": 1}) == ["models"]
    with closing(SharedStudy(place[0], f"another of {place[1]}")) as another:
        assert another.agree({"models": []}) == []


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("sqlite:////nowhere/at/all/study.db", "unable to open database file"),
        ("postgresql+psycopg2://optim:secret@127.0.0.1:1/x", "psycopg2"),
        ("grpc://127.0.0.1:1", "grpc"),
        ("sqlite+none:///x", "none"),
    ],
)
def test_a_storage_that_cannot_be_used_is_one_sentence_without_its_password(url: str, sentence: str) -> None:
    with pytest.raises(StoreError, match=sentence) as caught:
        SharedStudy(url, "mine")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_password_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIM_TEST_FILE", str(tmp_path / "study.db"))
    SharedStudy("sqlite:///$OPTIM_TEST_FILE", "mine").begin()
    assert (tmp_path / "study.db").is_file()


def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    file.write_bytes(b"nothing of ours" * 1000)
    with pytest.raises(StoreError, match="file is not a database"):
        SharedStudy(f"sqlite:///{file}", "mine")


def test_a_study_of_others_is_left_alone(pair: tuple[SharedStudy, SharedStudy], place: tuple[str, str]) -> None:
    one, two = pair
    one.begin()  # as Optuna's own users do
    for study in (one, two):
        with pytest.raises(StoreError, match="was not made by Optim; choose another name"):
            study.agree({"seed": 1})


@pytest.mark.parametrize("left", ['{"models": [], "seed": 1}', '{"format": 3, "digests": {}}'])
def test_a_study_of_another_version_is_one_sentence(pair: tuple[SharedStudy, SharedStudy], left: str) -> None:
    one, two = pair
    one._storage.set_study_user_attr(one._id, "optim:plan", left)
    with pytest.raises(StoreError, match="was begun by another version of Optim; use that version"):
        two.agree({"models": [], "seed": 1})


def test_who_made_the_study_says_what_it_is_about(pair: tuple[SharedStudy, SharedStudy]) -> None:
    """Who comes second waits for it: both might find nothing there, and both write."""
    one, two = pair
    with ThreadPoolExecutor() as pool:
        second = pool.submit(two.agree, {"seed": 2})
        time.sleep(0.3)
        assert not second.done()
        assert one.agree({"seed": 1}) == []
        assert second.result(20) == ["seed"]


def test_what_mysql_has_no_room_for_arrives_whole(pair: tuple[SharedStudy, SharedStudy]) -> None:
    one, two = pair
    values = {f'unet key "{n}" ü': n / 7 for n in range(4000)}
    assert one.agree({"guide": values}) == two.agree({"guide": values}) == []
    trial = one.begin()
    assert one.describe(trial.id, {"values": values})
    assert one.end(trial.id, {"reason": "w" * 200_000}, 0.5)
    number = one.queue({"values": values})
    done, waiting = two.trials()
    assert done.content == waiting.content == {"values": values}
    assert (done.result["reason"], waiting.number) == ("w" * 200_000, number)


def test_a_worker_that_lives_after_all_keeps_its_result(pair: tuple[SharedStudy, SharedStudy]) -> None:
    one, two = pair
    trial = one.begin()
    two._write(trial.id, "optim:lost", {"state": "failed", "reason": "vanished"})  # and now one is faster
    assert one.end(trial.id, {"scores": [[0, "technical", 0.5]]}, 0.25)
    assert not two.bury(trial.id, "vanished")
    (seen,) = two.trials()
    assert (seen.state, seen.value, seen.result) == ("complete", 0.25, {"scores": [[0, "technical", 0.5]]})


def test_an_end_whose_answer_was_lost_is_the_same_end(pair: tuple[SharedStudy, SharedStudy]) -> None:
    one, two = pair
    trial = one.begin()
    assert one.end(trial.id, {"scores": [[0, "technical", 0.5]]}, 0.25)
    assert one.end(trial.id, {"scores": [[0, "technical", 0.5]]}, 0.25)
    assert not two.end(trial.id, {"scores": []}, 0.25)
    assert not two.end(trial.id, {"scores": [[0, "technical", 0.5]]}, None)


@pytest.mark.parametrize("kind", ["sqlite", *DATABASES])
def test_workers_may_find_an_empty_database_together(
    kind: str, server: Callable[[str], Server], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}" if kind == "sqlite" else _emptied(server(kind).url)
    ready = threading.Barrier(4)

    def work() -> int:
        ready.wait()
        with closing(SharedStudy(url, "mine")) as study:
            return study.begin().number

    with ThreadPoolExecutor(4) as pool:
        numbers = [pool.submit(work) for _ in range(4)]
        assert sorted(number.result(60) for number in numbers) == [0, 1, 2, 3]


def _emptied(url: str) -> str:
    """Take all tables out of the database at `url`, which is the tests' own."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(_with_driver(Address(url)))
    tables = sqlalchemy.MetaData()
    tables.reflect(engine)
    tables.drop_all(engine)
    with engine.begin() as connection:
        for name in ("studydirection", "trialstate", "trialvaluetype", "trialintermediatevaluetype"):
            if engine.name == "postgresql":
                connection.execute(sqlalchemy.text(f"DROP TYPE IF EXISTS {name}"))
    engine.dispose()
    return url


@pytest.mark.parametrize("kind", DATABASES)
def test_a_wrong_password_is_in_no_sentence(
    kind: str, server: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server(kind).url
    monkeypatch.setenv("OPTIM_WRONG", "gu3ss:@/%41#")
    with pytest.raises(StoreError, match=r"cannot be used: .*(authentication failed|Access denied)") as caught:
        SharedStudy(url.replace(SECRET, "OPTIM_WRONG"), "mine")
    assert "gu3ss" not in "".join(traceback.format_exception(caught.value))


def test_a_password_that_breaks_the_url_is_in_no_sentence() -> None:
    for password in ("gu3ss@rest", "gu3ss/rest", "gu3ss$UNSET_rest"):
        with pytest.raises(StoreError) as caught:
            SharedStudy(f"postgresql://optim:{password}@127.0.0.1:1/x", "mine")
        assert "gu3ss" not in str(caught.value)
        assert "at postgresql://…@127.0.0.1:1/x" in str(caught.value)


def test_tables_of_another_optuna_are_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    SharedStudy(f"sqlite:///{file}", "mine").close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v9.9.9'")
        connection.execute("UPDATE version_info SET library_version = '9.9.9'")
        connection.commit()
    with pytest.raises(StoreError, match=r"no longer compatible with the table schema \(set up by optuna 9\.9\.9\)"):
        SharedStudy(f"sqlite:///{file}", "mine")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://optim@127.0.0.1/x", "psycopg2-binary"),
        ("postgresql+psycopg2://optim@127.0.0.1/x", "psycopg2-binary"),
        ("mysql://optim@127.0.0.1/x", "pymysql"),
        ("grpc://127.0.0.1:1", "grpcio and protobuf, 5.28.1 or later"),
    ],
)
def test_a_missing_package_is_named(url: str, words: str) -> None:
    """In a process of its own, where none of them can be imported."""
    code = (
        "import sys\n"
        "for name in ('psycopg', 'psycopg2', 'pymysql', 'MySQLdb', 'grpc'): sys.modules[name] = None\n"
        "from lib_optim.plan.errors import StoreError\n"
        "from lib_optim.search.shared_study import SharedStudy\n"
        f"try: SharedStudy({url!r}, 'mine')\n"
        "except StoreError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert "needs a package that is not installed" in done.stdout, done.stderr
    assert f"install {words}." in done.stdout


def test_a_lock_of_another_program_is_one_sentence_and_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib_optim.search.shared_storage._SQLITE_PATIENCE", 0.1)
    file = tmp_path / "study.db"
    asked: list[str] = []

    def away(why: str, seconds: float) -> bool:
        asked.append(why)
        return len(asked) < 2

    with closing(SharedStudy(f"sqlite:///{file}", "mine", away)) as study:
        trial = study.begin()
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StoreError, match="cannot be used: database is locked"):
                study.beat(trial.id, 1)
        assert len(asked) == 2  # it was tried again as long as the worker wanted
        assert study.end(trial.id, {}, 1.0)
