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
    """46 pictures, of which 30 are rated: the same code, which must do better than chance by far and learn."""
    seen = embeddings_of(make_images(tmp_path, 46, 0))
    found = courses(seen, range(10), (15, 30), ("packaged",))
    assert median_at(found, "packaged", 30, "taste") > 0.55
    assert median_at(found, "packaged", 30, "taste") > median_at(found, "packaged", 15, "taste") - 0.05
    assert median_at(found, "packaged", 30, "covered") > 0.8
    chance = []
    for seed in range(5):
        others = np.random.default_rng(seed).permutation(seen["packaged"])
        found = courses({**seen, "packaged": others}, range(10), (30,), ("packaged",))
        chance.append(median_at(found, "packaged", 30, "taste"))
    assert abs(float(np.mean(chance))) < 0.25, "a model that sees other pictures knows nothing"
