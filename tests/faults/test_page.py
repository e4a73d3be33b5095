"""docs/reliability.md says what docs/reliability.json says, and the rows that the tests run."""

from __future__ import annotations

import json

from tests.faults.long_run import BOUNDS
from tests.faults.rows import ROWS
from tools.reliability_page import FIGURES, PAGE, page


def test_the_page_is_made_of_the_figures() -> None:
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    assert PAGE.read_text(encoding="utf-8") == page(figures), "write it anew: python -m tools.reliability_page"
    for part in figures.values():
        assert {"command", "seed", "commit", "date", "machine", "seconds"} <= part.keys()


def test_what_was_measured_holds() -> None:
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    if kills := figures.get("kills"):
        assert kills["kills"] == kills["by_the_clock"] + sum(kills["places"].values())
    if faults := figures.get("faults"):
        assert (faults["rows"], faults["failed"]) == (len(ROWS), 0)
    if long := figures.get("long"):
        assert {name for name, (bound, _) in BOUNDS.items() if long["growth"][name] > bound} == set()
        assert long["threads_left"] == long["handles_left"] == long["files_left"] == []
