"""Do the demo checkpoints show what a search is for?

Part one runs the plan with which the standalone program starts, once per seed, and compares the scores of its last
third of trials with those of its start design (the presets). Part two draws held-out captions, which neither the
training nor any run has seen, with A, B, their .5 mix and the winner of each run, and lets a second classifier judge
the pictures: of the same kind as the demo scorer, trained from another seed on other pictures, and never used by any
search.

    python -m benchmarks.demo_pair --seeds 0 1 2 3 4 --out docs/demo-pair.json
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
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.hosts.standalone import StandaloneHost
from lib_optim.hosts.standalone.demo import DEMO_NAMES
from lib_optim.plan.bounds import Value
from lib_optim.plan.payload import ImageJob, Payload, jobs_of
from lib_optim.plan.presets import preset, preset_values
from lib_optim.plan.run_plan import RunPlan, VerifySpec
from lib_optim.run.check import Resolved
from lib_optim.run.manager import RunManager
from lib_optim.run.saving import open_merger
from lib_optim.scoring.demo import DemoScorer
from lib_optim.scoring.demo_words import words_of
from lib_optim.ui.catalog import Catalog
from lib_optim.ui.form import plan_from_form
from tools.demo_pair.data import held_out
from tools.demo_pair.sample import sheet
from tools.demo_pair.scenes import caption

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["JUDGE", "Run", "default_plan", "main", "search"]

JUDGE = Path(__file__).resolve().parents[1] / "tools" / "demo_pair" / "judge.safetensors"
_SEED = 50_000  # of the held-out pictures
_MODELS = {"A": "all A", "B": "all B", "half": "half"}


@dataclass(frozen=True)
class Run:
    """One run of the default plan. Scores are the demo scorer's, 0 to 1."""

    seed: int
    trials: int
    seconds: float
    start_median: float
    last_third_median: float
    best: float
    best_preset: float
    values: Mapping[str, Value]

    @property
    def better(self) -> bool:
        """Whether the last third of the trials beats the start design."""
        return self.last_third_median > self.start_median


def default_plan(manager: RunManager, seed: int) -> RunPlan:
    """Return the plan of the form as a newcomer finds it, with another seed."""
    catalog = Catalog(manager)
    form = {**catalog.setup()["form"], "seed": seed, "name": f"demo {seed}"}
    form["save"] = {**form["save"], "checkpoint": False}
    return plan_from_form(form, catalog.choices())


