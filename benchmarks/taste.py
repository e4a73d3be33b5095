"""How soon does a learned taste know what a rater likes?

Pictures of the demo checkpoints (many merges, prompts and seeds) are rated by simulated raters. Each has a hidden
linear taste: a random direction, drawn from a standard normal distribution, in the embeddings that a packaged network
makes of the pictures. A rating is the taste plus noise of half the taste's standard deviation, put on the panel's scale
(mean 5, deviation 2), rounded and cut to 0 … 10. The program's own model learns from the first n ratings and ranks
pictures that it was never shown. `CASES` says where the tastes live and what the model sees.

    python -m benchmarks.taste run --out docs/taste-benchmark.json
    python -m benchmarks.taste table
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.demo_pair import JUDGE
from benchmarks.taste_images import make_images
from lib_optim.scoring.demo import WEIGHTS, embedding, pixels_of
from lib_optim.scoring.embeddings import embedder
from lib_optim.scoring.taste_file import spearman
from lib_optim.scoring.taste_model import cross_validated, fit_taste
from lib_optim.scoring.taste_rule import certain, promising

__all__ = ["CASES", "COUNTS", "GOAL", "Course", "Goal", "courses", "embeddings_of", "main", "recorded", "table"]

Array = NDArray[np.float64]
COUNTS = (20, 40, 60, 100, 200)
NOISE = 0.5  # of the taste's standard deviation
_FIGURES = ("taste", "rating", "shown", "covered", "asked", "kept")
_MIDDLE, _SPREAD = 5.0, 2.0  # of the ratings


@dataclass(frozen=True)
class Goal:
    """What must hold: the median over raters of the rank correlation after so many ratings."""

    case: str = "packaged"
    count: int = 60
    least: float = 0.7


GOAL = Goal()
CASES: Mapping[str, tuple[str, str, bool]] = {
    "same network": ("demo", "demo", False),
    "packaged": ("demo", "packaged", False),
    "another network": ("judge", "packaged", False),
    "another network, every number alike": ("judge", "packaged", True),
}
"""Where the taste lives, what the model sees, and whether each number of the embedding matters alike. ``demo`` is the
network that ships with Optim, ``packaged`` what the program uses (that network beside colours, edges and layout), and
``judge`` a network of the same kind, trained from another seed on other pictures, which no part of the program uses."""


@dataclass(frozen=True)
class Course:
    """One rater in one case; lists have a value per count.

    Attributes:
        case: One of `CASES`.
        rater: Its seed.
        counts: Numbers of ratings.
        taste: Rank correlation with the hidden taste on unseen pictures.
        rating: The same with the noisy ratings that the rater would give those.
        shown: What the program shows: the cross-validated rank correlation with the ratings that it learned from.
        covered: Share of unseen pictures whose taste is within two of the model's standard deviations.
        asked: Share of unseen pictures that the rater would still be asked about.
        kept: Of the tenth of unseen pictures that the rater likes best, the share that is asked about.
    """

    case: str
    rater: int
    counts: tuple[int, ...]
    taste: tuple[float, ...]
    rating: tuple[float, ...]
    shown: tuple[float, ...]
    covered: tuple[float, ...]
    asked: tuple[float, ...]
    kept: tuple[float, ...]


def embeddings_of(images: Sequence[Image.Image]) -> dict[str, Array]:
    """Return the embeddings of `CASES` of each image, each (n, d)."""
    found = {"demo": _network(WEIGHTS, images), "judge": _network(JUDGE, images)}
    eyes = embedder("packaged", Path())
    eyes.load("cpu")
    found["packaged"] = eyes.look(images, [f"image {i}" for i in range(len(images))])
    return found


def courses(
    seen: Mapping[str, Array],
    raters: Sequence[int],
    counts: Sequence[int] = COUNTS,
    cases: Sequence[str] = tuple(CASES),
) -> list[Course]:
    """Return what comes of each rater in each case; pictures beyond the largest count are those it never rates."""
    return [_course(case, rater, seen, counts) for case in cases for rater in raters]


def _network(path: Path, images: Sequence[Image.Image]) -> Array:
    import torch
    from safetensors.torch import load_file

    weights = {name: tensor.float() for name, tensor in load_file(str(path)).items()}
    with torch.inference_mode():
        found = embedding(weights, torch.from_numpy(np.stack([pixels_of(image) for image in images])))
    vectors = found.double().numpy()
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _course(case: str, rater: int, seen: Mapping[str, Array], counts: Sequence[int]) -> Course:
    home, eyes, alike = CASES[case]
    draws = np.random.default_rng(rater)
    centred = seen[home] - seen[home].mean(axis=0)
    if alike:
        centred = centred / np.maximum(centred.std(axis=0), 1e-9)
    taste = centred @ draws.standard_normal(centred.shape[1])
    taste = _MIDDLE + _SPREAD * (taste - taste.mean()) / taste.std()
    ratings = np.clip(np.round(taste + NOISE * _SPREAD * draws.standard_normal(len(taste))), 0, 10)
    order = draws.permutation(len(taste))
    rated, unseen = order[: max(counts)], order[max(counts) :]
    best = taste[unseen] >= np.quantile(taste[unseen], 0.9)
    rows: dict[str, list[float]] = {name: [] for name in _FIGURES}
    for count in counts:
        given = rated[:count]
        model = fit_taste(seen[eyes][given], ratings[given])
        expected, doubt = model.predict(seen[eyes][unseen])
        shown = spearman(cross_validated(seen[eyes][given], ratings[given]), ratings[given])
        bar = float(np.quantile(expected, 0.75))
        spread = float(ratings[given].std())
        asked = np.array([not certain(d, spread) or promising(e, d, bar) for e, d in zip(expected, doubt, strict=True)])
        rows["taste"].append(spearman(expected, taste[unseen]))
        rows["rating"].append(spearman(expected, ratings[unseen]))
        rows["shown"].append(shown)
        rows["covered"].append(float((np.abs(expected - taste[unseen]) <= 2 * doubt).mean()))
        rows["asked"].append(float(asked.mean()))
        rows["kept"].append(float(asked[best].mean()))
    return Course(case, rater, tuple(counts), **{name: tuple(round(v, 4) for v in row) for name, row in rows.items()})


def recorded(path: Path) -> list[Course]:
    """Read the courses of a file that `main` wrote."""
    rows = json.loads(path.read_text(encoding="utf-8"))["courses"]
    return [Course(**{name: tuple(v) if isinstance(v, list) else v for name, v in row.items()}) for row in rows]


def median_at(found: Sequence[Course], case: str, count: int, name: str) -> float:
    """Return the median over the raters of `case` of the figure `name` after `count` ratings."""
    return statistics.median(getattr(c, name)[c.counts.index(count)] for c in found if c.case == case)


def table(found: Sequence[Course]) -> str:
    """Return markdown: per case and number of ratings, medians over the raters and the least of them."""
    head = "taste lives in, model sees | ratings | with the taste | worst rater | with ratings | shown | within 2 SD"
    lines = [f"| {head} | asked | of the best tenth asked |", f"|{' --- |' * 9}"]
    for case in dict.fromkeys(course.case for course in found):
        own = [course for course in found if course.case == case]
        for i, count in enumerate(own[0].counts):
            figures = {name: median_at(own, case, count, name) for name in _FIGURES}
            worst = min(course.taste[i] for course in own)
            shares = " | ".join(f"{100 * figures[name]:.0f} %" for name in ("covered", "asked", "kept"))
            lines.append(
                f"| {case} | {count} | {figures['taste']:.2f} | {worst:.2f} | {figures['rating']:.2f} | "
                f"{figures['shown']:.2f} | {shares} |"
            )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and write the figures, or print the table; return 0 if the goal is reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--images", type=int, default=600, help="of which 200 are rated at most")
    parser.add_argument("--raters", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="draws the pictures")
    parser.add_argument("--out", type=Path, default=Path("docs/taste-benchmark.json"))
    options = parser.parse_args(arguments)
    if options.what == "run":
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as work:
            images = make_images(Path(work), options.images, options.seed)
        made = time.monotonic() - began
        found = courses(embeddings_of(images), range(options.raters))
        options.out.write_text(json.dumps(_report(options, found, made, time.monotonic() - began), indent=1) + "\n")
    found = recorded(options.out)
    print(table(found))
    reached = median_at(found, GOAL.case, GOAL.count, "taste")
    print(f"\nAfter {GOAL.count} ratings, {GOAL.case}: {reached:.3f}; {GOAL.least} must be reached.")
    return 0 if reached >= GOAL.least else 1


def _report(options: argparse.Namespace, found: Sequence[Course], made: float, seconds: float) -> dict[str, Any]:
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return {
        "command": f"python -m benchmarks.taste run --images {options.images} --raters {options.raters} --seed "
        f"{options.seed}",
        "seed": options.seed,
        "commit": commit.stdout.strip(),
        "seconds": {"images": round(made, 1), "all": round(seconds, 1)},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, CPU",
        "images": options.images,
        "courses": [asdict(course) for course in found],
    }


if __name__ == "__main__":
    raise SystemExit(main())
