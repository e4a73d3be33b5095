"""How many images does a search need to come as close to a hidden merge as another does?

Real runs on the demo checkpoints: reference images are made at hidden weights, a run scores its images by their
similarity to those, and after each trial the distance is the pixel RMSE (0 to 1) between the references and the
images of the best trial so far. Two spaces: `groups`, four weights as in `hidden_merge`; `blocks`, every block its
own. The presets come first for every sampler, as in any run. The command prints after how many images each sampler
was as close as the first one with all its images; recorded are also the distances on seeds that no run saw.

    python -m benchmarks.images_needed run --seeds 0 1 2 --trials 60 --out docs/images-needed.json
    python -m benchmarks.images_needed table
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import random
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.demo_pair import default_plan
from benchmarks.hidden_merge import GUIDE, LEAST_DISTANCE, distance, make_references, pixel_errors
from lib_optim.hosts.standalone import StandaloneHost
from lib_optim.plan.bounds import Value
from lib_optim.plan.payload import jobs_of
from lib_optim.plan.presets import PRESETS, preset_values
from lib_optim.plan.run_plan import Budget, RunPlan, SamplerSpec, SaveSpec, VerifySpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.folder import RunFolder
from lib_optim.run.manager import RunManager
from lib_optim.run.store import Store

__all__ = ["Course", "images_to", "main", "recorded", "search", "table"]

SPACES = ("groups", "blocks")
PAYLOADS = 3  # of the program's own four


@dataclass(frozen=True)
class Course:
    """One run.

    Attributes:
        space: One of `SPACES`.
        seed: Draws the hidden weights and seeds the search.
        sampler: As it was asked for.
        used: What proposed: what ``auto`` came to.
        parameters: How many.
        images: Per trial.
        distances: After each trial the distance of the best so far, by score.
        best_preset: The least distance of a preset, on the seeds of the run.
        fresh: The winner's distance on seeds that no run saw.
        fresh_best_preset: The distance there of the preset that was best on the seeds of the run, by score.
        seconds: Of the whole run.
        scores: After each trial the best so far: the similarity that the search sees, 1 for equal images.
    """

    space: str
    seed: int
    sampler: str
    used: str
    parameters: int
    images: int
    distances: tuple[float, ...]
    best_preset: float
    fresh: float
    fresh_best_preset: float
    seconds: float
    scores: tuple[float, ...] = ()


def images_to(run: Course, least: float) -> int | None:
    """Return after how many images `run` was at most `least` away, or None if it never was."""
    return next((run.images * (i + 1) for i, d in enumerate(run.distances) if d <= least), None)


def search(work: Path, space: str, seed: int, sampler: str, trials: int) -> Course:
    """Hide a merge of the demo checkpoints, let a run search for it, and measure how close it came when."""
    host = StandaloneHost(work)
    manager = RunManager(host, work / "scorers")
    plan = _plan(default_plan(manager, seed), space, sampler, trials, work / "references")
    # The references can only be made once the space is known, so the first look uses another scorer.
    checked = manager.check(replace(plan, scorers=(ScorerSpec("technical"),)))
    assert checked.resolved is not None, checked.problems
    resolved = checked.resolved
    presets = [v for row in PRESETS if (v := preset_values(row, resolved.space, resolved.blocks)) is not None]
    hidden = _hide(space, seed, [p.name for p in resolved.space.parameters], presets)
    make_references(host, resolved, hidden, work / "references")
    began = time.monotonic()
    folder = RunFolder.open(host.paths().outputs, manager.start(plan))
    while not manager.wait(0.2):
        if manager.view.state == "paused":  # nobody is there to look at it
            manager.stop()
    seconds = time.monotonic() - began
    assert not manager.snapshot()["errors"], manager.snapshot()["errors"]
    assert manager.view.state == "finished", manager.view.sentence
    best = manager.view.best
    assert best is not None, manager.view.sentence
    manager.close()
    distances, first, used, scores = _distances(folder, work / "references")
    with contextlib.closing(Store(folder.database)) as store:
        tried = [trial for trial in store.trials() if trial.origin.startswith("preset")]
    best_preset = max(tried, key=lambda trial: trial.value or 0.0)
    fresh_jobs = jobs_of(tuple(replace(p, seed=p.seed + 10_000) for p in resolved.plan.payloads))
    fresh = pixel_errors(host, replace(resolved, jobs=fresh_jobs), hidden, [best.values, best_preset.values])
    return Course(
        space, seed, sampler, used, len(hidden), len(resolved.jobs), tuple(round(d, 5) for d in distances),
        round(first, 5), round(fresh[0], 5), round(fresh[1], 5), round(seconds, 1),
        tuple(round(score, 5) for score in scores),
    )  # fmt: skip


def recorded(path: Path) -> list[Course]:
    """Read the runs of a file that `main` wrote, in the order of space and seed."""
    rows = json.loads(path.read_text(encoding="utf-8"))["runs"]
    bare = ({name: value for name, value in row.items() if name != "commit"} for row in rows)
    runs = [
        Course(**{**row, "distances": tuple(row["distances"]), "scores": tuple(row.get("scores", ()))}) for row in bare
    ]
    return sorted(runs, key=lambda run: (SPACES.index(run.space), run.seed))


def table(runs: Sequence[Course]) -> str:
    """Return markdown: per run of `random`, after how many images each sampler was as close as that one at its end."""
    lines = ["| space, seed | best preset | sampler | distance at the end | images | distance on fresh seeds |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for goal in (run for run in runs if run.sampler == "random"):
        for run in (run for run in runs if (run.space, run.seed) == (goal.space, goal.seed)):
            needed = images_to(run, goal.distances[-1])
            name = run.sampler if run.sampler == run.used else f"{run.sampler} ({run.used})"
            lines.append(
                f"| {run.space} ({run.parameters}), {run.seed} | {run.best_preset:.3f} | {name} | "
                f"{run.distances[-1]:.3f} | {needed or f'not in {run.images * len(run.distances)}'} | {run.fresh:.3f} |"
            )
    return "\n".join(lines)


def _plan(plan: RunPlan, space: str, sampler: str, trials: int, references: Path) -> RunPlan:
    """Return the program's own first plan, but for what it is judged by, who searches, and where."""
    return replace(
        plan, payloads=plan.payloads[:PAYLOADS],
        guide=GUIDE if space == "groups" else plan.guide,
        scorers=(ScorerSpec("similarity", options={"reference": str(references)}),),
        sampler=SamplerSpec(sampler), budget=Budget(trials), save=SaveSpec(checkpoint=False), verify=VerifySpec(0),
    )  # fmt: skip


