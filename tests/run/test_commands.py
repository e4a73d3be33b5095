"""Pause, Continue, Skip and Stop, at every moment in which a user can click them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from lib_optim.plan.errors import RunError
from lib_optim.plan.payload import ImageJob
from lib_optim.plan.run_plan import Budget
from lib_optim.run.manager import RunManager
from lib_optim.run.worker import RunWorker
from tests.rig import Rig, payload


def at_image(rig: Rig, number: int, action: Callable[[], Any]) -> list[float]:
    """Have `action` called in the middle of the sampling of image `number` (from 0); returns when that was."""
    seen: list[float] = []
    images = 0
    step = rig.host._on_step

    def count(job: ImageJob, stamp: Any) -> None:
        nonlocal images
        images += 1

    def on_step(done: int, steps: int) -> None:
        if images == number + 1 and not seen:
            seen.append(time.monotonic())
            action()
        step(done, steps)

    rig.hook("generate", count)
    rig.host._on_step = on_step  # type: ignore[method-assign]
    return seen


def test_pause_in_a_trial_gives_the_model_back_and_goes_on_where_it_was(rig: Rig) -> None:
    rig.host.choose(rig.checkpoint("demo-b"))
    at_image(rig, 0, rig.manager.pause)
    rig.manager.start(rig.plan())
    rig.until_state("paused")
    assert len(rig.stored().images) == 1  # the image under way was finished
    assert rig.states() == ["running"]
    assert rig.host.state().checkpoint == "demo-b.safetensors"
    assert rig.has_originals("demo-b")
    recipe = rig.trials()[0]["recipe"]
    rig.manager.pause()
    rig.manager.go_on()
    rig.end()
    assert rig.states() == ["complete", "complete"]
    assert rig.trials()[0]["recipe"] == recipe
    assert sorted(rig.stored().pixels()) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert rig.host.state().checkpoint == "demo-b.safetensors"


def test_a_pause_changes_no_image(rig: Rig, make_rig: Callable[[], Rig]) -> None:
    at_image(rig, 0, rig.manager.pause)
    rig.manager.start(rig.plan())
    rig.until_state("paused")
    rig.manager.go_on()
    rig.end()
    other = make_rig()
    other.run()
    assert other.stored().pixels() == rig.stored().pixels()
    assert other.stored().values() == rig.stored().values()


def test_skip_image(rig: Rig) -> None:
    at_image(rig, 0, rig.manager.skip_image)
    snapshot = rig.run(rig.plan(payloads=(payload("fox", steps=20), payload("hill")), budget=Budget(1)))
    assert rig.states() == ["complete"]
    assert [image["skipped"] for image in snapshot["images"]["0"]] == [True, False]
    stored = rig.stored()
    assert list(stored.pixels()) == [(0, 1)]
    assert [(score.trial, score.image) for score in stored.scores] == [(0, 1)]
    assert snapshot["trials"][0]["value"] == stored.scores[0].raw
    assert len(list(rig.folder_of().images.iterdir())) == 1


def test_skip_image_that_comes_too_late_to_interrupt(rig: Rig) -> None:
    """The sampler is through, the image is being decoded: it is left out all the same."""
    made = []

    def skip(image: Any) -> None:
        made.append(image)
        if len(made) <= 2:
            rig.manager.skip_image()

    rig.hook("generate", after=skip)
    rig.run(rig.plan(budget=Budget(1)))
    assert rig.states() == ["skipped", "complete"]
    assert "skipped all images" in rig.trials()[0]["reason"]
    assert sorted(rig.stored().pixels()) == [(1, 0), (1, 1)]


def test_skip_trial(rig: Rig) -> None:
    at_image(rig, 1, rig.manager.skip_trial)
    snapshot = rig.run(rig.plan(payloads=(payload("fox"), payload("hill", steps=20))))
    assert rig.states() == ["skipped", "complete", "complete"]
    assert snapshot["trials"][0]["value"] is None
    assert snapshot["trials"][0]["reason"] == "Skipped by the user."
    assert sorted(rig.stored().pixels()) == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert rig.has_originals()


@pytest.mark.parametrize("command", ["skip_trial", "skip_image", "stop"])
def test_a_click_before_the_first_step_ends_the_image_too(rig: Rig, command: str) -> None:
    """The prompt is still being encoded: hosts clear their flags then, and show no progress yet."""
    steps: list[list[int]] = []
    step = rig.host._on_step

    def begin(job: ImageJob, stamp: Any) -> None:
        steps.append([])
        if len(steps) == 1:
            getattr(rig.manager, command)()

    def on_step(done: int, all_steps: int) -> None:
        steps[-1].append(done)
        if len(steps) == 1:
            time.sleep(0.1)
        step(done, all_steps)

    rig.hook("generate", begin)
    rig.host._on_step = on_step  # type: ignore[method-assign]
    rig.run(rig.plan(budget=Budget(1), payloads=(payload("fox", steps=30), payload("hill"))))
    assert len(steps[0]) < 20, "the first image was made to its end"
    expected = {"skip_trial": ["skipped", "complete"], "skip_image": ["complete"], "stop": ["running"]}
    assert rig.states() == expected[command]
    assert (0, 0) not in rig.stored().pixels()


def test_an_interruption_hits_only_the_runs_own_image(rig: Rig) -> None:
    """Stop while another client's image is being made, between two trials: that image is whole."""
    settings = {"prompt": "mine", "steps": 25, "width": 64, "height": 64, "seed": 1}
    wanted = rig.host.txt2img(settings)
    answers = []
    rig.hook("generate", lambda job, stamp: stamp and not answers and answers.append(client()))

    def client() -> Any:
        return rig.in_thread(lambda: rig.host.txt2img(settings))

    rig.manager.start(rig.plan())
    rig.until(lambda: answers and (p := rig.host.progress()) and p.steps == 25, "the client's turn")
    for command in (rig.manager.skip_image, rig.manager.skip_trial, rig.manager.stop):
        command()
    assert answers[0].result().tobytes() == wanted.tobytes()
    rig.end()


