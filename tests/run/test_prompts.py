"""Wildcards in real runs: drawn once, kept by resume, the same again after a change in mid-run."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from lib_optim.plan.errors import PlanError
from lib_optim.plan.run_plan import Budget
from lib_optim.run.prompts import WILDCARDS_FOLDER
from tests.rig import Rig, payload

OPEN = payload("open", prompt="a {red|blue|white} __thing__", seed=-1, batch_size=2)


def with_files(rig: Rig) -> None:
    folder = rig.host.paths().data / WILDCARDS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "thing.txt").write_text("house\ntree\nboat\n")


def prompts(rig: Rig) -> dict[tuple[int, str], str]:
    """Trial and payload to the prompt that its image was made of."""
    made = rig.stored().images
    return {(image.trial, image.payload): image.infotext.split("\n")[0] for image in made}


def test_each_image_has_its_own_prompt_and_all_merges_the_same(rig: Rig) -> None:
    with_files(rig)
    rig.run(rig.plan(payloads=(OPEN,), budget=Budget(2)))
    found = prompts(rig)
    first, second = found[0, "open 1"], found[0, "open 2"]
    for text in (first, second):
        assert text.split()[1] in ("red", "blue", "white")
        assert text.split()[2] in ("house", "tree", "boat")
    assert {found[1, "open 1"], found[1, "open 2"]} == {first, second}
    kept = rig.folder_of().read_plan().payloads
    assert [one.prompt for one in kept] == [first, second]
    assert [one.wildcards for one in kept] == ["off", "off"]

    # The files may go: what was drawn is in the plan.
    (rig.host.paths().data / WILDCARDS_FOLDER / "thing.txt").unlink()
    rig.manager.resume(rig.folder_of().name, trials=3)
    rig.end()
    assert (prompts(rig)[2, "open 1"], prompts(rig)[2, "open 2"]) == (first, second)


def test_the_same_payload_shows_the_same_prompts_after_a_change_in_mid_run(rig: Rig) -> None:
    with_files(rig)
    plan = rig.plan(payloads=(OPEN,), budget=Budget(9))

    def press(job: Any, stamp: Any) -> None:
        if stamp["Optim trial"].endswith(" 1"):
            rig.manager.change(dataclasses.replace(plan, budget=Budget(1)))

    rig.hook("generate", press)
    rig.run(plan)
    trials = rig.stored().trials
    assert {trial.pass_id for trial in trials} == {1, 2}
    assert len(set(prompts(rig).values())) == len({text for (trial, _), text in prompts(rig).items() if not trial})


def test_a_missing_file_is_told_before_start_beside_what_else_is_wrong(rig: Rig) -> None:
    plan = rig.plan(payloads=(payload("open", prompt="a __thing__", steps=0),))
    with pytest.raises(PlanError) as refused:
        rig.manager.start(plan)
    sentences = [problem.sentence for problem in refused.value.problems]
    assert any("there is no thing.txt" in sentence for sentence in sentences)
    assert any("steps must lie" in sentence for sentence in sentences)
    assert rig.manager.runs() == []
