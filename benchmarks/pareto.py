"""Which search finds the better front of two objectives? Hypervolume on two-axis versions of the made-up landscapes.

    python -m benchmarks.pareto run --dims 6 26 --out docs/pareto-benchmark.json
    python -m benchmarks.pareto table --out docs/pareto-benchmark.json

Axis one is an instance of `search_problems`; axis two is another instance of the same family (``other``: often both
can be had) or the same one with every coordinate mirrored (``mirror``: the same blocks matter, and the optima oppose
each other). Every trial costs the same images, and the noise of an axis is that of the mean over the payloads. What
counts is the noiseless area that the trials on the *observed* front dominate above the median random merge: 1 is all.

`run` writes the whole file after every cell and skips the cells that it holds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.search import _stamp
from benchmarks.search_problems import FAMILIES, TUNING, make_problem
from lib_optim.plan.blocks import block_map
from lib_optim.plan.bounds import Bound
from lib_optim.plan.dimensions import Parameter, Space
from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import SamplerSpec
from lib_optim.search.pareto import front
from lib_optim.search.study import Search

__all__ = ["area", "main", "play"]

Array = NDArray[np.float64]
KINDS = ("other", "mirror")
SAMPLERS = {
    "optim": SamplerSpec("optim", presets=()),
    "gp": SamplerSpec("gp", {"deterministic_objective": False}, presets=()),
    "gp-exact": SamplerSpec("gp", presets=()),
    "tpe": SamplerSpec("tpe", presets=()),
    "tpe-joint": SamplerSpec("tpe", {"multivariate": True}, presets=()),
    "nsgaii": SamplerSpec("nsgaii", presets=()),
    "random": SamplerSpec("random", presets=()),
}
BUDGETS = (15, 30, 60)
_APART = 500  # instances further on: the second axis of ``other``
_NOISE = 10_000  # trials further on: the second axis has noise of its own


def play(sampler: SamplerSpec, kind: str, family: str, dims: int, seed: int, sigma: float) -> tuple[list[float], float]:
    """Return the areas after each of `BUDGETS`, and the mean CPU seconds of the last ten suggestions."""
    one = make_problem(family, dims, seed, sigma, TUNING)
    two = make_problem(family, dims, seed + _APART, sigma, TUNING) if kind == "other" else one
    turned: Callable[[Array], Array] = (lambda x: x) if kind == "other" else (lambda x: 1 - x)
    names = [f"x{i:02d}" for i in range(dims)]
    bound = Bound("float", 0.0, 1.0)
    space = Space(tuple(Parameter(name, bound, "alpha", (name,)) for name in names), (), tuple(names))
    search = Search(space, block_map("sd1"), sampler, seed * 7919 + dims, ("one", "two"))
    seen: dict[int, tuple[float, float]] = {}
    true: dict[int, tuple[float, float]] = {}
    areas: list[float] = []
    cpu: list[float] = []
    for trial in range(BUDGETS[-1]):
        began = time.process_time()
        values = search.suggest(trial).values
        cpu.append(time.process_time() - began)
        point = np.array([float(values[name]) for name in names])
        seen[trial] = (
            float(one.payload_scores(trial, point).mean()),
            float(two.payload_scores(trial + _NOISE, turned(point)).mean()),
        )
        true[trial] = float(one.g(point)[0]), float(two.g(turned(point))[0])
        axes = dict(zip(("one", "two"), seen[trial], strict=True))
        search.add(Trial(trial, "complete", values, f"sampler: {search.sampler}", value=sum(seen[trial]), axes=axes))
        if trial + 1 in BUDGETS:
            areas.append(area([true[number] for number in front(seen)]))
    return areas, float(np.mean(cpu[-10:]))


def area(points: Sequence[tuple[float, float]]) -> float:
    """Return the area above (0, 0) that `points` dominate."""
    found, height = 0.0, 0.0
    for x, y in sorted(points, reverse=True):
        if x > 0 and y > height:
            found += x * (y - height)
            height = y
    return found


def _run(options: argparse.Namespace) -> int:
    held: dict[str, Any] = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {"cells": []}
    done = {tuple(cell[:5]) for cell in held["cells"]}
    held["session"] = {**_stamp(), "command": "python -m benchmarks.pareto run", "sigma": options.sigma}
    held["columns"] = ["sampler", "kind", "family", "dims", "seed", *(f"area after {n}" for n in BUDGETS), "cpu"]
    deadline = time.monotonic() + 60 * options.minutes
    for seed in range(options.runs):
        for dims in options.dims:
            for name in options.samplers:
                for kind in KINDS:
                    for family in FAMILIES:
                        if (name, kind, family, dims, seed) in done:
                            continue
                        while options.pause_while is not None and options.pause_while.exists():
                            time.sleep(2)
                        if time.monotonic() > deadline:
                            return 1
                        areas, cpu = play(SAMPLERS[name], kind, family, dims, seed, options.sigma)
                        numbers = [round(number, 4) for number in (*areas, cpu)]
                        held["cells"].append([name, kind, family, dims, seed, *numbers])
                        lines = ",\n".join(map(json.dumps, held["cells"]))
                        head = json.dumps({key: value for key, value in held.items() if key != "cells"})[:-1]
                        options.out.write_text(f'{head}, "cells": [\n{lines}\n]}}\n', "utf-8")
    return 0


def _table(cells: Sequence[Sequence[Any]]) -> str:
    """Return the means by dimensions and sampler, on the cells that all samplers of these dimensions have."""
    lines = [
        "| parameters | sampler | runs | 15 trials | 30 | 60 (other / mirror) | Δ to random at 60 | CPU |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for dims in sorted({cell[3] for cell in cells}):
        ours = [cell for cell in cells if cell[3] == dims]
        names = sorted({cell[0] for cell in ours}, key=list(SAMPLERS).index)
        keys = set.intersection(*({tuple(c[1:5]) for c in ours if c[0] == name} for name in names))
        rows = {name: {tuple(c[1:5]): c[5:] for c in ours if c[0] == name} for name in names}
        for name in names:
            mean = np.mean([rows[name][key] for key in keys], axis=0)
            by = [np.mean([rows[name][key][2] for key in keys if key[0] == kind]) for kind in KINDS]
            gain = np.array([rows[name][key][2] - rows["random"][key][2] for key in keys]) if "random" in rows else None
            told = "" if gain is None else f"{gain.mean():+.3f} ± {gain.std(ddof=1) / len(gain) ** 0.5:.3f}"
            lines.append(
                f"| {dims} | {name} | {len(keys)} | {mean[0]:.2f} | {mean[1]:.2f} | {mean[2]:.2f} ({by[0]:.2f} / "
                f"{by[1]:.2f}) | {told} | {1000 * mean[3]:.0f} ms |"
            )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, or print the table; return 0 when nothing is left to run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--samplers", nargs="+", default=list(SAMPLERS), choices=list(SAMPLERS))
    parser.add_argument("--dims", type=int, nargs="+", default=[6, 26])
    parser.add_argument("--runs", type=int, default=3, help="instances per family and kind")
    parser.add_argument("--sigma", type=float, default=0.08)
    parser.add_argument("--minutes", type=float, default=600.0, help="start nothing after this long")
    parser.add_argument("--pause-while", type=Path, default=None, help="wait while this file exists")
    parser.add_argument("--out", type=Path, default=Path("docs/pareto-benchmark.json"))
    options = parser.parse_args(arguments)
    if options.what == "run":
        return _run(options)
    print(_table(json.loads(options.out.read_text("utf-8"))["cells"]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
