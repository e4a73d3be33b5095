"""Tries on the standalone host: the same image as a run's trial, the parents, and the model as it was."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import HostError, PlanError, RunError
from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from lib_optim.plan.payload import ImageJob, jobs_of
from lib_optim.plan.run_plan import Budget, SaveSpec
from lib_optim.run.results import pixel_hash
from lib_optim.run.try_folder import KEPT, Parent, Try, TryFolder
from lib_optim.run.try_points import kept_point, preset_point, trial_point, weights_point
from tests.rig import PATIENCE, Rig, make_plan, payload, same_pixels


def make(rig: Rig, values: Mapping[str, Value] | None = None, **how: Any) -> Try:
    """Make one try to its end."""
    before = rig.manager.tries.folder.numbers()
    ask(rig, values, **how)
    over(rig)
    state = rig.manager.tries.state()
    assert not state["error"], state
    (number,) = set(rig.manager.tries.folder.numbers()) - set(before)
    return rig.manager.tries.folder.read(number)


def ask(rig: Rig, values: Mapping[str, Value] | None = None, plan: Any = None, **how: Any) -> None:
    resolved = rig.manager.tries.resolve(plan or rig.plan())
    rig.manager.try_merge(resolved, values or preset_point(resolved, "half").values, **how)


def over(rig: Rig) -> None:
    rig.until(lambda: not rig.manager.tries.busy, "the try to end")


def picture(rig: Rig, file: str) -> Image.Image:
    path = rig.manager.tries.folder.image(file)
    assert path is not None
    with Image.open(path) as image:
        return image.convert("RGB")


def alone(rig: Rig, model: str) -> Image.Image:
    """What the host itself shows when `model` is loaded."""
    rig.host.choose(rig.checkpoint(model))
    with rig.host.exclusive(), rig.host.job("compare"):
        image = rig.host.generate(jobs_of(rig.plan().payloads)[0], {}).image
    rig.host.choose(rig.checkpoint("demo-a"))
    return image


def test_a_try_shows_what_a_trial_of_the_same_weights_shows(rig: Rig) -> None:
    snapshot = rig.run(rig.plan(budget=Budget(2)))
    for trial in snapshot["trials"]:
        tried = make(rig, trial["values"])
        image = next(i for i in rig.stored().images if (i.trial, i.index) == (trial["number"], 0))
        assert (tried.pixels, tried.recipe, tried.seed) == (image.pixels, trial["recipe"], image.seed)
        assert pixel_hash(picture(rig, tried.file)) == tried.pixels
        assert set(tried.seconds) == {"load", "merge", "generate", "restore"}
        assert rig.has_originals()  # while the sitting still waits for the next one
    second = make(rig, trial["values"], payload="hill")
    assert second.pixels == next(i for i in rig.stored().images if (i.trial, i.index) == (1, 1)).pixels


def test_another_seed_is_another_image_and_the_values_must_fit(rig: Rig) -> None:
    own, other = make(rig), make(rig, seed=99)
    assert (own.seed, other.seed) == (7, 99)
    assert own.recipe == other.recipe
    assert own.pixels != other.pixels
    for values in ({"in_alpha": 0.5}, {"in_alpha": 2.0, "out_alpha": 0.5, "BASE_alpha": 0.5}):
        with pytest.raises(PlanError):
            ask(rig, values)
    with pytest.raises(PlanError, match="'moon' is not one of this plan; choose fox or hill"):
        ask(rig, payload="moon")
    with pytest.raises(PlanError, match="seed"):
        ask(rig, seed=-1)
    assert rig.manager.tries.folder.numbers() == [1, 2]


def test_the_parents_are_what_the_host_shows_of_them_and_are_made_once(rig: Rig) -> None:
    made = []
    rig.hook("generate", lambda *_: made.append(1))
    first = make(rig, parents=True)
    assert [(p.model, p.title, p.problem) for p in first.parents] == [
        ("A", "demo-a.safetensors", ""), ("B", "demo-b.safetensors", ""),
    ]  # fmt: skip
    assert len(made) == 3
    second = make(rig, preset(rig, "FLAT_25"), parents=True)
    assert second.parents == first.parents
    assert len(made) == 4
    assert rig.has_originals()
    assert rig.manager.tries.close(PATIENCE)
    for parent, model in zip(first.parents, ("demo-a", "demo-b"), strict=True):
        assert same_pixels(picture(rig, parent.file), alone(rig, model))
    assert len({first.pixels, second.pixels, *(pixel_hash(picture(rig, p.file)) for p in first.parents)}) == 4


def preset(rig: Rig, name: str) -> Mapping[str, Value]:
    return preset_point(rig.manager.tries.resolve(rig.plan()), name).values


def test_a_run_and_a_try_keep_out_of_each_others_way(rig: Rig) -> None:
    go, begun = threading.Event(), threading.Event()

    def hold(job: ImageJob, stamp: Mapping[str, str]) -> None:
        begun.set()
        assert go.wait(PATIENCE)

    rig.hook("generate", hold)
    ask(rig)
    assert begun.wait(PATIENCE)
    with pytest.raises(RunError, match="A merge is being tried"):
        rig.manager.start(rig.plan())
    assert rig.snapshot()["state"] == "idle"
    assert not list(rig.host.paths().outputs.glob("*"))
    go.set()
    over(rig)
    go.clear()
    begun.clear()
    rig.manager.start(rig.plan(budget=Budget(1)))  # the sitting has given back what it held
    assert begun.wait(PATIENCE)
    with pytest.raises(RunError, match="is going on, and needs the model"):
        ask(rig)
    go.set()
    rig.end()
    assert make(rig).number == 2
    assert rig.has_originals()


def test_stop_ends_the_image_and_gives_the_model_back(rig: Rig) -> None:
    begun = threading.Event()

    def slow(job: ImageJob, stamp: Mapping[str, str]) -> None:
        begun.set()

    rig.hook("generate", slow)
    ask(rig, plan=rig.plan(payloads=(payload(steps=100),)))
    assert begun.wait(PATIENCE)
    rig.manager.tries.stop()
    over(rig)
    state = rig.manager.tries.state()
    assert (state["sentence"], state["error"]) == ("Stopped; your own model is back.", "")
    assert rig.manager.tries.folder.numbers() == []
    assert rig.has_originals()
    assert make(rig).number == 1


def test_the_users_own_model_comes_back_and_may_change_between_tries(rig: Rig) -> None:
    rig.host.choose(rig.checkpoint("demo-b"))
    first = make(rig)
    rig.manager.tries.leave()
    assert rig.host.state().checkpoint == "demo-b.safetensors"
    assert rig.has_originals("demo-b")
    second = make(rig)
    rig.host.choose(rig.checkpoint("demo-b"))  # the user does, while the sitting holds model A
    third = make(rig)
    assert first.pixels == second.pixels == third.pixels
    assert rig.manager.tries.close(PATIENCE)
    assert rig.host.state().checkpoint == "demo-b.safetensors"
    assert rig.has_originals("demo-b")


def test_a_failure_is_one_sentence_and_the_next_try_works(rig: Rig) -> None:
    failing = [True]

    def fail(job: ImageJob, stamp: Mapping[str, str]) -> None:
        if failing.pop():
            raise HostError("The GPU is on holiday.")

    rig.hook("generate", fail)
    failing.append(True)
    ask(rig)
    over(rig)
    assert rig.manager.tries.state()["error"] == "The GPU is on holiday."
    assert rig.has_originals()
    failing[:] = [False, False]
    assert make(rig).number == 1


def test_the_next_one_is_written_over_the_last_and_a_click_counts_once(rig: Rig) -> None:
    """Asked for while one is made: the merge stays, all but the last of those that wait are left out."""
    go, begun = threading.Event(), threading.Event()

    def hold(job: ImageJob, stamp: Mapping[str, str]) -> None:
        begun.set()
        assert go.wait(PATIENCE)

    rig.hook("generate", hold)
    ask(rig, request="one")
    assert begun.wait(PATIENCE)
    ask(rig, request="one")
    ask(rig, preset(rig, "FLAT_25"), request="two")
    ask(rig, preset(rig, "FLAT_75"), request="three")
    go.set()
    over(rig)
    tries = rig.manager.tries.folder.tries()
    assert [t.request for t in tries] == ["one", "three"]
    restored = ["restore" in t.seconds for t in tries]
    assert restored == [False, True]
    assert rig.has_originals()
    rig.manager.tries.leave()
    assert make(rig, preset(rig, "FLAT_75")).pixels == tries[1].pixels


def test_a_saved_try_makes_its_image_again(rig: Rig) -> None:
    tried = make(rig, preset(rig, "GRAD_V"))
    saved = rig.manager.tries.save(tried.number, SaveSpec())
    assert saved.path.name == "test-try0001.safetensors"
    assert rig.manager.tries.save(tried.number, SaveSpec()).path == saved.path
    assert same_pixels(picture(rig, tried.file), alone(rig, saved.path.stem))
    with pytest.raises(RunError, match="Try 9 is no longer kept"):
        rig.manager.tries.save(9)


def test_only_the_last_are_kept_and_only_their_images_are_served(tmp_path: Path) -> None:
    folder = TryFolder(tmp_path / "tries")
    plan = make_plan(tmp_path)

    class Made:
        image = Image.new("RGB", (8, 8))
        infotext = "a"

    for number in range(1, KEPT + 4):
        assert folder.next_number() == number
        parents = (Parent("A", "a.safetensors", f"parent-{number:016x}.png"),)
        folder.put_parent(parents[0].file, Made)  # type: ignore[arg-type]
        record = Try(number, plan, {"x": 0.5}, "fox", 7, f"{number:05d}.png", "p", "r", {"merge": 0.1}, parents)
        folder.put(record, Made)  # type: ignore[arg-type]
    assert folder.numbers() == list(range(4, KEPT + 4))
    assert folder.tries()[-1] == record
    assert len(list(folder.path.glob("parent-*"))) == KEPT
    assert folder.image("00004.png") is not None
    (tmp_path / "secret.png").write_bytes(b"")
    (folder.path / "00001.png").symlink_to(tmp_path / "secret.png")
    for name in ("00003.png", "../secret.png", "00004.json", "00001.png", "", "parent-x.png"):
        assert folder.image(name) is None
    (folder.path / "00053.json").write_text("{")
    assert folder.tries()[-1].number == KEPT + 2


def test_points_from_everything(rig: Rig) -> None:
    resolved = rig.manager.tries.resolve(rig.plan())
    begin = kept_point(resolved, {}).values
    assert set(begin.values()) == {0.5}
    start = kept_point(resolved, {"in_alpha": 0.125, "out_alpha": 7, "nothing": 1})
    assert start.values == {**begin, "in_alpha": 0.125}
    assert set(preset_point(resolved, "all B").values.values()) == {1.0}
    some = weights_point(resolved, {"IN00": 1.0, "IN01": 0.5})
    assert some.notes
    assert some.values["in_alpha"] == 0.75  # the mean of what was said
    with pytest.raises(PlanError, match="XX01"):
        weights_point(resolved, {"XX01": 1.0})
    assert trial_point(resolved, resolved, some.values, "trial 3").values == some.values
    every = Guide((ComponentGuide("unet", (Strategy("all"),)),))
    finer = rig.manager.tries.resolve(rig.plan(guide=every))
    found = trial_point(finer, resolved, {**some.values, "out_alpha": 0.25}, "trial 3").values
    assert (found["IN05_alpha"], found["OUT03_alpha"]) == (some.values["in_alpha"], 0.25)
