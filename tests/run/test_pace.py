"""How long a plan will take."""

from __future__ import annotations

import dataclasses
import json

import pytest

from lib_optim.plan.payload import Payload, jobs_of
from lib_optim.plan.run_plan import Budget
from lib_optim.plan.work import pixel_steps
from lib_optim.run.pace import Pace, known_pace
from lib_optim.ui.plan_check import time_json
from tests.rig import Rig, payload


def test_work_follows_pixels_steps_and_hires_fix() -> None:
    plain = Payload("p", width=100, height=200, steps=10)
    assert pixel_steps(plain) == 200_000
    twice = dataclasses.replace(plain, enable_hr=True, hr_scale=2.0, denoising_strength=0.5)
    assert pixel_steps(twice) == 200_000 + 4 * 20_000 * 5
    sized = dataclasses.replace(twice, hr_resize_x=150, hr_second_pass_steps=20)
    assert pixel_steps(sized) == 200_000 + 2.25 * 20_000 * 10
    begun = dataclasses.replace(plain, init_image="a.png", denoising_strength=0.3, enable_hr=True)
    assert pixel_steps(begun) == 20_000 * 3


def test_a_plan_takes_its_trials_and_images() -> None:
    jobs = jobs_of(
        (
            Payload("p", width=10, height=10, steps=1, seed=1, n_iter=2),
            Payload("q", width=10, height=10, steps=4, seed=1),
        )
    )
    pace = Pace("run", 0.01, 0.5, 100.0)
    assert pace.seconds([(10, 3), (2, 6)], jobs) == pytest.approx(10 * (0.5 + 3 * 2.0) + 2 * (0.5 + 6 * 2.0))


def test_the_next_plan_goes_by_the_last_run(rig: Rig) -> None:
    plan = rig.plan(budget=Budget(4))
    check = rig.manager.check(plan)
    assert time_json(check, rig.host) is None  # no run yet, so nothing is said
    rig.manager.start(plan)
    rig.end()
    told = time_json(rig.manager.check(plan), rig.host)
    assert told is not None
    assert told["folder"] == rig.manager.runs()[0]["folder"]
    assert not told["by_hand"]
    took = [sum(t["seconds"].values()) for t in rig.trials() if t["state"] == "complete"]
    # Those trials took about as long as it now says that as many will take; medians are not sums.
    assert told["seconds"] == pytest.approx(sum(took), rel=0.9)
    larger = rig.plan(budget=Budget(40), payloads=(payload("fox", steps=8),))
    more = time_json(rig.manager.check(larger), rig.host)
    assert more is not None
    assert more["seconds"] > 3 * told["seconds"]
    huge = rig.plan(budget=Budget(40), payloads=(payload("fox", width=512, height=512, steps=40),))
    assert time_json(rig.manager.check(huge), rig.host) is None  # nothing that was measured is like it
    other = known_pace(rig.host, "sdxl")
    assert other is None  # another architecture is another matter


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"standalone cpu sd1": 5}', '{"standalone cpu sd1": {"pixel": NaN, "trial": 1, "work": 1}}'],
)
def test_a_broken_file_costs_only_the_estimate(rig: Rig, text: str) -> None:
    (rig.host.paths().data / "pace.json").write_text(text, encoding="utf-8")
    assert known_pace(rig.host, "sd1") is None
    row = {"folder": "a", "pixel": 1e-6, "trial": 0.1, "work": 5}
    rows = {f"{rig.host.id} {rig.host.merge_device()} sd1": row}
    (rig.host.paths().data / "pace.json").write_text(json.dumps(rows), encoding="utf-8")
    assert known_pace(rig.host, "sd1") == Pace("a", 1e-6, 0.1, 5.0)
