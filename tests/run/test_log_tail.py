"""The end of a run's log."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from lib_optim.plan.errors import StoreError
from lib_optim.run.folder import RunFolder
from lib_optim.run.log_tail import log_tail


def test_what_a_run_logs_is_read_back_with_its_traces(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    log = logging.getLogger("lib_optim.test")
    with folder.logging():
        log.info("Trial %d begins", 3)
        try:
            raise ValueError("<b>no</b>")
        except ValueError:
            log.exception("It broke")
        log.warning("Two\nlines")
    first, broke, two = log_tail(folder.log)
    assert (first.level, first.source, first.text, first.more) == ("INFO", "lib_optim.test", "Trial 3 begins", "")
    assert (broke.level, broke.text) == ("ERROR", "It broke")
    assert broke.more.startswith("Traceback (most recent call last):\n")
    assert broke.more.endswith("ValueError: <b>no</b>")
    assert (two.level, two.text, two.more) == ("WARNING", "Two", "lines")
    assert len(first.time) == 19


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    lines = [f"2026-01-31 12:00:00,123 INFO lib_optim.x: line {number} of many, or more" for number in range(20_000)]
    path.write_text("\n".join(lines), encoding="utf-8")
    entries = log_tail(path, 50)
    assert [entry.text.split()[1] for entry in entries] == [str(number) for number in range(19_950, 20_000)]
    whole = log_tail(path, 100_000)
    assert 0 < len(whole) < 5_000  # the first, cut in two, is none of them
    assert all(entry.text.startswith("line ") for entry in whole)


def test_no_log_yet_and_one_that_cannot_be_read(tmp_path: Path) -> None:
    assert log_tail(tmp_path / "log.txt") == []
    (tmp_path / "log.txt").mkdir()
    with pytest.raises(StoreError, match=r"log\.txt cannot be read"):
        log_tail(tmp_path / "log.txt")
