"""Rate each image, compare two, or best and worst of a grid: which finds the better merge for the same clicks?

    python -m benchmarks.judging run --out docs/judging-benchmark.json --minutes 30
    python -m benchmarks.judging table --out docs/judging-benchmark.json

A made-up rater looks at the images of the search benchmark's landscapes (`benchmarks.search_problems`), and the search
that a run uses (`auto`) proposes from what the program makes of the answers: the mean of the ratings, or the strengths
that `lib_optim.scoring.preference` fits to the comparisons that `lib_optim.run.questions` asks for. A click is a
rating, the choice between two, or one of the two choices of a grid. What is reported is the regret 1 - g of the
merge that is best by those values, after equal clicks; what differs is how many merges these clicks saw.

The rater, in units of g (0: a median random merge, 1: the optimum; a point of the scale 0 to 10 is 0.2):

- Every look at an image adds noise of SD `look`.
- Naming a number adds noise of SD `naming` (what a 6 means differs from time to time), and the scale wanders, a random
  walk with steps of SD `drift`; the number is rounded, and cut at 0 and 10.
- Of two images that look alike within `tie`, the rater says that they are the same. Each image of a
  grid is looked at once.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.search import _stamp
from benchmarks.search_problems import FAMILIES, HELD_OUT, TUNING, Problem, make_problem

__all__ = ["RATERS", "WAYS", "Rater", "Sitting", "Way", "main", "play", "table"]

Array = NDArray[np.float64]
CLICKS = (10, 20, 40)
DIMS = 12
SIGMA = 0.08  # as in the search benchmark: SD of the noise of the mean over 8 payloads; 0.23 for one image


@dataclass(frozen=True)
class Rater:
    """How somebody judges; all in units of g."""

    look: float = 0.1
    naming: float = 0.0
    drift: float = 0.0
    tie: float = 0.03


RATERS = {
    "steady": Rater(),
    "usual": Rater(naming=0.2),
    "drifting": Rater(naming=0.2, drift=0.04),
}


@dataclass(frozen=True)
class Way:
    """A way to judge.

    Attributes:
        kind: ``rate``, ``pairs`` or ``grid``.
        comparisons: Answers per merge.
        size: Pictures of a grid.
    """

    kind: str
    comparisons: int = 1
    size: int = 2


WAYS = {
    "rate": Way("rate"),
    **{f"pairs {n}": Way("pairs", n) for n in (1, 2, 3)},
    "grid 4": Way("grid", 1, 4),
}


class Merges:
    """The images of the merges so far, and somebody who looks at them."""

    def __init__(self, problem: Problem, rater: Rater, images: int, seed: int) -> None:
        self._problem, self._rater, self.images = problem, rater, images
        self._noise = np.random.default_rng((seed, 77))
        self._wander = 0.0
        self._true: list[Array] = []

    def make(self, point: Array) -> int:
        scores = self._problem.payload_scores(len(self._true), point) - self._problem._offset
        self._true.append(scores[: self.images])
        return len(self._true) - 1

    def look(self, trial: int, image: int) -> float:
        return float(self._true[trial][image] + self._rater.look * self._noise.standard_normal())

    def rate(self, trial: int, image: int) -> float:
        seen = self.look(trial, image) + self._rater.naming * self._noise.standard_normal()
        self._wander += self._rater.drift * self._noise.standard_normal()
        return float(np.clip(np.round(4 + 5 * (seen + self._wander)), 0, 10))

    def tie(self, one: float, other: float) -> bool:
        return abs(one - other) < self._rater.tie


class Rating:
    """Every image of a merge gets a number; its value is their mean."""

    def __init__(self, merges: Merges) -> None:
        self._merges = merges
        self.values: dict[int, float] = {}
        self.clicks = 0

    def judge(self, trial: int) -> None:
        given = [self._merges.rate(trial, image) for image in range(self._merges.images)]
        self.clicks += len(given)
        self.values[trial] = float(np.mean(given))


class Comparing:
    """Pairs or grids, asked for and valued as in a run."""

    def __init__(self, merges: Merges, way: Way, seed: int) -> None:
        from lib_optim.scoring.preference import fitted

        self._merges, self._way, self._seed = merges, way, seed
        self._beats: list[Any] = []
        self._answered: set[frozenset[tuple[int, int]]] = set()
        self._strengths = fitted(())
        self.values: dict[int, float] = {}
        self.clicks = 0

    def judge(self, trial: int) -> None:
        from lib_optim.run.questions import Known, next_grid, next_pair
        from lib_optim.scoring.preference import fitted, value_of

        others = sorted(self.values)
        for _ in range(self._way.comparisons):
            images = {number: range(self._merges.images) for number in (trial, *others)}
            known = Known(self._strengths, images, self._answered, self._seed)
            if self._way.kind == "pairs":
                question = next_pair(trial, others, known)
            else:
                question = next_grid([trial], others, known, self._way.size)
            if question is None:
                break
            self._answered.add(frozenset(question.shown))
            self._answer([number for number, _ in question.shown], question.image)
            self._strengths = fitted(self._beats)
        self.values[trial] = 0.0
        self.values = {number: value_of(self._strengths.mean(number)) for number in self.values}

    def _answer(self, trials: Sequence[int], image: int) -> None:
        from lib_optim.run.comparisons import implied

        seen = {trial: self._merges.look(trial, image) for trial in trials}
        best, worst = max(seen, key=lambda t: seen[t]), min(seen, key=lambda t: seen[t])
        same = self._merges.tie(seen[best], seen[worst])
        self.clicks += 1 if same or len(trials) == 2 else 2
        self._beats += implied(trials, None if same else best, None if same else worst)


@dataclass(frozen=True)
class Sitting:
    """One sitting of a rater: `seeds` is the string that the instances are drawn from, `images` those of a merge."""

    way: str
    rater: str
    images: int
    family: str
    seed: int
    dims: int = DIMS
    seeds: str = TUNING
    sampler: str = "auto"


def play(sitting: Sitting, clicks: Sequence[int] = CLICKS) -> dict[int, tuple[float, int]]:
    """Return, after each of `clicks`, the regret of the merge that the answers favour, and how many merges it took."""
    from benchmarks.search_peers import _Ours
    from lib_optim.plan.records import Trial

    seed, way = sitting.seed, WAYS[sitting.way]
    problem = make_problem(sitting.family, sitting.dims, seed, SIGMA, sitting.seeds)
    merges = Merges(problem, RATERS[sitting.rater], sitting.images, seed)
    judged = Rating(merges) if way.kind == "rate" else Comparing(merges, way, seed)
    ours = _Ours(sitting.dims, seed * 7919 + sitting.dims, sitting.sampler)
    regrets: list[float] = []
    trials: list[Trial] = []
    found: dict[int, tuple[float, int]] = {}
    left = list(clicks)
    while left:
        point = ours.ask()
        number = merges.make(point)
        regrets.append(1 - float(problem.g(point)[0]))
        judged.judge(number)
        trials.append(Trial(number, "complete", ours._values, ""))
        while left and judged.clicks >= left[0]:
            favourite = max(judged.values, key=lambda trial: (judged.values[trial], -trial))
            found[left.pop(0)] = (regrets[favourite], number + 1)
        for trial in trials:  # every value may have moved
            ours._search.add(Trial(trial.number, "complete", trial.values, "", value=judged.values[trial.number]))
        ours._number += 1
    return found


def table(cells: Sequence[Mapping[str, Any]]) -> str:
    """Return the results as Markdown: mean regret, merges made, and the paired difference to rating."""
    lines: list[str] = []
    for rater in RATERS:
        for images in sorted({cell["images"] for cell in cells if cell["rater"] == rater}):
            ours = [cell for cell in cells if (cell["rater"], cell["images"]) == (rater, images)]
            by = {(c["way"], c["family"], c["seed"]): c["found"] for c in ours}
            clicks = sorted({int(n) for cell in ours for n in cell["found"]})
            lines += ["", f"**{rater}** rater, {images} image{'s' if images > 1 else ''} per merge", ""]
            lines += ["| way | " + " | ".join(f"{n} clicks" for n in clicks) + " |", "|---|" + "---|" * len(clicks)]
            lines += [f"| {way} | {_row(way, by, clicks)} |" for way in WAYS if any(key[0] == way for key in by)]
    return "\n".join(lines[1:]) + "\n"


def _row(way: str, by: Mapping[tuple[str, str, int], Mapping[str, Any]], clicks: Sequence[int]) -> str:
    parts = []
    for n in clicks:
        mine = {key[1:]: found[str(n)] for key, found in by.items() if key[0] == way}
        regret, merges = (float(np.mean([row[i] for row in mine.values()])) for i in (0, 1))
        text = f"{regret:.3f} ({merges:.0f} merges)"
        apart = [row[0] - by[("rate", *key)][str(n)][0] for key, row in mine.items() if ("rate", *key) in by]
        if way != "rate" and len(apart) > 1:
            error = float(np.std(apart, ddof=1)) / len(apart) ** 0.5
            text += f", Δ {float(np.mean(apart)):+.3f} ± {error:.3f}"
        parts.append(text)
    return " | ".join(parts)


def _sittings(options: argparse.Namespace) -> Iterator[Sitting]:
    """Seed by seed, so that what was finished when time ran out is still paired."""
    for seed in range(options.runs):
        for family in FAMILIES:
            for images in options.images:
                for rater in options.raters:
                    for way in options.ways:
                        yield Sitting(way, rater, images, family, seed, seeds=HELD_OUT)


def _run(options: argparse.Namespace) -> int:
    kept: dict[str, Any] = {"sessions": [], "cells": []}
    if options.out.exists():
        kept = json.loads(options.out.read_text(encoding="utf-8"))
    kept["sessions"].append({**_stamp(), "command": " ".join(["python -m benchmarks.judging", *sys.argv[1:]])})
    kept["model"] = {name: asdict(rater) for name, rater in RATERS.items()} | {"dims": DIMS, "sigma": SIGMA}
    done = {json.dumps(cell["sitting"], sort_keys=True) for cell in kept["cells"]}
    deadline = time.monotonic() + 60 * options.minutes
    for sitting in _sittings(options):
        if time.monotonic() > deadline:
            return 1
        key = asdict(sitting)
        if json.dumps(key, sort_keys=True) in done:
            continue
        found = {str(n): [round(regret, 5), merges] for n, (regret, merges) in play(sitting).items()}
        kept["cells"].append({"sitting": key, "found": found})
        options.out.write_text(json.dumps(kept, separators=(",", ":")) + "\n", encoding="utf-8")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=20, help="instances per family")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--images", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--raters", nargs="+", default=["steady", "usual"], choices=list(RATERS))
    parser.add_argument("--ways", nargs="+", default=["rate", "pairs 1", "pairs 2", "grid 4"], choices=list(WAYS))
    options = parser.parse_args(arguments)
    if options.what == "run":
        return _run(options)
    cells = json.loads(options.out.read_text(encoding="utf-8"))["cells"]
    print(table([{**cell["sitting"], "found": cell["found"]} for cell in cells]), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
