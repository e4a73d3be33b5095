"""A standalone run in a process of its own, with somebody who rates its images; to be killed at any instant."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from pathlib import Path

from lib_optim.plan.run_plan import Budget, RunPlan, SamplerSpec, SaveSpec, VerifySpec
from lib_optim.plan.scorers import ScorerSpec
from tests.faults.fast_host import FastHost
from tests.faults.traps import Trap, Traps
from tests.rig import Rig, make_plan, payload

__all__ = ["SAMPLERS", "TRIALS", "TrialsOf", "counts_of", "plan_of", "rating_of", "run_child", "said"]

TRIALS = 6
SAMPLERS = {
    "tpe": SamplerSpec("tpe", {"n_startup_trials": 2}, ("half",)),
    "cma": SamplerSpec("cma", {"population": 4}, ("half",)),
    "random": SamplerSpec("random", presets=("half", "all B")),
}
_LOOK = 0.005  # seconds between two looks of the one who rates
TrialsOf = dict[int, float | None]


def plan_of(models: Path, sampler: str) -> RunPlan:
    """Six trials of two images, judged by a machine and by hand; the best one is verified and saved."""
    plan = make_plan(
        models,
        sampler=SAMPLERS[sampler],
        budget=Budget(TRIALS),
        payloads=(payload("fox", width=32, height=32), payload("hill", seed=8, width=32, height=32)),
        scorers=(ScorerSpec("technical"), ScorerSpec("manual")),
        save=SaveSpec("fp16"),
        verify=VerifySpec(1),
    )
    return dataclasses.replace(plan, name=f"killed {sampler}")


def rating_of(trial: int, image: int) -> float:
    """What the person says of an image."""
    return float((trial * 7 + image * 3) % 11)


def run_child(folder: Path, sampler: str, trap: Trap | None) -> None:
    """Start the run in `folder`, or resume the one that is there, to its end; what it wrote is counted in counts.json.

    The person clicks each rating twice, as a page does whose answer was late; and notes, after the answer, what the
    program has taken on: ``said.txt``.
    """
    traps = Traps(trap)
    traps.set()
    rig = Rig(folder, folder, FastHost)
    runs = rig.manager.runs()
    if runs:
        rig.manager.resume(runs[0]["folder"])
    else:
        rig.manager.start(plan_of(rig.models, sampler))
    over = threading.Event()
    person = threading.Thread(target=_rate, args=(rig, folder / "said.txt", over))
    person.start()
    rig.manager.wait()
    over.set()
    person.join()
    snapshot = rig.snapshot()
    problems = [] if snapshot["state"] == "finished" else [snapshot["sentence"]]
    (folder / "counts.json").write_text(json.dumps({"counts": traps.counts, "problems": problems + snapshot["errors"]}))
    os._exit(0)  # what the harness measures is over; tearing torch down takes a while


def _rate(rig: Rig, notes: Path, over: threading.Event) -> None:
    ended: set[int] = set()
    with notes.open("a", buffering=1) as file:
        while not over.wait(_LOOK):
            snapshot = rig.snapshot()
            for trial in snapshot["trials"]:
                if trial["state"] == "complete" and trial["number"] not in ended:
                    ended.add(trial["number"])
                    file.write(f"trial {trial['number']} {trial['value']!r}\n")
            for trial, image in snapshot["waiting"]:
                for _ in range(2):
                    rig.manager.score(trial, image, rating_of(trial, image), f"click {trial} {image}")
                file.write(f"click {trial} {image}\n")


def said(folder: Path) -> tuple[TrialsOf, set[tuple[int, int]]]:
    """Return what the page has shown as done: values of trials, and ratings that were taken."""
    lines = (folder / "said.txt").read_text().splitlines() if (folder / "said.txt").exists() else []
    words = [line.split() for line in lines]
    trials = {int(w[1]): None if w[2] == "None" else float(w[2]) for w in words if w[0] == "trial" and len(w) == 3}
    return trials, {(int(w[1]), int(w[2])) for w in words if w[0] == "click"}


def counts_of(folder: Path) -> tuple[dict[str, int], list[str]]:
    """Return how often the last undisturbed process came by each place, and what went wrong in it."""
    content = json.loads((folder / "counts.json").read_text())
    return content["counts"], content["problems"]
