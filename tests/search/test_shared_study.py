"""A study in a storage, seen by two workers: what one of them may do, and what the other then knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_optim.plan.errors import StoreError
from lib_optim.search.shared_study import SharedStudy


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture
def pair(url: str) -> tuple[SharedStudy, SharedStudy]:
    return SharedStudy(url, "mine"), SharedStudy(url, "mine")


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


def test_the_first_worker_says_what_the_study_is_about(pair: tuple[SharedStudy, SharedStudy], url: str) -> None:
    one, two = pair
    assert one.agree({"models": ["x", "y"], "seed": 1}) == []
    assert two.agree({"seed": 1, "models": ["x", "y"]}) == []
    assert two.agree({"models": ["x", "z"], "seed": 1}) == ["models"]
    assert SharedStudy(url, "other").agree({"models": []}) == []


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
