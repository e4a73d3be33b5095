"""The benchmark of the ways to judge: its made-up rater is as stated, its sittings repeat, and comparing works."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.judging import RATERS, Merges, Rater, Sitting, main, play, table
from benchmarks.search_problems import make_problem


def merges(rater: Rater, images: int = 1) -> Merges:
    made = Merges(make_problem("bowl", 4, 0, 0.08), rater, images, 1)
    made.make(np.full(4, 0.5))
    return made


def test_the_rater_is_noisy_as_stated() -> None:
    steady, usual = merges(RATERS["steady"]), merges(RATERS["usual"])
    assert np.std([steady.look(0, 0) for _ in range(4000)]) == pytest.approx(0.1, rel=0.05)
    numbers = [usual.rate(0, 0) for _ in range(2000)]
    assert set(numbers) <= set(range(11))
    assert np.std(numbers) == pytest.approx(5 * np.hypot(0.1, 0.2), rel=0.15)
    assert steady.tie(1.0, 1.02)
    assert not steady.tie(1.0, 1.04)


def test_clicks_and_merges_are_counted_and_a_sitting_repeats() -> None:
    sittings = {way: Sitting(way, "steady", 1, "bowl", 0, 4, sampler="random") for way in ("rate", "pairs 2", "grid 4")}
    found = {way: play(sitting, (6, 12)) for way, sitting in sittings.items()}
    # The first merge has nothing to be compared with, the second one other only; a grid of more costs two clicks.
    assert {way: [merges for _, merges in rows.values()] for way, rows in found.items()} == {
        "rate": [6, 12], "pairs 2": [5, 8], "grid 4": [5, 8],
    }  # fmt: skip
    assert play(sittings["pairs 2"], (6, 12)) == found["pairs 2"]
    four = Sitting("rate", "steady", 4, "bowl", 0, 4, sampler="random")
    assert play(four, (12,))[12][1] == 3


def test_comparing_finds_a_merge_far_better_than_a_random_one() -> None:
    regrets = [play(Sitting("pairs 2", "steady", 1, "bowl", seed, 4), (30,))[30][0] for seed in range(3)]
    assert np.mean(regrets) < 0.35, "a median random merge has 1"


def test_the_table_pairs_the_instances() -> None:
    cells = [
        {"way": way, "rater": "usual", "images": 1, "family": "bowl", "seed": seed, "found": {"10": [regret, 10]}}
        for way, regrets in (("rate", (0.5, 0.3)), ("grid 4", (0.4, 0.1)))
        for seed, regret in enumerate(regrets)
    ]
    text = table(cells)
    assert "**usual** rater, 1 image per merge" in text
    assert "| rate | 0.400 (10 merges) |" in text
    assert "| grid 4 | 0.250 (10 merges), Δ -0.150 ± 0.050 |" in text


def test_the_figures_in_the_docs_are_those_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    docs = Path(__file__).resolve().parents[1] / "docs"
    file = docs / "judging-benchmark.json"
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert all(session["commit"] and session["machine"] for session in kept["sessions"])
    assert main(["table", "--out", str(file)]) == 0
    written = (docs / "rating.md").read_text(encoding="utf-8")
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert lines
    assert [line for line in lines if line not in written] == []
