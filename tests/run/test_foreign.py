"""Other clients of the host while a run goes on: they wait for a trial at most, and see nothing of it."""

from __future__ import annotations

import time
from typing import Any

from lib_optim.plan.run_plan import Budget, SamplerSpec
from tests.rig import Rig, same_pixels

SETTINGS = {"prompt": "somebody else's", "steps": 3, "width": 64, "height": 64, "seed": 11}


def test_a_foreign_image_waits_one_trial_at_most_and_is_of_the_base(rig: Rig) -> None:
    base = rig.host.txt2img(SETTINGS)
    merged = set()
    entered: list[str] = []
    answers: list[Any] = []

    def watch(job: Any, stamp: Any) -> None:
        if not stamp:
            entered.append("client")
            return
        number = stamp["Optim trial"].split()[-1]
        merged.add(number)
        entered.append(number)
        if job.index == 0:
            answers.append((len(entered), rig.in_thread(lambda: rig.host.txt2img(SETTINGS))))
            time.sleep(0.05)

    rig.hook("generate", watch)
    plan = rig.plan(budget=Budget(6), sampler=SamplerSpec("random", presets=("all B", "half")))
    rig.run(plan)
    for asked_at, answer in answers:
        assert same_pixels(answer.result(), base)
        trial = entered[asked_at - 1]
        before = entered[asked_at : entered.index("client", asked_at)]
        assert set(before) <= {trial}, "the client waited for more than the trial under way"
    assert len(answers) == 6
    assert len(merged) == 6
    assert rig.has_originals()
