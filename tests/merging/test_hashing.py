"""SHA-256 once per file, again when it changed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from lib_optim.merging import hashing
from lib_optim.merging.hashing import legacy_hash, sha256_of
from lib_optim.plan.errors import CheckpointError


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_known", {})


def test_it_is_the_sha256_of_the_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "big"
    content = os.urandom(3 << 20) * 3
    file.write_bytes(content)
    assert sha256_of(file) == hashlib.sha256(content).hexdigest()
    assert legacy_hash(file) == hashlib.sha256(content[0x100000:0x110000]).hexdigest()[:8]


def test_the_cache_saves_reading_until_size_or_time_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, cache = tmp_path / "model", tmp_path / "data" / "hashes.json"
    file.write_bytes(b"one")
    first = sha256_of(file, cache)
    assert first in cache.read_text()
    read = []
    monkeypatch.setattr(hashing, "_hash", lambda path: read.append(path) or "new")
    monkeypatch.setattr(hashing, "_known", {})  # another process
    assert sha256_of(file, cache) == first
    assert not read
    file.write_bytes(b"two")
    os.utime(file, ns=(5, 5))
    assert sha256_of(file, cache) == "new"
    assert len(read) == 1
    assert len(json.loads(cache.read_text())) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', '{"a": [1, 2]}', "null"])
def test_a_broken_cache_is_replaced(content: str, tmp_path: Path) -> None:
    file, cache = tmp_path / "model", tmp_path / "hashes.json"
    file.write_bytes(b"one")
    cache.write_text(content)
    assert sha256_of(file, cache) == hashlib.sha256(b"one").hexdigest()
    assert list(json.loads(cache.read_text())) == [str(file.resolve())]


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_bytes(b"one")
    (tmp_path / "occupied").write_text("a file where a folder should be")
    assert sha256_of(file, tmp_path / "occupied" / "hashes.json") == hashlib.sha256(b"one").hexdigest()


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^gone cannot be read: No such file or directory\.$"):
        sha256_of(tmp_path / "gone")


def test_what_a_killed_program_left_beside_the_cache_goes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    old, young = tmp_path / "hashes.json.17.part", tmp_path / "hashes.json.18.part"
    old.write_text("{")
    young.write_text("{")
    os.utime(old, (1, 1))
    sha256_of(tmp_path / "a", tmp_path / "hashes.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "hashes.json", "hashes.json.18.part"]