def search(work: Path, seed: int, trials: int | None = None) -> tuple[Run, Resolved, StandaloneHost]:
    """Run the default plan on two fresh demo checkpoints.

    Args:
        work: A folder.
        seed: Of the plan.
        trials: Another budget than the plan's.
    """
    host = StandaloneHost(work)
    manager = RunManager(host, work / "scorers")
    plan = replace(default_plan(manager, seed), verify=VerifySpec(0))
    if trials is not None:
        plan = replace(plan, budget=replace(plan.budget, trials=trials))
    checked = manager.check(plan)
    assert checked.resolved is not None, checked.problems
    started = time.monotonic()
    manager.start(plan)
    while not manager.wait(0.2):
        if manager.view.state == "paused":  # nobody is there to look at it
            manager.stop()
    seconds = time.monotonic() - started
    snapshot, best = manager.snapshot(), manager.view.best
    assert not snapshot["errors"], snapshot["errors"]
    assert best is not None, snapshot["sentence"]
    assert best.value is not None, snapshot["sentence"]
    scored = [trial for trial in snapshot["trials"] if trial["value"] is not None]
    first = [trial["value"] for trial in scored if trial["origin"].startswith("preset")]
    last = [trial["value"] for trial in scored[-(len(scored) // 3) :]]
    run = Run(
        seed,
        len(scored),
        seconds,
        statistics.median(first),
        statistics.median(last),
        best.value,
        max(first),
        best.values,
    )
    manager.close()
    return run, checked.resolved, host


def _draw(
    host: StandaloneHost, resolved: Resolved, points: Sequence[Mapping[str, Value]], jobs: Sequence[ImageJob]
) -> list[list[Image.Image]]:
    """Draw `jobs` with the merge at each of `points`, as a run would."""
    merger, made = open_merger(resolved, host), []
    with host.exclusive():
        host.load(resolved.base)
        session = host.open_session(resolved.base, resolved.components)
        for values in points:
            with host.job("benchmark"), session.live_weights() as live:
                merger.write(values, live, lambda: False)
                made.append([host.generate(job, {}).image for job in jobs])
        session.close()
    merger.close()
    return made


def _held_out_jobs(resolved: Resolved, count: int) -> tuple[ImageJob, ...]:
    """Return jobs for `count` captions that no training picture had, like the plan's but for prompt and seed."""
    scenes = held_out()
    chosen = [scenes[i * len(scenes) // count] for i in range(count)]
    like: Payload = resolved.plan.payloads[0]
    return jobs_of(
        tuple(
            replace(like, name=f"held-{i}", prompt=caption(scene), seed=_SEED + i, batch_size=1, n_iter=1)
            for i, scene in enumerate(chosen)
        )
    )


def _alignment(judge: DemoScorer, images: Sequence[Image.Image], prompts: Sequence[str]) -> dict[str, float]:
    """Return the mean score, and the mean probability of the prompt's word for each thing that prompts say."""
    parts: dict[str, list[float]] = {}
    for image, prompt in zip(images, prompts, strict=True):
        seen = judge.probabilities(image)
        for name, word in words_of(prompt).items():
            parts.setdefault(name, []).append(seen[name][word])
    return {"all": statistics.mean(judge.score(images, prompts)), **{n: statistics.mean(p) for n, p in parts.items()}}


def _table(
    host: StandaloneHost, resolved: Resolved, runs: Sequence[Run], captions: int, contact: Path | None
) -> dict[str, dict[str, float]]:
    judge = DemoScorer(JUDGE)
    judge.load("cpu")
    jobs = _held_out_jobs(resolved, captions)
    points: dict[str, Mapping[str, Value]] = {}
    for name, row in _MODELS.items():
        found = preset_values(preset(row), resolved.space, resolved.blocks)
        assert found is not None, row
        points[name] = found
    points |= {f"searched, seed {run.seed}": run.values for run in runs}
    drawn = dict(zip(points, _draw(host, resolved, list(points.values()), jobs), strict=True))
    if contact is not None:
        rows = [drawn[name][: len(jobs)][:: max(1, len(jobs) // 10)][:10] for name in list(points)[: len(_MODELS) + 1]]
        sheet([image for row in rows for image in row], len(rows[0]), zoom=1).save(contact, optimize=True)
    prompts = [job.payload.prompt for job in jobs]
    return {name: _alignment(judge, images, prompts) for name, images in drawn.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both parts and write the figures; return 0 if 4 of 5 runs got better and every winner beats A, B and half."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--trials", type=int, default=None, help="another budget than the default plan's")
    parser.add_argument("--captions", type=int, default=60, help="held-out captions, a picture of each per model")
    parser.add_argument("--out", type=Path, default=Path("docs/demo-pair.json"))
    parser.add_argument("--contact", type=Path, default=None, help="write a sheet of pictures: A, B, half, winner")
    options = parser.parse_args(arguments)
    runs: list[Run] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in options.seeds:
            run, resolved, host = search(Path(folder) / str(seed), seed, options.trials)
            runs.append(run)
            print(
                f"seed {seed}: start design {run.start_median:.3f}, last third {run.last_third_median:.3f}, best "
                f"{run.best:.3f} (best preset {run.best_preset:.3f}), {run.trials} trials in {run.seconds:.0f} s",
                flush=True,
            )
        table = _table(host, resolved, runs, options.captions, options.contact)
    for name, row in table.items():
        print(f"{name:18}", "  ".join(f"{part} {value:.3f}" for part, value in row.items()), flush=True)
    better = sum(run.better for run in runs)
    rivals = max(table[name]["all"] for name in _MODELS)
    wins = sum(table[f"searched, seed {run.seed}"]["all"] > rivals for run in runs)
    options.out.write_text(json.dumps(_report(options, runs, table, better, wins), indent=1) + "\n")
    return 0 if better >= 0.8 * len(runs) and wins == len(runs) else 1


def _report(
    options: argparse.Namespace, runs: Sequence[Run], table: Mapping[str, Any], better: int, wins: int
) -> dict[str, Any]:
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    given = "" if options.trials is None else f" --trials {options.trials}"
    return {
        "command": f"python -m benchmarks.demo_pair --seeds {' '.join(map(str, options.seeds))}{given} --captions "
        f"{options.captions}",
        "commit": commit.stdout.strip(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, CPU",
        "models": list(DEMO_NAMES),
        "runs_better_than_start": f"{better} of {len(runs)}",
        "winners_better_than_A_B_and_half": f"{wins} of {len(runs)}",
        "runs": [{**asdict(run), "better": run.better} for run in runs],
        "alignment_by_judge": table,
    }


if __name__ == "__main__":
    raise SystemExit(main())
