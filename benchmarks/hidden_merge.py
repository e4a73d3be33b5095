"""Does a run find a merge that it was never told?

Reference images are made at hidden block weights (four groups: text encoder, input, middle and output blocks),
drawn uniformly from [.1, .9]^4 and at least .25 RMS away from every preset. A run scores its images by their
similarity to those references. Measured afterwards, on seeds that the run never saw: the pixel RMSE of its
winner, and the RMS error of its weights, both against the best preset's. Random search at the same budget is
reported beside it.

    python -m benchmarks.hidden_merge --seeds 0 1 2 --trials 60 --out docs/hidden-merge.json
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.random_pair import make_random_checkpoints
from lib_optim.hosts.standalone import StandaloneHost
from lib_optim.merging.merger import Merger
from lib_optim.plan.bounds import Value
from lib_optim.plan.guide import ComponentGuide, Group, Guide, Strategy
from lib_optim.plan.payload import Payload, jobs_of
from lib_optim.plan.presets import PRESETS, preset_values
from lib_optim.plan.run_plan import Budget, ModelRef, RunPlan, SamplerSpec, SaveSpec, VerifySpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.check import Resolved
from lib_optim.run.manager import RunManager
from lib_optim.run.saving import open_merger

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["GUIDE", "LEAST_DISTANCE", "Outcome", "distance", "hidden_merge", "main", "make_references", "pixel_errors"]

LEAST_DISTANCE = 0.25
PROMPTS = ("a red house on a hill", "a fish in blue water", "a forest at night")
GUIDE = Guide(
    (
        ComponentGuide("text_encoder", (Strategy("group", groups=(Group("text", ("BASE",)),)),)),
        ComponentGuide(
            "unet",
            (
                Strategy(
                    "group",
                    groups=(Group("in", ("IN*", "TIME")), Group("mid", ("M00",)), Group("out", ("OUT*", "FINAL"))),
                ),
            ),
        ),
    )
)


@dataclass(frozen=True)
class Outcome:
    """Figures of one run. RMSE of pixels is on a scale of 0 to 1; weights are block weights 0 to 1."""

    seed: int
    sampler: str
    trials: int
    hidden: Mapping[str, float]
    found: Mapping[str, float]
    weight_error: float
    best_preset_weight_error: float
    pixel_error: float
    best_preset_pixel_error: float
    seconds: float

    @property
    def halved(self) -> bool:
        """Whether both errors are at most half of the best preset's."""
        return (
            self.weight_error <= self.best_preset_weight_error / 2
            and self.pixel_error <= self.best_preset_pixel_error / 2
        )


def hidden_merge(work: Path, seed: int, trials: int, sampler: str = "auto") -> Outcome:
    """Hide a merge, search for it with a real run of the standalone host, and measure what was found.

    Args:
        work: A folder for checkpoints (the random pair, unless its folder `models` has others), outputs, references.
        seed: Draws the hidden weights and seeds the search.
        trials: The run's budget.
        sampler: Id of the sampler.
    """
    started = time.monotonic()
    models = work / "models"
    models.mkdir(parents=True, exist_ok=True)
    if not any(models.glob("*.safetensors")):
        make_random_checkpoints(models)
    host = StandaloneHost(work)
    manager = RunManager(host, work / "scorers")
    plan = _plan(host, work / "references", seed, trials, sampler)
    # The references can only be made once the space is known, so the first look uses another scorer.
    checked = manager.check(replace(plan, scorers=(ScorerSpec("technical"),)))
    assert checked.resolved is not None, checked.problems
    resolved = checked.resolved
    presets = [v for row in PRESETS if (v := preset_values(row, resolved.space, resolved.blocks)) is not None]
    hidden = _hide(seed, [p.name for p in resolved.space.parameters], presets)
    make_references(host, resolved, hidden, work / "references")
    folder = manager.start(plan)
    while not manager.wait(0.5):
        if manager.view.state == "paused":  # nobody is there to look at it
            manager.stop()
    assert not manager.snapshot()["errors"], manager.snapshot()["errors"]
    assert manager.view.state == "finished", manager.view.sentence
    best = manager.view.best
    assert best is not None, folder
    held_out = tuple(replace(p, seed=p.seed + 10_000) for p in resolved.plan.payloads)
    pixels = pixel_errors(host, replace(resolved, jobs=jobs_of(held_out)), hidden, [best.values, *presets])
    return Outcome(
        seed,
        sampler,
        trials,
        hidden,
        {name: float(value) for name, value in best.values.items()},
        distance(hidden, best.values),
        min(distance(hidden, values) for values in presets),
        pixels[0],
        min(pixels[1:]),
        time.monotonic() - started,
    )


