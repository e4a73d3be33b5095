"""How many images do samplers need? Regret on made-up landscapes, every sampler on the same instances and noise.

    python -m benchmarks.search run --dims 26 --samplers auto tpe5 random --out docs/search-benchmark.jsonl
    python -m benchmarks.search table --out docs/search-benchmark.jsonl
    python -m benchmarks.search summary
    python -m benchmarks.search quick

`run` appends one line of JSON per finished run (family x seed x sampler) and skips those that the file has, so that
it can be stopped at any time and goes on where it was. Every trial costs 8 images, one per payload, for every sampler:
equal trials are equal images. The recommended merge is the best observed one; `verified` is the regret when the last
`FINALISTS` trials of a budget go to making the best ones again, as the program does. `cpu` is the sampler's own time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.search_peers import ROWS, Row
from benchmarks.search_problems import FAMILIES, HELD_OUT, PAYLOADS, TUNING, Problem, make_problem
from benchmarks.search_table import Cell, summary, tables
from lib_optim.search.verification import together

__all__ = ["main", "page", "play"]

Array = NDArray[np.float64]
BUDGETS = (15, 30, 60, 120)
FINALISTS = 3  # as many as a run verifies by default
PACKAGES = ("optuna", "numpy", "scipy", "torch", "cmaes", "bayesian-optimization", "gradient-free-optimizers")


def play(row: Row, family: str, dims: int, seed: int, trials: int, sigma: float, seeds: str) -> Cell:
    """Run one sampler on one instance and return the regrets after each of `BUDGETS` that `trials` reaches."""
    problem = make_problem(family, dims, seed, sigma, seeds)
    sampler = row.build(dims, seed * 7919 + dims)
    points: list[Array] = []
    observed: list[float] = []
    regret: list[float] = []
    found: dict[int, float] = {}
    verified: dict[int, float] = {}
    cpu: list[float] = []
    for trial in range(trials):
        began = time.process_time()
        point = sampler.ask()
        cpu.append(time.process_time() - began)
        scores = problem.payload_scores(trial, point)
        sampler.tell(point, scores)
        points.append(point)
        observed.append(float(scores.mean()))
        regret.append(1 - float(problem.g(point)[0]))
        if trial + 1 in BUDGETS or trial + 1 == trials:
            found[trial + 1] = regret[int(np.argmax(observed))]
            verified[trial + 1] = regret[_winner(problem, points, observed, trial + 1 - FINALISTS)]
    return Cell(row.id, family, dims, sigma, seed, found, float(np.mean(cpu[-10:])), verified)


def _winner(problem: Problem, points: Sequence[Array], observed: Sequence[float], searched: int) -> int:
    """Return which of the first `searched` trials wins when the best are made once more with fresh noise."""
    best = sorted(range(searched), key=lambda i: -observed[i])[:FINALISTS]
    again = [float(problem.payload_scores(searched + i, points[place]).mean()) for i, place in enumerate(best)]
    return max(zip(best, again, strict=True), key=lambda pair: together(observed[pair[0]], 1, pair[1], 1))[0]


def _cells(options: argparse.Namespace) -> Iterator[tuple[Row, int, int, str]]:
    """Yield every cell, seed by seed, so that what was finished when time ran out is still paired."""
    for seed in range(options.first, options.first + options.runs):
        for row in (ROWS[name] for name in options.samplers):
            for dims in options.dims:
                for family in options.families:
                    if dims <= row.dims and (seed < row.runs or options.tuning):
                        yield row, dims, seed, family


def _run(options: argparse.Namespace) -> int:
    done = {cell.key for cell in _load(options.out)}
    seeds = TUNING if options.tuning else HELD_OUT
    deadline = time.monotonic() + 60 * options.minutes
    stamp = {**_stamp(), "command": " ".join(["python -m benchmarks.search", *sys.argv[1:]]), "seeds": seeds}
    with options.out.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"session": stamp}) + "\n")
        for row, dims, seed, family in _cells(options):
            if (row.id, family, dims, options.sigma, seed) in done:
                continue
            while options.pause_while is not None and options.pause_while.exists():
                time.sleep(2)
            if time.monotonic() > deadline:
                return 1
            cell = play(row, family, dims, seed, min(options.trials, row.trials), options.sigma, seeds)
            file.write(json.dumps(cell.to_json()) + "\n")
            file.flush()
    return 0


def page(cells: Sequence[Cell], source: Path) -> str:
    """Return the page of results."""
    return (
        f"# The search benchmark's figures\n\nFrom [{source.name}]({source.name}) by "
        "`python -m benchmarks.search table`; [How Optim searches](search.md#the-evidence-and-how-far-it-reaches) says "
        f"what they mean. n: trials of {PAYLOADS} images. **auto**: what the program does if nothing is chosen; "
        f"verified: the last {FINALISTS} of the n trials make the best ones again. Δ: mean of the paired differences ± "
        "its standard error, below 0 is better, and how often it was better; **worse**: by more than two standard "
        "errors. Samplers with fewer runs met the first instances only.\n\n" + tables(cells)
    )


def _stamp() -> dict[str, Any]:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    return {
        "commit": commit,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread used, others may have been busy",
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _load(path: Path) -> list[Cell]:
    if not path.exists():
        return []
    lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line)
    return [Cell.from_json(line) for line in lines if "session" not in line]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table", "summary", "quick"))
    parser.add_argument("--samplers", nargs="+", default=["auto", "tpe5", "random"], choices=list(ROWS))
    parser.add_argument("--dims", type=int, nargs="+", default=[26])
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=FAMILIES)
    parser.add_argument("--runs", type=int, default=20, help="instances per family")
    parser.add_argument("--first", type=int, default=0, help="number of the first instance")
    parser.add_argument("--trials", type=int, default=120)
    parser.add_argument("--sigma", type=float, default=0.08)
    parser.add_argument("--tuning", action="store_true", help="use the seeds that may be looked at while tuning")
    parser.add_argument("--minutes", type=float, default=600.0, help="start nothing after this long")
    parser.add_argument("--pause-while", type=Path, default=None, help="wait while this file exists")
    parser.add_argument("--out", type=Path, default=Path("docs/search-benchmark.jsonl"))
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, or print the tables; return 0 when nothing is left to run."""
    options = _parser().parse_args(arguments)
    if options.what == "run":
        return _run(options)
    if options.what in ("table", "summary"):
        cells = _load(options.out)
        print(page(cells, options.out) if options.what == "table" else summary(cells))
        return 0
    cells = [
        play(ROWS[name], family, 4, 0, 15, 0.08, TUNING) for name in ("auto", "tpe5", "random") for family in FAMILIES
    ]
    print(tables(cells))
    print(f"{PAYLOADS} images per trial; this is a check that everything runs, not a measurement.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
