"""A run in a process of its own, to be killed: ``python -m tests.run.child FOLDER`` starts it, or resumes the only one.

Prints ``ready`` once the run goes on, and ends when it ends.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lib_optim.plan.run_plan import Budget, SamplerSpec
from tests.rig import Rig, make_plan, payload

TRIALS = 6
SAMPLER = SamplerSpec("tpe", {"n_startup_trials": 3}, ("half", "all B"))


def plan_of(models: Path, sampler: SamplerSpec = SAMPLER):  # type: ignore[no-untyped-def]
    """Six short trials, of which TPE proposes three from what it has seen."""
    return make_plan(models, sampler=sampler, budget=Budget(TRIALS), payloads=(payload("fox"), payload("hill", seed=8)))


def main() -> None:
    folder = Path(sys.argv[1])
    rig = Rig(folder, folder)
    runs = rig.manager.runs()
    if runs:
        rig.manager.resume(runs[0]["folder"])
    else:
        rig.manager.start(plan_of(rig.models))
    print("ready", flush=True)
    rig.manager.wait()
    print(rig.snapshot()["state"], flush=True)


if __name__ == "__main__":
    main()
