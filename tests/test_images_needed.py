"""How many images a search needs: see ``benchmarks/images_needed.py``; the figures are in docs/images-needed.json."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.images_needed import Course, images_to, recorded, search, table

RANDOM = Course("groups", 0, "random", "random", 4, 3, (0.5, 0.4, 0.4), 0.45, 0.41, 0.46, 1.0)


def test_images_are_counted_up_to_the_first_trial_that_is_near_enough() -> None:
    assert images_to(RANDOM, 0.5) == 3
    assert images_to(RANDOM, 0.4) == 6
    assert images_to(RANDOM, 0.39) is None


def test_the_table_measures_each_sampler_by_where_random_ended() -> None:
    auto = replace(RANDOM, sampler="auto", used="gp", distances=(0.4, 0.2, 0.1), fresh=0.12)
    tpe = replace(RANDOM, sampler="tpe", used="tpe", distances=(0.5, 0.5, 0.41), fresh=0.42)
    elsewhere = replace(auto, seed=1)
    text = table([RANDOM, tpe, auto, elsewhere])
    assert "| groups (4), 0 | 0.450 | random | 0.400 | 6 | 0.410 |" in text
    assert "| groups (4), 0 | 0.450 | tpe | 0.410 | not in 9 | 0.420 |" in text
    assert "| groups (4), 0 | 0.450 | auto (gp) | 0.100 | 3 | 0.120 |" in text
    assert "groups (4), 1" not in text


def test_the_table_in_the_guide_is_that_of_the_recorded_runs() -> None:
    docs = Path(__file__).parent.parent / "docs"
    runs = recorded(docs / "images-needed.json")
    assert f"\n{table(runs)}\n" in (docs / "search.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_distance_of_a_real_run_is_that_of_its_best_trial_so_far(tmp_path: Path) -> None:
    course = search(tmp_path, "groups", 0, "random", 9)
    assert (course.used, course.parameters, len(course.distances)) == ("random", 4, 9)
    assert 0 < course.best_preset <= min(course.distances[:7])
    assert list(course.scores) == sorted(course.scores)
    assert 0 < course.distances[-1] < 1