def _plan(host: StandaloneHost, references: Path, seed: int, trials: int, sampler: str) -> RunPlan:
    models = tuple(ModelRef(str(checkpoint.path)) for checkpoint in host.checkpoints(refresh=True)[:2])
    payloads = tuple(
        Payload(f"p{i}", prompt, seed=100 + i, steps=4, width=64, height=64, sampler_name="Euler")
        for i, prompt in enumerate(PROMPTS)
    )
    scorer = ScorerSpec("similarity", options={"reference": str(references)})
    return RunPlan(
        f"hidden {seed} {sampler}", models, "weighted_sum", GUIDE, payloads, (scorer,), SamplerSpec(sampler),
        Budget(trials), SaveSpec(checkpoint=False), seed, verify=VerifySpec(0),
    )  # fmt: skip


def _hide(seed: int, names: Sequence[str], presets: Sequence[Mapping[str, Value]]) -> dict[str, float]:
    draws = random.Random(f"hidden merge {seed}")
    while True:
        hidden = {name: draws.uniform(0.1, 0.9) for name in names}
        if all(distance(hidden, values) >= LEAST_DISTANCE for values in presets):
            return hidden


def distance(a: Mapping[str, float], b: Mapping[str, Value]) -> float:
    """Return the RMS difference of two sets of weights."""
    return float(np.sqrt(np.mean([(a[name] - float(b[name])) ** 2 for name in a])))


def _images(
    host: StandaloneHost, resolved: Resolved, merger: Merger, points: Sequence[Mapping[str, Value]]
) -> list[list[Image.Image]]:
    """Generate the jobs of `resolved` at each of `points`, as a run would."""
    with host.exclusive():
        host.load(resolved.base)
        session = host.open_session(resolved.base, resolved.components)
        made = []
        for values in points:
            with host.job("benchmark"), session.live_weights() as live:
                merger.write(values, live, lambda: False)
                made.append([host.generate(job, {}).image for job in resolved.jobs])
        session.close()
    return made


def make_references(host: StandaloneHost, resolved: Resolved, hidden: Mapping[str, float], folder: Path) -> None:
    """Write the images of the merge at `hidden` into `folder`, where the similarity scorer finds them."""
    folder.mkdir(parents=True, exist_ok=True)
    merger = open_merger(resolved, host)
    (images,) = _images(host, resolved, merger, [hidden])
    merger.close()
    for job, image in zip(resolved.jobs, images, strict=True):
        image.save(folder / f"{job.payload.name}-{job.seed}.png")


def pixel_errors(
    host: StandaloneHost, resolved: Resolved, hidden: Mapping[str, float], points: Sequence[Mapping[str, Value]]
) -> list[float]:
    """Return the RMSE of the images at each of `points` against those at `hidden`, on a scale of 0 to 1."""
    merger = open_merger(resolved, host)
    wanted, *made = _images(host, resolved, merger, [hidden, *points])
    merger.close()
    target = np.stack([np.asarray(image, dtype=np.float64) / 255 for image in wanted])
    return [
        float(np.sqrt(np.mean((np.stack([np.asarray(i, dtype=np.float64) / 255 for i in images]) - target) ** 2)))
        for images in made
    ]


def main() -> int:
    """Run the benchmark and write its figures; return 0 if both errors were halved for every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--samplers", nargs="+", default=["auto", "random"])
    parser.add_argument("--out", type=Path, default=Path("docs/hidden-merge.json"))
    options = parser.parse_args()
    outcomes = []
    for sampler in options.samplers:
        for seed in options.seeds:
            with tempfile.TemporaryDirectory() as work:
                outcome = hidden_merge(Path(work), seed, options.trials, sampler)
            outcomes.append(outcome)
            print(
                f"{sampler:8} seed {seed}: weights {outcome.weight_error:.3f} (best preset "
                f"{outcome.best_preset_weight_error:.3f}), pixels {outcome.pixel_error:.4f} (best preset "
                f"{outcome.best_preset_pixel_error:.4f}), {outcome.seconds:.0f} s, halved: {outcome.halved}",
                flush=True,
            )
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    options.out.write_text(
        json.dumps(
            {
                "command": f"python -m benchmarks.hidden_merge --trials {options.trials} --seeds "
                f"{' '.join(map(str, options.seeds))}",
                "commit": commit,
                "machine": f"{platform.machine()}, {platform.python_version()}, CPU",
                "outcomes": [{**asdict(o), "halved": o.halved} for o in outcomes],
            },
            indent=1,
        )
        + "\n"
    )
    return 0 if all(o.halved for o in outcomes if o.sampler != "random") else 1


if __name__ == "__main__":
    raise SystemExit(main())