def _hide(space: str, seed: int, names: Sequence[str], presets: Sequence[Mapping[str, Value]]) -> dict[str, float]:
    """Draw the hidden weights, uniform and at least as far from every preset as in `hidden_merge`."""
    draws = random.Random(f"images needed {space} {seed}")
    while True:
        hidden = {name: draws.random() for name in names}
        if all(distance(hidden, values) >= LEAST_DISTANCE for values in presets):
            return hidden


def _distances(folder: RunFolder, references: Path) -> tuple[list[float], float, str, list[float]]:
    """Return the distance of the best after each trial, the least of a preset, who proposed, and the best scores."""
    with contextlib.closing(Store(folder.database)) as store:
        trials, images = store.trials(), store.images()
    found, scores, least, best = [], [], 1.0, (-np.inf, 1.0)
    for trial in trials:
        pairs = [
            (_pixels(folder.path / image.file), _pixels(references / f"{image.payload}-{image.seed}.png"))
            for image in images
            if image.trial == trial.number
        ]
        assert trial.value is not None, trial
        away = float(np.sqrt(np.mean([(made - wanted) ** 2 for made, wanted in pairs])))
        least = min(least, away) if trial.origin.startswith("preset") else least
        best = max(best, (trial.value, away))
        found.append(best[1])
        scores.append(best[0])
    return found, least, trials[-1].origin.removeprefix("sampler: "), scores


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), dtype=np.float64) / 255


def main() -> int:
    """Run what the file lacks, writing it after each run, or print the table; return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--samplers", nargs="+", default=["random", "tpe", "auto"])
    parser.add_argument("--spaces", nargs="+", default=list(SPACES), choices=SPACES)
    parser.add_argument("--pause-while", type=Path, default=None, help="wait while this file exists")
    parser.add_argument("--out", type=Path, default=Path("docs/images-needed.json"))
    options = parser.parse_args()
    rows = json.loads(options.out.read_text(encoding="utf-8"))["runs"] if options.out.exists() else []
    if options.what == "table":
        print(table(recorded(options.out)))
        return 0
    done = {(row["space"], row["seed"], row["sampler"]) for row in rows}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    for seed in options.seeds:
        for space in options.spaces:
            for sampler in options.samplers:
                if (space, seed, sampler) in done:
                    continue
                while options.pause_while is not None and options.pause_while.exists():
                    time.sleep(2)
                with tempfile.TemporaryDirectory() as work:
                    run = search(Path(work), space, seed, sampler, options.trials)
                print(f"{space} seed {seed} {sampler}: {run.distances[-1]:.4f}, fresh {run.fresh:.4f}", flush=True)
                rows.append({**asdict(run), "commit": commit})
                head = {
                    "command": f"python -m benchmarks.images_needed run --trials {options.trials}",
                    "machine": f"{platform.machine()}, {platform.python_version()}, CPU",
                }
                options.out.write_text(json.dumps({**head, "runs": rows}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
