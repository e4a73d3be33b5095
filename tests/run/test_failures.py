"""Whatever breaks: the model is whole, the queue is free, and one sentence says what happened."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lib_optim.hosts.live import TableWeights
from lib_optim.hosts.standalone import StandaloneHost
from lib_optim.merging.engine import Engine
from lib_optim.merging.merger import Merger
from lib_optim.plan.errors import HostError, MergeError, OptimError, StoreError
from lib_optim.plan.run_plan import Budget, SaveSpec
from lib_optim.run.manager import RunManager
from lib_optim.run.store import Store
from lib_optim.scoring.technical import TechnicalScorer
from lib_optim.search.study import Search
from tests.rig import Rig, payload

BOOM = "something broke on purpose"


class Break:
    """Makes a method raise at its n-th call, or from there on, or until it is mended."""

    def __init__(self, patch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        self.calls = 0
        self.first, self.last = 10**9, 10**9
        self.error: Callable[[], BaseException] = lambda: RuntimeError(BOOM)
        original = getattr(owner, name)

        def broken(*arguments: Any, **keywords: Any) -> Any:
            self.calls += 1
            if self.first <= self.calls <= self.last:
                raise self.error()
            return original(*arguments, **keywords)

        patch.setattr(owner, name, broken)

    def at(self, first: int, last: int | None = None, error: Callable[[], BaseException] | None = None) -> Break:
        self.first, self.last = first, first if last is None else last
        self.error = error or self.error
        return self


STEPS: dict[str, tuple[Any, str, int]] = {
    "merge": (Merger, "write", 2),
    "write of a tensor": (TableWeights, "place", 300),
    "verify": (TableWeights, "digests", 4),
    "full check": (Merger, "tensors", 1),
    "generate": (StandaloneHost, "generate", 2),
    "job": (StandaloneHost, "job", 2),
    "score": (TechnicalScorer, "score", 2),
    "report": (StandaloneHost, "report", 2),
}


@pytest.mark.parametrize(
    ("step", "kind"),
    [*((step, RuntimeError) for step in STEPS), ("generate", KeyError), ("merge", MergeError), ("score", OptimError)],
)
def test_a_step_that_raises_fails_its_trial_and_nothing_else(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, step: str, kind: type[Exception]
) -> None:
    owner, name, call = STEPS[step]
    Break(monkeypatch, owner, name).at(call, error=lambda: kind(BOOM))
    rig.manager.start(rig.plan())
    snapshot = rig.end(errors=1)
    states = rig.states()
    assert states.count("failed") == 1
    assert states.count("complete") == 2
    failed = snapshot["trials"][states.index("failed")]
    assert BOOM in failed["reason"]
    assert failed["value"] is None
    assert snapshot["errors"] == [f"Trial {failed['number']}: {failed['reason']}"]
    assert "\n" not in failed["reason"]
    log = rig.log()
    assert "Traceback" in log
    assert BOOM in log
    assert rig.has_originals()
    assert rig.stored().trials[failed["number"]].state == "failed"


@pytest.mark.parametrize(("owner", "name", "kind"), [(Search, "suggest", RuntimeError), (Merger, "recipe", MergeError)])
def test_between_trials_an_error_ends_the_run(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, kind: type[Exception]
) -> None:
    """No trial exists that could fail; the run can be resumed."""
    fault = Break(monkeypatch, owner, name)
    # The first trial asks for its recipe when it is suggested, when it begins, and when it is the best.
    fault.at(4 if name == "recipe" else 2, 10**9, lambda: kind(BOOM))
    run = rig.manager.start(rig.plan())
    snapshot = rig.end(state="failed", errors=1)
    expected = BOOM if kind is MergeError else "an error of its own; the trace is in the run's log.txt"
    assert expected in snapshot["sentence"]
    assert BOOM in rig.log()
    assert rig.has_originals()
    fault.first = 10**9
    rig.manager.resume(run)
    rig.end()
    assert rig.states() == ["complete", "complete"]


@pytest.mark.parametrize("what", ["image", "record of an image", "record of a trial", "score"])
def test_a_full_disk_ends_the_run_and_resume_goes_on(rig: Rig, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    if what == "image":
        monkeypatch.setattr("lib_optim.run.results.write_atomic", _full_from(4))
    else:
        method, call = {"record of an image": ("put_image", 3), "record of a trial": ("put_trial", 3)}.get(
            what, ("add_score", 3)
        )
        Break(monkeypatch, Store, method).at(call, 10**9, lambda: StoreError("The disk is full."))
    run = rig.manager.start(rig.plan(budget=Budget(3)))
    snapshot = rig.end(state="failed", errors=None)
    assert "full" in snapshot["sentence"] or "No space" in snapshot["sentence"], snapshot
    assert rig.has_originals()
    before = [trial for trial in rig.stored().trials if trial.state == "complete"]
    monkeypatch.undo()
    rig.manager.resume(run)
    rig.end()
    assert [t for t in rig.stored().trials if t.state == "complete"][: len(before)] == before
    assert rig.states().count("complete") == 3


def _full_from(call: int) -> Callable[..., None]:
    from lib_optim.run.folder import write_atomic

    calls = 0

    def write(path: Path, content: str | bytes) -> None:
        nonlocal calls
        calls += path.suffix == ".png"
        if path.suffix == ".png" and calls >= call:
            raise StoreError(f"{path.name} cannot be written (No space left on device); is the disk full?")
        write_atomic(path, content)

    return write


def test_files_for_people_that_cannot_be_written_end_no_run(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spreadsheet program that has ``trials.csv`` open, say; the table is whole again at the next chance."""
    from lib_optim.run.results import TrialTable

    fault = Break(monkeypatch, TrialTable, "append").at(1, 1, lambda: StoreError("trials.csv cannot be written."))
    rig.manager.start(rig.plan(budget=Budget(3)))
    snapshot = rig.end(errors=1)
    assert fault.calls == 2
    assert "trials.csv" in snapshot["errors"][0]
    assert len(rig.folder_of().trials_csv.read_text().splitlines()) == 4