def test_stop_in_an_image_is_quick_and_records_nothing_partial(rig: Rig) -> None:
    seen = at_image(rig, 1, rig.manager.stop)
    rig.manager.start(rig.plan(payloads=(payload("fox"), payload("hill", steps=150, width=128, height=128))))
    rig.end()
    assert time.monotonic() - seen[0] < 10
    assert rig.states() == ["running"]  # to be taken up by resume
    assert list(rig.stored().pixels()) == [(0, 0)]
    assert len(list(rig.folder_of().images.iterdir())) == 1
    assert rig.has_originals()
    assert rig.snapshot()["best"] is None


def test_stop_in_the_merge(rig: Rig) -> None:
    rig.hook("job", lambda title: rig.manager.stop())
    rig.manager.start(rig.plan())
    rig.end()
    assert rig.states() == ["running"]
    assert rig.stored().images == []
    assert rig.has_originals()


@pytest.mark.parametrize("where", ["suggest", "put_trial"])
def test_stop_between_trials_is_not_lost(rig: Rig, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    from lib_optim.run.store import Store
    from lib_optim.search.study import Search

    owner = Search if where == "suggest" else Store
    original = getattr(owner, where)

    def hooked(self: Any, first: Any, *rest: Any) -> Any:
        number = first if where == "suggest" else first.number
        if number == 1:
            rig.manager.stop()
        return original(self, first, *rest)

    monkeypatch.setattr(owner, where, hooked)
    rig.manager.start(rig.plan(budget=Budget(5)))
    rig.end()
    assert rig.states() == ["complete", "running"]
    assert len(rig.stored().images) == 2
    assert rig.has_originals()


def test_stop_while_somebody_else_holds_the_host(rig: Rig) -> None:
    """Nothing of the host's was touched yet, so there is nothing to wait for."""
    release = threading.Event()
    held = threading.Event()

    def hold() -> None:
        with rig.host.exclusive():
            held.set()
            release.wait(60)

    holder = rig.in_thread(hold)
    assert held.wait(10)
    try:
        rig.manager.start(rig.plan())
        rig.until(rig.host.others_waiting, "the run to wait")
        began = time.monotonic()
        rig.manager.stop()
        assert rig.manager.wait(30)
        assert time.monotonic() - began < 10
        assert rig.snapshot()["state"] == "finished"
    finally:
        release.set()
    holder.result()


def test_what_the_holder_loaded_before_the_run_got_its_turn_comes_back(rig: Rig) -> None:
    with rig.host.exclusive():
        rig.manager.start(rig.plan(budget=Budget(1)))
        rig.until(rig.host.others_waiting, "the run to wait")
        rig.host.load(rig.checkpoint("demo-b"))
    rig.end()
    assert rig.host.state().checkpoint == "demo-b.safetensors"


def test_stop_while_paused(rig: Rig) -> None:
    at_image(rig, 0, rig.manager.pause)
    rig.manager.start(rig.plan())
    rig.until_state("paused")
    rig.manager.stop()
    rig.end()
    assert rig.has_originals()


def test_skip_while_paused_skips_the_trial_on_continue(rig: Rig) -> None:
    at_image(rig, 0, rig.manager.pause)
    rig.manager.start(rig.plan(budget=Budget(1)))
    rig.until_state("paused")
    rig.manager.skip_trial()
    rig.manager.go_on()
    rig.end()
    assert rig.states() == ["skipped", "complete"]


def test_a_second_start_is_refused_and_changes_nothing(rig: Rig) -> None:
    at_image(rig, 0, rig.manager.pause)
    name = rig.manager.start(rig.plan())
    rig.until_state("paused")
    for command in (lambda: rig.manager.start(rig.plan(name="other")), lambda: rig.manager.resume(name)):
        with pytest.raises(RunError, match=f"{name} is going on"):
            command()
    assert [path.name for path in rig.host.paths().outputs.iterdir()] == [name]
    assert rig.snapshot()["run"]["folder"] == name
    rig.manager.go_on()
    rig.end()


def test_a_folder_that_another_manager_runs_is_refused(rig: Rig) -> None:
    at_image(rig, 0, rig.manager.pause)
    name = rig.manager.start(rig.plan())
    rig.until_state("paused")
    second = RunManager(rig.host, rig.folder / "scorers")
    with pytest.raises(RunError, match="another process"):
        second.resume(name)
    assert second.snapshot()["state"] == "idle"
    assert not second.active
    rig.manager.go_on()
    rig.end()


def test_commands_without_a_run_do_nothing(rig: Rig) -> None:
    manager = rig.manager
    for command in (manager.pause, manager.go_on, manager.skip_image, manager.skip_trial, manager.stop, manager.close):
        command()
    assert rig.snapshot()["state"] == "idle"
    with pytest.raises(RunError, match="No run is going on"):
        manager.score(0, 0, 5, "r")


def test_the_hosts_own_interrupt_pauses_the_run(rig: Rig) -> None:
    at_image(rig, 0, rig.host.press_interrupt)
    rig.manager.start(rig.plan())
    snapshot = rig.until_state("paused")
    assert "Interrupt was pressed" in snapshot["errors"][0]
    assert rig.stored().images == []
    rig.manager.go_on()
    rig.end(errors=1)
    assert rig.states() == ["complete", "complete"]


def test_the_hosts_own_skip_leaves_the_image_out(rig: Rig) -> None:
    at_image(rig, 0, rig.host.press_skip)
    rig.manager.start(rig.plan())
    rig.end()
    images = rig.stored().images
    assert [(image.trial, image.index) for image in images if image.skipped] == [(0, 0)]
    assert rig.states() == ["complete", "complete"]


def test_the_hosts_interrupt_in_the_last_image_pauses_after_it(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A WebUI lets the image end ("interrupt after current"); what was made is kept."""
    generate, made = rig.host.generate, []

    def finished(*arguments: Any) -> Any:
        image = generate(*arguments)
        made.append(1)
        if len(made) == 2:
            rig.host._stop.set()
        return image

    monkeypatch.setattr(rig.host, "generate", finished)
    rig.manager.start(rig.plan())
    rig.until_state("paused")
    assert len(rig.stored().images) == 2
    rig.manager.go_on()
    rig.end(errors=1)
    assert rig.states() == ["complete", "complete"]
    assert len(made) == 4


def test_many_clicks_from_many_threads(rig: Rig) -> None:
    """No command waits, none is answered by an error, and the run ends."""
    manager = rig.manager
    manager.start(rig.plan(budget=Budget(4)))
    slowest = 0.0
    for i in range(60):
        command = (manager.pause, manager.go_on, manager.skip_image, manager.snapshot, manager.go_on)[i % 5]
        began = time.monotonic()
        threads = [threading.Thread(target=command) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.01)
    manager.go_on()
    rig.until(lambda: manager.wait(0.005) or manager.go_on(), "the end")
    assert slowest < 2
    assert rig.states().count("complete") == 4
    assert rig.has_originals()


def test_the_end_is_waited_for_until_the_thread_has_freed_what_it_held(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python ends a thread that outlives the program in the middle of torch's code, which aborts the program."""
    close = RunWorker._close

    def slow(worker: RunWorker, *last_words: Callable[[], object]) -> None:
        close(worker, *last_words)
        time.sleep(0.5)

    monkeypatch.setattr(RunWorker, "_close", slow)
    before = set(threading.enumerate())  # a test of a broken program may have left one behind
    rig.manager.start(rig.plan(budget=Budget(1)))
    assert rig.manager.wait(60)
    assert not any(thread.name.startswith("optim ") for thread in set(threading.enumerate()) - before)
