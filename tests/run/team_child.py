"""A worker of a shared study in a process of its own, to be killed: ``python -m tests.run.team_child FOLDER URL NAME``.

Prints ``begun`` at its first image, and ``middle`` at the second image of its second trial, where it stays, alive.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from lib_optim.plan.run_plan import Budget, RunPlan, SamplerSpec, SharedSpec, VerifySpec
from tests.rig import Rig, make_plan

TRIALS = 7
LOST = 4.0  # seconds without a beat


def plan_of(models: Path, url: str, name: str = "test") -> RunPlan:
    """Seven short trials for all workers together."""
    return make_plan(
        models, sampler=SamplerSpec("random", presets=("half", "all B")), budget=Budget(TRIALS),
        shared=SharedSpec(url, name, LOST), verify=VerifySpec(TRIALS),
    )  # fmt: skip


def main() -> None:
    folder, url, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    rig = Rig(folder, folder)
    images = []

    def hang(job: object, stamp: object) -> None:
        images.append(job)
        if len(images) == 1:
            print("begun", flush=True)
        if len(images) == 4:
            print("middle", flush=True)
            time.sleep(1000)

    rig.hook("generate", hang)
    rig.manager.start(plan_of(rig.models, url, name))
    rig.manager.wait()


if __name__ == "__main__":
    main()
