"""How soon a taste is learned: see ``benchmarks/taste.py``; the figures are in docs/taste-benchmark.json."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.taste import COUNTS, GOAL, courses, embeddings_of, median_at, recorded, table
from benchmarks.taste_images import make_images

DOCS = Path(__file__).parent.parent / "docs"


def test_the_recorded_run_reached_the_goal_and_its_table_is_in_the_docs() -> None:
    found = recorded(DOCS / "taste-benchmark.json")
    assert len({course.rater for course in found}) == 10
    assert all(course.counts == COUNTS for course in found)
    assert median_at(found, GOAL.case, GOAL.count, "taste") >= GOAL.least == 0.7
    assert median_at(found, "same network", GOAL.count, "taste") >= GOAL.least
    assert f"\n{table(found)}\n" in (DOCS / "taste.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_small_share_of_it(tmp_path: Path) -> None:
    """60 pictures, of which 40 are rated: the same code, which must do better than chance by far and learn."""
    seen = embeddings_of(make_images(tmp_path, 60, 0))
    found = courses(seen, range(10), (20, 40), ("packaged",))
    assert median_at(found, "packaged", 40, "taste") > 0.55
    assert median_at(found, "packaged", 40, "taste") > median_at(found, "packaged", 20, "taste") - 0.05
    assert median_at(found, "packaged", 40, "covered") > 0.8
    nobody = {name: np.random.default_rng(9).permutation(values) for name, values in seen.items()}
    chance = courses({**nobody, "demo": seen["demo"]}, range(10), (40,), ("packaged",))
    assert abs(median_at(chance, "packaged", 40, "taste")) < 0.35, "a model that sees other pictures knows nothing"
