"""The search benchmark measures what it says: its problems have the stated shape, runs resume, tables add up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.search import _load, _winner, main, page, play
from benchmarks.search_peers import ROWS, _Ours
from benchmarks.search_problems import FAMILIES, HELD_OUT, PAYLOADS, TUNING, make_problem
from benchmarks.search_table import Cell, auto_is, summary, tables

# SD of g over random points, its 5 % quantile, best of 120 random points: D = 26, means over five instances drawn once.
STATED = {
    "bowl": (0.56, -1.11, 0.82),
    "interact": (0.41, -0.80, 0.77),
    "plateau": (0.19, -0.07, 0.86),
    "multimodal": (0.19, -0.29, 0.52),
    "cliff": (0.45, -0.85, 0.83),
    "dense": (0.25, -0.44, 0.51),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_landscapes_have_the_stated_shape(family: str) -> None:
    found = []
    for seed in range(6):
        problem = make_problem(family, 26, seed)
        rng = np.random.default_rng(seed)
        g = problem.g(rng.uniform(size=(3000, 26)))
        best = np.mean([g[i : i + 120].max() for i in range(0, 2400, 120)])
        found.append((g.std(), np.quantile(g, 0.05), best))
        assert np.median(g) == pytest.approx(0, abs=0.06)
        assert problem.g(problem.optimum)[0] == pytest.approx(1, abs=1e-9)
        assert g.max() <= 1
    for mean, stated, spread in zip(np.mean(found, axis=0), STATED[family], (0.12, 0.3, 0.12), strict=True):
        assert mean == pytest.approx(stated, abs=spread)


@pytest.mark.parametrize("sigma", [0.08, 0.25])
def test_the_mean_over_payloads_is_g_with_noise_of_sigma(sigma: float) -> None:
    problem = make_problem("bowl", 12, 1, sigma)
    points = np.random.default_rng(0).uniform(size=(400, 12))
    scores = np.array([problem.payload_scores(trial, point) for trial, point in enumerate(points)])
    assert scores.shape == (400, PAYLOADS)
    rest = scores.mean(axis=1) - problem.g(points)
    assert rest.std() == pytest.approx(sigma, rel=0.12)
    # What payloads like of their own cancels over all of them, and is there for each.
    assert problem._taste.mean(axis=0) == pytest.approx(0, abs=1e-12)
    assert np.sqrt((problem._taste**2).sum(axis=1).mean() / 12) == pytest.approx(0.15)


def test_every_sampler_meets_the_same_noise_and_the_seeds_are_kept_apart() -> None:
    problem, again = make_problem("cliff", 4, 3), make_problem("cliff", 4, 3)
    point, other = np.full(4, 0.3), np.full(4, 0.7)
    assert (problem.payload_scores(7, point) == again.payload_scores(7, point)).all()
    first = problem.payload_scores(7, point) - problem._gain * problem.g(point) - problem._taste @ (point - 0.5)
    second = problem.payload_scores(7, other) - problem._gain * problem.g(other) - problem._taste @ (other - 0.5)
    assert first == pytest.approx(second)
    assert HELD_OUT != TUNING
    assert (make_problem("cliff", 4, 3, seeds=HELD_OUT).optimum != problem.optimum).all()


@pytest.mark.parametrize(
    "sampler", ["auto", "optim", "tpe5", "tpe-uni", "tpe-sdoptim", "cma", "cma-sep", "random", "gp"]
)
def test_a_short_run_of_each_sampler(sampler: str) -> None:
    cell = play(ROWS[sampler], "bowl", 4, 0, 12, 0.08, TUNING)
    assert cell.found.keys() == {12}
    assert 0 <= cell.found[12] < 1.5
    assert cell.cpu > 0
    assert Cell.from_json(json.loads(json.dumps(cell.to_json()))).key == cell.key


@pytest.mark.parametrize(
    ("sampler", "package"), [("bayes_opt", "bayes_opt"), ("gfo-bayes", "gradient_free_optimizers")]
)
def test_a_short_run_of_each_sampler_of_a_package(sampler: str, package: str) -> None:
    pytest.importorskip(package, reason=f"the package {package} is not installed; the benchmark's own peers need it")
    cell = play(ROWS[sampler], "bowl", 2, 0, 12, 0.08, TUNING)
    assert 0 <= cell.found[12] < 1.5


def test_what_the_table_calls_auto_is_what_the_program_does() -> None:
    assert {dims: auto_is(dims) for dims in (4, 8, 9, 60)} == {
        dims: _Ours(dims, 0, "auto")._search.sampler for dims in (4, 8, 9, 60)
    }
    auto, optim = (play(ROWS[name], "bowl", 12, 0, 12, 0.08, TUNING) for name in ("auto", "optim"))
    assert auto.found == optim.found


def test_verification_corrects_a_lucky_winner() -> None:
    problem = make_problem("bowl", 4, 0)
    middling = 0.5 * problem.optimum + 0.5 * np.round(1 - problem.optimum)
    points = [problem.optimum, middling]
    honest = float(problem.payload_scores(50, problem.optimum).mean())
    assert problem.g(middling)[0] < 0.5
    assert _winner(problem, points, [honest, honest + 0.05], 2) == 0
    assert _winner(problem, points, [honest, honest + 5.0], 2) == 1


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    out = tmp_path / "figures.jsonl"
    command = ["run", "--tuning", "--samplers", "random", "--dims", "4", "--trials", "15", "--out", str(out)]
    assert main([*command, "--runs", "1", "--families", "bowl"]) == 0
    kept = out.read_text().splitlines()
    assert main([*command, "--runs", "2", "--families", "bowl", "cliff"]) == 0
    lines = out.read_text().splitlines()
    assert lines[: len(kept)] == kept
    cells = [Cell.from_json(row) for row in map(json.loads, lines) if "session" not in row]
    assert {(cell.family, cell.seed) for cell in cells} == {(f, s) for f in ("bowl", "cliff") for s in (0, 1)}
    assert len(cells) == 4
    session = json.loads(lines[0])["session"]
    assert session["seeds"] == TUNING
    assert len(session["commit"]) == 40
    assert main([*command, "--runs", "3", "--families", "bowl", "--minutes", "0"]) == 1


def test_the_table_pairs_equal_instances() -> None:
    def cell(sampler: str, seed: int, regret: float) -> Cell:
        return Cell(sampler, "bowl", 26, 0.08, seed, {60: regret}, 0.01)

    cells = [cell("ours", 0, 0.1), cell("ours", 1, 0.2), cell("ours", 2, 0.9)]
    cells += [cell("tpe5", 0, 0.3), cell("tpe5", 1, 0.3)]
    text = tables(cells)
    # Seed 2 has no partner: (-.2 - .1) / 2 = -.15 with a standard error of .05.
    assert "-0.150 ±0.050 (2/2)" in text
    assert "| ours | 3 | 0.400, 0.200 [0.15–0.55] |" in text
    assert "10.0 |" in text


def test_auto_is_compared_with_each_other_sampler_on_what_both_ran() -> None:
    def cell(sampler: str, seed: int, regret: float, verified: float) -> Cell:
        return Cell(sampler, "bowl", 26, 0.08, seed, {60: regret}, 0.01, {60: verified})

    cells = [cell("optim", 0, 0.1, 0.2), cell("optim", 1, 0.2, 0.2), cell("optim", 2, 0.9, 0.9)]
    cells += [cell("cma", 0, 0.4, 0.4), cell("cma", 1, 0.2, 0.2), cell("tpe5", 2, 0.1, 0.1)]
    text = tables(cells)
    assert "| cma | 2 | 0.300, 0.300 | 0.150, 0.150 | 0.50, 0.50 | -0.150 ±0.150 (1/2) | 0.200, 0.200 |" in text
    assert "| **auto** (optim), verified | 3 | 0.433" in text
    far = [cell("cma", seed, regret, 0.5) for seed, regret in enumerate((0.3, 0.31))]
    near = [cell("tpe5", seed, regret, 0.1) for seed, regret in enumerate((0.1, 0.12))]
    assert "+0.195 ±0.005 (0/2) **worse**" in tables(far + near)


def test_the_page_of_results_is_that_of_the_recorded_runs() -> None:
    docs = Path(__file__).parent.parent / "docs"
    cells = _load(docs / "search-benchmark.jsonl")
    assert len({cell.key for cell in cells}) == len(cells)
    written = (docs / "search-benchmark.md").read_text(encoding="utf-8")
    assert written == page(cells, docs / "search-benchmark.jsonl") + "\n"
    assert f"\n{summary(cells)}\n" in (docs / "search.md").read_text(encoding="utf-8")
    sessions = [json.loads(line) for line in (docs / "search-benchmark.jsonl").read_text().splitlines()]
    assert {row["session"]["seeds"] for row in sessions if "session" in row} == {HELD_OUT}
