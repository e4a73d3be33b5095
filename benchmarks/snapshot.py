"""What does the page cost with a thousand trials stored, while the run goes on?

Fills the record of a run on the demo pair with trials of every block of UNet and text encoder, each with four scored
images, has the real program go on with it, and asks for the snapshot as a page does: first everything, then what
changed, again and again while images are made. With a Chromium on the PATH it also opens the tab.

    OMP_NUM_THREADS=1 python -m benchmarks.snapshot --out docs/snapshot-benchmark.json
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import random
import shutil
import socket
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from PIL import Image

from lib_optim.hosts.standalone import StandaloneHost
from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from lib_optim.plan.payload import Payload
from lib_optim.plan.records import ImageRecord, Score, Trial
from lib_optim.plan.run_plan import Budget, ModelRef, RunPlan, SamplerSpec, SaveSpec, VerifySpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.check import Resolved, check_plan
from lib_optim.run.folder import RunFolder
from lib_optim.run.manager import RunManager
from lib_optim.run.passes import Passes
from lib_optim.run.results import image_file
from lib_optim.run.store import Store

__all__ = ["every_block", "fill", "main", "pages"]

PROMPTS = ("a red fox in the snow, oil painting", "a lighthouse at dusk, long exposure, a stormy sea")


def every_block(models: Path, trials: int) -> RunPlan:
    """Return a plan with a number for every block, and four images a trial."""
    payloads = tuple(
        Payload(f"payload {i}", prompt, seed=7, n_iter=2, steps=4, width=64, height=64, sampler_name="Euler")
        for i, prompt in enumerate(PROMPTS)
    )
    return RunPlan(
        name="a thousand",
        models=tuple(ModelRef(str(models / f"demo-{letter}.safetensors")) for letter in "ab"),
        method="weighted_sum",
        guide=Guide((ComponentGuide("text_encoder", (Strategy("all"),)), ComponentGuide("unet", (Strategy("all"),)))),
        payloads=payloads,
        scorers=(ScorerSpec("technical"),),
        sampler=SamplerSpec("random", presets=()),
        budget=Budget(trials),
        save=SaveSpec(checkpoint=False),
        seed=5,
        verify=VerifySpec(0),
    )


def fill(folder: RunFolder, resolved: Resolved, trials: int, pictures: bool = True) -> None:
    """Write a record of `trials` complete trials with scores, as the program would have left it; `pictures`: also
    their files."""
    rng = random.Random(0)
    folder.write_plan(resolved.plan)
    folder.images.mkdir(exist_ok=True)
    with closing(Store(folder.record())) as store, store.together():
        Passes(resolved.plan, store)
        names = [parameter.name for parameter in resolved.space.parameters]
        for number in range(trials):
            values = {name: rng.random() for name in names}
            seconds = {"merge": rng.random(), "generate": 4 * rng.random(), "score": rng.random(), "restore": 0.01}
            recipe = f"{rng.getrandbits(48):012x}"
            store.put_trial(
                Trial(number, "complete", values, "sampler: random", recipe, rng.gauss(0, 1), "", seconds, 1e9, 1e9 + 9)
            )
            store.put_memory(number, {"ram": 1e9 + rng.random() * 1e8})
            for job in resolved.jobs:
                file = image_file(number, job.index, job.payload.name)
                if pictures:
                    _picture(folder.path / file, rng)
                info = f"{job.payload.prompt}\nSteps: 4, Seed: {job.seed}"
                store.put_image(ImageRecord(number, job.index, job.payload.name, job.seed, file, info, "0" * 64))
                store.add_score(Score(number, job.index, "technical", rng.random()))


def _picture(path: Path, rng: random.Random) -> None:
    Image.new("RGB", (64, 64), tuple(rng.randrange(256) for _ in range(3))).save(path)  # type: ignore[arg-type]


def pages(ask: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the snapshots that a page without any trial is given, one after another; `ask` takes a revision."""
    found = [ask(0)]
    while found[-1]["more"]:
        found.append(ask(found[-1]["revision"]))
    return found