def originals_cannot_be_written(rig: Rig, patch: pytest.MonkeyPatch) -> None:
    """From the first image on, until `patch` is undone."""
    put = TableWeights.put
    broken: list[int] = []

    def refuse(self: TableWeights, key: str, tensor: torch.Tensor) -> None:
        if broken:
            raise RuntimeError(BOOM)
        put(self, key, tensor)

    rig.hook("generate", lambda *_: broken.append(1))
    patch.setattr(TableWeights, "put", refuse)


def test_a_restore_that_fails_for_good_is_mended_by_loading_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The originals cannot be written back: the run pauses, and the host reads the model from its file."""
    monkeypatch.setattr(StandaloneHost, "others_waiting", lambda _: True)  # so that they are, after each trial
    originals_cannot_be_written(rig, monkeypatch)
    rig.manager.start(rig.plan())
    snapshot = rig.until_state("paused")
    assert rig.trials()[0]["state"] == "failed"
    assert BOOM in rig.trials()[0]["reason"]
    assert "reload the checkpoint" in snapshot["sentence"]
    monkeypatch.undo()
    assert rig.has_originals()
    rig.manager.go_on()
    rig.end(errors=None)
    assert rig.states() == ["failed", "complete", "complete"]
    assert rig.has_originals()


def test_a_restore_that_fails_at_the_end_is_mended_by_loading_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    originals_cannot_be_written(rig, monkeypatch)
    rig.manager.start(rig.plan())
    snapshot = rig.end(state="failed", errors=1)
    assert rig.states() == ["complete"] * 2
    assert "could not be put back" in snapshot["sentence"]
    monkeypatch.undo()
    assert rig.has_originals()


def test_a_host_that_does_not_restore_is_asked_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.host.choose(rig.checkpoint("demo-b"))
    Break(monkeypatch, StandaloneHost, "restore").at(1, error=lambda: HostError(BOOM))
    rig.manager.start(rig.plan(budget=Budget(1)))
    snapshot = rig.end(state="failed", errors=1)
    assert snapshot["errors"] == [BOOM]
    assert rig.host.state().checkpoint == "demo-b.safetensors"
    assert rig.has_originals("demo-b")


def test_a_model_that_does_not_load_pauses_the_run_and_loses_no_trial(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.host.choose(rig.checkpoint("demo-b"))
    Break(monkeypatch, StandaloneHost, "open_session").at(1, error=lambda: HostError(BOOM))
    rig.manager.start(rig.plan())
    assert rig.until_state("paused")["sentence"] == BOOM
    assert rig.states() == ["running"]
    assert rig.host.state().checkpoint == "demo-b.safetensors"
    rig.manager.go_on()
    rig.end(errors=1)
    assert rig.states() == ["complete", "complete"]


def test_five_failures_in_a_row_pause_the_run(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = Break(monkeypatch, StandaloneHost, "generate").at(3, 10**9)
    rig.manager.start(rig.plan(budget=Budget(3)))
    snapshot = rig.until_state("paused")
    assert rig.states() == ["complete"] + ["failed"] * 5
    assert "5 trials in a row failed" in snapshot["sentence"]
    assert BOOM in snapshot["sentence"]
    assert len(snapshot["errors"]) == 5
    assert rig.has_originals()
    fault.first = 10**9
    rig.manager.go_on()
    rig.end(errors=5)
    assert rig.states() == ["complete"] + ["failed"] * 5 + ["complete"] * 2


@pytest.mark.parametrize("value", [math.nan, True])
def test_a_scorer_that_gives_no_number_fails_the_trial(rig: Rig, monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    calls = []

    def score(self: Any, images: Any, prompts: Any, contexts: Any = None) -> list[Any]:
        calls.append(1)
        return [value if len(calls) == 2 else 0.5]

    monkeypatch.setattr(TechnicalScorer, "score", score)
    rig.manager.start(rig.plan())
    rig.end(errors=1)
    assert rig.states().count("failed") == 1
    assert "no score" in rig.trials()[0]["reason"]
    assert all(math.isfinite(score.raw) for score in rig.stored().scores)


def test_a_merge_that_is_not_finite_fails_before_anything_of_it_is_written(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Engine._run
    calls = []

    def spoiled(self: Engine, compiled: Any, key: str, table: Any) -> torch.Tensor:
        calls.append(key)
        result: torch.Tensor = run(self, compiled, key, table)
        return result * math.nan if len(calls) == 200 else result

    monkeypatch.setattr(Engine, "_run", spoiled)
    made = []
    rig.hook("generate", lambda job, stamp: made.append(stamp["Optim trial"].split()[-1]))
    rig.manager.start(rig.plan(method="slerp"))
    rig.end(errors=1)
    assert rig.states() == ["failed", "complete", "complete"]
    assert "NaN" in rig.trials()[0]["reason"]
    assert "0" not in made
    assert rig.has_originals()


def test_weights_that_change_while_images_are_made_fail_the_trial(rig: Rig) -> None:
    def meddle(job: Any, stamp: Any) -> None:
        if stamp["Optim trial"].endswith(" 0") and job.index == 1:
            rig.host.model().tensor("unet.conv_in.weight").data.add_(1)

    rig.hook("generate", meddle)
    rig.manager.start(rig.plan())
    rig.end(errors=1)
    assert rig.states() == ["failed", "complete", "complete"]
    assert "changed while images were made" in rig.trials()[0]["reason"]
    assert rig.has_originals()


def test_another_model_chosen_between_trials_pauses_and_stands(rig: Rig) -> None:
    choices = []
    rig.hook("generate", lambda *_: choices or choices.append(rig.in_thread(choose)))

    def choose() -> None:
        rig.host.choose(rig.checkpoint("demo-b"))

    rig.manager.start(rig.plan())
    snapshot = rig.until_state("paused")
    choices[0].result()
    assert "no longer the run's demo-a" in snapshot["sentence"]
    assert rig.host.state().checkpoint == "demo-b.safetensors"
    assert rig.has_originals("demo-b")
    rig.manager.go_on()
    rig.end(errors=1)
    assert rig.states() == ["complete", "complete"]
    assert rig.host.state().checkpoint == "demo-b.safetensors"


def test_another_model_loaded_in_the_middle_of_a_trial(rig: Rig, make_rig: Callable[[], Rig]) -> None:
    """The image that shows it is not recorded, and is made again after Continue, as if nothing had been."""
    loaded = []

    def load(*_: Any) -> None:
        if not loaded:
            loaded.append(1)
            rig.host.load(rig.checkpoint("demo-b"))

    generate = rig.host.generate
    images = []

    def hooked(job: Any, stamp: Any) -> Any:
        images.append(job.index)
        if len(images) == 2:
            load()
        return generate(job, stamp)

    rig.host.generate = hooked  # type: ignore[method-assign]
    rig.manager.start(rig.plan())
    rig.until_state("paused")
    assert list(rig.stored().pixels()) == [(0, 0)]
    assert rig.states() == ["running"]
    assert rig.has_originals("demo-b")
    rig.manager.go_on()
    rig.end(errors=1)
    assert rig.host.state().checkpoint == "demo-b.safetensors"
    other = make_rig()
    other.run()
    assert rig.stored().pixels() == other.stored().pixels()


def test_a_model_altered_between_trials_pauses_and_the_first_checkpoint_comes_back(rig: Rig) -> None:
    """Nobody chose anything else, so what the user had loaded comes back."""
    rig.host.choose(rig.checkpoint("demo-b"))

    def alter() -> None:
        with rig.host.exclusive():
            for name in ("unet.conv_in.weight", "unet.conv_out.weight"):
                rig.host.model().tensor(name).data.add_(1)
            for key in list(rig.host.model().table.sources):
                rig.host.model().tensor(rig.host.model().table.sources[key].targets[0].name).data.add_(0.5)

    done: list[Any] = []
    rig.hook("generate", lambda *_: done or done.append(rig.in_thread(alter)))
    rig.manager.start(rig.plan())
    assert "changed the loaded model" in rig.until_state("paused")["sentence"]
    assert rig.host.state().checkpoint == "demo-b.safetensors"
    rig.manager.stop()
    rig.end(errors=1)
    assert rig.has_originals("demo-b")


def test_a_scorer_that_does_not_load_fails_trials_one_by_one(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    Break(monkeypatch, TechnicalScorer, "load").at(1)
    rig.manager.start(rig.plan(payloads=(payload(),)))
    rig.end(errors=1)
    assert rig.states() == ["failed", "complete", "complete"]


def test_an_error_while_saving_the_winner_keeps_the_run(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Path:
        raise MergeError("x.safetensors needs 9 GB, and the disk has 1 GB free; make room or choose another folder.")

    monkeypatch.setattr("lib_optim.run.saving.save_checkpoint", full)
    rig.manager.start(rig.plan(save=SaveSpec("fp32")))
    snapshot = rig.end(errors=1)
    assert "make room" in snapshot["errors"][0]
    assert snapshot["saved"] == []
    assert rig.folder_of().best_recipe.exists()
    monkeypatch.undo()
    assert rig.manager.save_trial(0).path.exists()


def test_a_log_that_cannot_be_written_is_one_sentence(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    from lib_optim.run.folder import RunFolder

    write_plan = RunFolder.write_plan

    def in_the_way(self: RunFolder, plan: Any) -> None:
        write_plan(self, plan)
        self.log.mkdir(exist_ok=True)

    monkeypatch.setattr(RunFolder, "write_plan", in_the_way)
    rig.manager.start(rig.plan())
    assert "log.txt cannot be written" in rig.end(state="failed", errors=1)["sentence"]
    monkeypatch.undo()
    rig.folder_of().log.rmdir()
    second = RunManager(rig.host, rig.folder / "scorers")  # the folder's lock is free
    second.resume(rig.folder_of().name)
    assert second.wait(60)
    assert second.snapshot()["state"] == "finished"
