"""The queue of runs: what it refuses, what it keeps, and that a later run takes an earlier winner."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from lib_optim.plan.errors import PlanError, RunError
from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from lib_optim.plan.payload import Payload
from lib_optim.plan.run_plan import Budget, ModelRef, RunPlan, SaveSpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.manager import RunManager
from lib_optim.run.queueing import RunQueue
from tests.rig import PATIENCE, Rig
from tests.ui.fake import FakeManager, write_checkpoint


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeManager]:
    made = FakeManager(tmp_path, image_seconds=0.001)
    yield made
    made.close()


def template(fake: FakeManager, *stems: str, name: str = "mine", **changes: Any) -> RunPlan:
    folder = fake.host.paths().models
    models = tuple(ModelRef(str(folder / f"{stem}.safetensors")) for stem in stems or ("aurora_v2", "meadow"))
    plan = RunPlan(
        name, models, "weighted_sum", Guide((ComponentGuide("unet", (Strategy("all"),)),)),
        (Payload("fox", steps=2, width=64, height=64),), (ScorerSpec("technical"),), budget=Budget(2),
        save=SaveSpec(checkpoint=False),
    )  # fmt: skip
    return dataclasses.replace(plan, **changes)


def refused(act: Callable[[], object]) -> list[str]:
    with pytest.raises(PlanError) as caught:
        act()
    return [problem.sentence for problem in caught.value.problems]


def until(condition: Callable[[], Any]) -> None:
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.005)


def test_lines_become_plans_with_the_settings_of_one(fake: FakeManager) -> None:
    text = "first + dreamlike_v6.safetensors = second\naurora_V2 + meadow = first"
    plans = fake.queue.plans_of(text, template(fake))
    assert [plan.name for plan in plans] == ["first", "second"]
    assert [[Path(model.path).stem for model in plan.models] for plan in plans] == [
        ["aurora_v2", "meadow"], ["first", "dreamlike_v6"],
    ]  # fmt: skip
    assert plans[1].models[0].path == str(fake.host.paths().models / "optim" / "first.safetensors")
    assert [plan.save for plan in plans] == [SaveSpec(name="first"), SaveSpec(name="second")]
    assert fake.queue.items == ()  # nothing is added yet


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("aurora_v2 + medow = x", ["Line 1: there is no model 'medow'; write its name as it is in the list. Did you "]),
        ("aurora_v2 + nothing = x\nzero + meadow = y", ["Line 1: there is no model", "Line 2: there is no model"]),
        ("aurora_v2 + meadow = dreamlike_v6", ["Line 1: there is a model 'dreamlike_v6' already"]),
        ("aurora_v2 + aurora_v2 = x", ["x: aurora_v2.safetensors is chosen twice"]),
        ("aurora_v2 + meadow = x\nx + x = y", ["y: x.safetensors is chosen twice"]),
        ("aurora_v2 + meadow = a b\nmeadow + dreamlike_v6 = a-b", ["Two runs save 'a-b'"]),
        ("aurora_v2 + meadow + dreamlike_v6 = x", ["x: Weighted sum takes 2 models, but 3 are chosen."]),
        ("x + meadow = y\ny + meadow = x", ["Lines 1, 2 wait for each other"]),
    ],
)  # fmt: skip
def test_lines_that_cannot_run_are_refused_whole(fake: FakeManager, text: str, sentences: list[str]) -> None:
    found = refused(lambda: fake.queue.plans_of(text, template(fake)))
    assert len(found) == len(sentences), found
    for sentence, begins in zip(found, sentences, strict=True):
        assert sentence.startswith(begins)


def test_a_winner_of_another_architecture_is_found_before_the_first_run(fake: FakeManager) -> None:
    """The winner is not there yet: it is what model A of its run is."""
    found = refused(lambda: fake.queue.plans_of("aurora_v2 + meadow = x\nx + big_xl = y", template(fake)))
    assert found
    assert all(sentence.startswith("y: ") for sentence in found)
    assert any("big_xl" in sentence for sentence in found)


def test_two_models_of_one_name_have_to_be_told_apart(fake: FakeManager) -> None:
    (fake.host.paths().models / "old").mkdir()
    write_checkpoint(fake.host.paths().models / "old" / "meadow.safetensors")
    (found,) = refused(lambda: fake.queue.plans_of("aurora_v2 + meadow = x", template(fake)))
    assert "several models are called 'meadow'" in found
    path = fake.host.paths().models / "old" / "meadow.safetensors"
    (plan,) = fake.queue.plans_of(f"aurora_v2 + {path} = x", template(fake))
    assert plan.models[1].path == str(path)


def test_all_are_added_or_none(fake: FakeManager) -> None:
    plans = [template(fake), template(fake, "aurora_v2", "gone", name="bad")]
    (sentence,) = refused(lambda: fake.queue.add(plans))
    assert sentence.startswith("bad: ")
    assert fake.queue.items == ()
    assert len(fake.queue.add(plans[:1])) == 1


def test_order_and_removal_keep_what_a_run_needs(fake: FakeManager) -> None:
    queue = fake.queue
    x, y = queue.add(queue.plans_of("aurora_v2 + meadow = x\nx + dreamlike_v6 = y", template(fake)))
    (z,) = queue.add([template(fake, name="z")])
    assert [row["sentence"] for row in queue.snapshot()["items"]] == [
        "Next, once you run the queue.", "Waits for the winner of x.", "Waits for its turn.",
    ]  # fmt: skip
    queue.move(z, -1)
    assert [item.plan.name for item in queue.items] == ["x", "z", "y"]
    with pytest.raises(RunError, match="y takes the winner of x, so it must run after it"):
        queue.move(y, -5)
    with pytest.raises(RunError, match="y takes the winner of x; remove that one first"):
        queue.remove(x)
    queue.remove(y)
    queue.remove(x)
    assert [item.id for item in queue.items] == [z]
    with pytest.raises(RunError, match="not in the queue any more"):
        queue.remove(x)


def test_the_queue_survives_a_restart_and_begins_nothing(fake: FakeManager) -> None:
    added = fake.queue.add([template(fake), template(fake, name="later")])
    path = fake.host.paths().data / "queue.json"
    data = json.loads(path.read_text())
    data["items"][0] |= {"state": "running", "folder": "somewhere"}
    path.write_text(json.dumps(data))
    again = RunQueue(fake, path)  # type: ignore[arg-type]
    assert [item.id for item in again.items] == added
    assert [item.state for item in again.items] == ["stopped", "waiting"]
    assert "The program ended during this run" in again.snapshot()["items"][0]["sentence"]
    assert not again.going
    assert not fake.active


def test_a_queue_that_cannot_be_read_is_put_aside(fake: FakeManager) -> None:
    path = fake.host.paths().data / "queue.json"
    path.write_text('{"items": [')
    queue = RunQueue(fake, path)  # type: ignore[arg-type]
    assert queue.items == ()
    assert "queue.json.unreadable" in queue.snapshot()["sentence"]
    assert path.with_name("queue.json.unreadable").read_text() == '{"items": ['


def test_runs_follow_each_other_and_one_that_is_stopped_pauses_them(fake: FakeManager) -> None:
    queue = fake.queue
    queue.add(queue.plans_of("aurora_v2 + meadow = x\nx + dreamlike_v6 = y", template(fake)))
    queue.add([template(fake, name="z", budget=Budget(2000))])
    queue.go_on()
    until(lambda: [item.state for item in queue.items] == ["done", "done", "running"] and len(fake.plans) == 3)
    assert [plan.name for plan in fake.plans] == ["x", "y", "z"]
    until(lambda: fake.view.state == "running")
    fake.stop()
    assert queue.wait(20)
    assert [item.state for item in queue.items] == ["done", "done", "stopped"]
    assert not queue.going
    assert queue.snapshot()["sentence"].startswith("The queue paused at z: ")
    queue.clear()
    assert [item.plan.name for item in queue.items] == ["z"]


def test_a_run_that_cannot_begin_pauses_the_queue_with_its_sentence(fake: FakeManager) -> None:
    queue = fake.queue
    queue.add([template(fake, name="one", budget=Budget(2000)), template(fake, "dreamlike_v6", "meadow", name="two")])
    queue.add([template(fake, name="three")])
    queue.go_on()
    until(lambda: fake.active)
    (fake.host.paths().models / "dreamlike_v6.safetensors").unlink()
    fake.finish()
    assert queue.wait(20)
    assert [item.state for item in queue.items] == ["done", "failed", "waiting"]
    assert "dreamlike_v6" in queue.items[1].sentence
    (sentence,) = refused(queue.go_on)  # what is wrong is said at once
    assert sentence.startswith("two: ")
    queue.remove(queue.items[1].id)
    queue.go_on()
    assert queue.wait(20)
    assert queue.snapshot()["sentence"] == "Everything in the queue is done."
    with pytest.raises(RunError, match="Nothing waits"):
        queue.go_on()


def test_a_paused_queue_lets_the_run_end_and_begins_no_other(fake: FakeManager) -> None:
    queue = fake.queue
    queue.add([template(fake, name="one"), template(fake, name="two")])
    queue.go_on()
    until(lambda: fake.active)
    queue.pause()
    assert queue.wait(20)
    assert [item.state for item in queue.items] == ["done", "waiting"]


def test_the_second_run_takes_the_winner_of_the_first(rig: Rig) -> None:
    """The real thing, with a restart of the program between its two runs."""
    plan = rig.plan(save=SaveSpec("fp16"), budget=Budget(1))
    queue = rig.manager.queue
    queue.add(queue.plans_of("demo-a + demo-b = first\nfirst + demo-b = second", plan))
    queue.go_on()
    rig.until(lambda: queue.items[0].state == "running", "the first run")
    queue.pause()
    assert queue.wait(PATIENCE)
    assert [item.state for item in queue.items] == ["done", "waiting"], queue.items[0].sentence
    rig.manager.close()

    again = RunManager(rig.host, rig.manager.scorers_dir)
    rig.manager = again
    assert not again.queue.going
    again.queue.go_on()
    assert again.queue.wait(PATIENCE)
    one, two = again.queue.items
    assert (one.state, two.state) == ("done", "done"), two.sentence
    saved = rig.models / "optim" / "first.safetensors"
    assert one.saved == str(saved)
    assert two.saved == str(saved.with_name("second.safetensors"))
    ran = rig.folder_of(two.folder).read_plan()
    assert [Path(model.path) for model in ran.models] == [saved, rig.models / "demo-b.safetensors"]
    with safe_open(two.saved, "pt") as file:
        named = json.loads(file.metadata()["sd_merge_models"])
    assert ran.models[0].sha256 in named  # merged from that very file
    assert rig.has_originals()