@dataclasses.dataclass
class Asked:
    """Sizes and times of some requests."""

    sizes: list[int] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)

    def get(self, address: str) -> dict[str, Any]:
        """Ask once."""
        began = time.perf_counter()
        with urllib.request.urlopen(address) as answer:  # noqa: S310 (an address of this program)
            data = answer.read()
        self.seconds.append(time.perf_counter() - began)
        self.sizes.append(len(data))
        return dict(json.loads(data))

    def summary(self) -> dict[str, Any]:
        """Return what the report says of them."""
        times = sorted(1000 * seconds for seconds in self.seconds)
        return {
            "requests": len(times),
            "largest_bytes": max(self.sizes),
            "median_ms": round(statistics.median(times), 1),
            "p95_ms": round(times[int(0.95 * (len(times) - 1))], 1),
            "largest_ms": round(times[-1], 1),
        }


def measure(trials: int, polls: int) -> dict[str, Any]:
    """Do it all; return the report."""
    with tempfile.TemporaryDirectory() as temporary:
        host = StandaloneHost(Path(temporary), device="cpu")
        manager = RunManager(host, Path(temporary) / "scorers")
        check = check_plan(every_block(_models(host), trials), host, manager.scorers_dir)
        assert check.resolved is not None, check.problems
        folder = RunFolder.create(manager.outputs, "a thousand")
        fill(folder, check.resolved, trials)
        from lib_optim.ui.standalone import open_page

        page, url = open_page(manager, _free_port())
        try:
            manager.resume(folder.name, trials + 10_000)
            while (state := manager.snapshot(manager.view.revision))["state"] == "starting":
                time.sleep(0.2)
            assert state["state"] == "running", state["errors"]
            api = f"{url.rstrip('/')}/optim/api/snapshot?since="
            first, later = Asked(), Asked()
            began = time.perf_counter()
            last = pages(lambda since: first.get(f"{api}{since}"))[-1]
            whole = time.perf_counter() - began
            for _ in range(polls):
                time.sleep(0.1)
                last = later.get(f"{api}{last['revision']}")
            made = len(manager.view.trials()) - trials
            report = {
                "trials": trials,
                "parameters": len(check.resolved.space.parameters),
                "images": trials * len(check.resolved.jobs),
                "everything": {**first.summary(), "seconds": round(whole, 2), "bytes": sum(first.sizes)},
                "poll": {**later.summary(), "trials_made_meanwhile": made},
                "tab": _tab(url),
            }
            manager.stop()
            manager.wait(60)
            return report
        finally:
            manager.close()
            page.close(verbose=False)


def _models(host: StandaloneHost) -> Path:
    return next(c.path.parent for c in host.checkpoints(refresh=True) if c.path.stem == "demo-a")


def _tab(url: str) -> dict[str, Any] | None:
    """Open the tab five times; return when it could be used, and when it showed every trial: milliseconds."""
    browser = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)
    if browser is None:
        return None
    from playwright.sync_api import sync_playwright

    usable, whole = list[float](), list[float]()
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        page = launched.new_page()
        page.goto(url)
        page.wait_for_selector("#optim_plot [data-trial]", state="attached")
        for _ in range(5):
            # What the program around the tab takes to load itself is not ours to measure.
            page.reload(wait_until="commit")
            page.wait_for_selector("#optim_generate")
            began = float(page.evaluate("performance.now()"))
            page.wait_for_selector("#optim_plot [data-trial]", state="attached")
            usable.append(page.evaluate("performance.now()") - began)
            page.wait_for_function("document.querySelectorAll('#optim_plot [data-trial]').length >= 1000")
            whole.append(page.evaluate("performance.now()") - began)
        launched.close()
    return {"first_trials_ms": round(statistics.median(usable)), "all_trials_ms": round(statistics.median(whole))}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="What the page costs with many trials.")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--polls", type=int, default=200)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args(arguments)
    report = {**measure(options.trials, options.polls), "cores": os.cpu_count(), "machine": platform.machine()}
    text = json.dumps(report, indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
