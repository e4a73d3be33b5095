"""Where merges are computed: the choice, what is kept there, and what happens when that memory runs out.

No test here has a GPU: the CPU stands in as a device with a memory of its own.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from lib_optim.merging.merger import Merger
from lib_optim.plan.errors import HostError
from lib_optim.run.device import DeviceMemory, merge_device
from lib_optim.scoring.devices import out_of_memory
from tests.rig import Rig

LEFT = 10**9
OUT = torch.cuda.OutOfMemoryError


class Elsewhere:
    """Makes mergers of the run treat the CPU as another device, and counts what the host is asked."""

    def __init__(self, rig: Rig, patch: pytest.MonkeyPatch) -> None:
        self.mergers: list[Merger] = []
        self.asked, self.trimmed = 0, 0
        self.kept: list[int] = []
        init = Merger.__init__

        def opened(merger: Merger, *arguments: Any, **keywords: Any) -> None:
            init(merger, *arguments, **keywords)
            merger.device = "elsewhere"
            merger._engine.residents.away = True
            self.mergers.append(merger)

        def spare() -> int:
            self.asked += 1
            return LEFT

        def trim() -> None:
            self.trimmed += 1

        patch.setattr(Merger, "__init__", opened)
        rig.host.spare_memory = spare  # type: ignore[method-assign]
        rig.host.trim_memory = trim  # type: ignore[method-assign]

    @property
    def bytes(self) -> int:
        return self.mergers[0].resident_bytes


@pytest.fixture
def elsewhere(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    return Elsewhere(rig, monkeypatch)


def test_the_models_are_kept_from_the_first_image_on(rig: Rig, elsewhere: Elsewhere) -> None:
    seen: list[tuple[int, int]] = []
    rig.hook("generate", lambda *_: seen.append((elsewhere.asked, elsewhere.bytes)))
    rig.run()
    assert seen[0] == (0, 0)
    assert seen[1] == (1, 0), "given after the first image, used by the next merge"
    assert all(asked == 1 and kept > 0 for asked, kept in seen[2:])


@pytest.mark.parametrize("how", ["wrapped by the host", "bare"])
def test_out_of_memory_while_generating_drops_them_and_makes_the_image(
    rig: Rig, elsewhere: Elsewhere, how: str
) -> None:
    generate, calls = rig.host.generate, []

    def full(job: Any, stamp: Any) -> Any:
        calls.append(job.index)
        if len(calls) == 4:
            if how == "bare":
                raise OUT("CUDA out of memory")
            try:
                raise OUT("CUDA out of memory")
            except OUT as error:
                raise HostError("The image could not be generated.") from error
        return generate(job, stamp)

    rig.host.generate = full  # type: ignore[method-assign]
    rig.manager.start(rig.plan())
    snapshot = rig.end(errors=1)
    assert "no longer keeps the models there" in snapshot["errors"][0]
    assert rig.states() == ["complete"] * 2
    assert calls == [0, 1, 0, 1, 1]
    assert (elsewhere.bytes, elsewhere.asked, elsewhere.trimmed) == (0, 1, 1)


def test_out_of_memory_without_anything_kept_fails_the_trial(rig: Rig, elsewhere: Elsewhere) -> None:
    generate, calls = rig.host.generate, []

    def full(job: Any, stamp: Any) -> Any:
        calls.append(job.index)
        if len(calls) == 1:
            raise OUT("CUDA out of memory")
        return generate(job, stamp)

    rig.host.generate = full  # type: ignore[method-assign]
    rig.manager.start(rig.plan())
    rig.end(errors=1)
    assert rig.states() == ["failed", "complete", "complete"]
    assert elsewhere.trimmed == 0


def test_out_of_memory_while_merging_drops_them_and_merges(
    rig: Rig, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = Merger.write, []

    def full(merger: Merger, *arguments: Any) -> Any:
        calls.append(merger.resident_bytes)
        report = write(merger, *arguments)
        if len(calls) == 2:
            raise OUT("CUDA out of memory")
        return report

    monkeypatch.setattr(Merger, "write", full)
    rig.manager.start(rig.plan())
    snapshot = rig.end(errors=1)
    assert rig.states() == ["complete"] * 2
    assert len(calls) == 3
    assert elsewhere.bytes == 0
    assert "no longer keeps" in snapshot["errors"][0]


def mapped(rig: Rig) -> bool:
    return str(rig.models.resolve()) in Path("/proc/self/maps").read_text()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads /proc/self/maps, which only Linux has")
def test_a_pause_lets_go_of_files_and_memory_and_going_on_takes_them_up(rig: Rig, elsewhere: Elsewhere) -> None:
    generate, calls = rig.host.generate, []

    def pausing(job: Any, stamp: Any) -> Any:
        made = generate(job, stamp)
        calls.append((mapped(rig), elsewhere.bytes > 0))
        if len(calls) == 3:
            rig.manager.pause()
        return made

    rig.host.generate = pausing  # type: ignore[method-assign]
    rig.manager.start(rig.plan(budget=dataclasses.replace(rig.plan().budget, trials=3)))
    rig.until_state("paused")
    assert calls[2] == (True, True)
    assert elsewhere.bytes == 0
    assert not any(str(path) in Path("/proc/self/maps").read_text() for path in elsewhere.mergers[0].models)
    rig.manager.go_on()
    rig.end()
    assert calls[-1] == (True, True)
    assert elsewhere.asked == 2, "after a pause the host is asked again"


def test_the_choice(rig: Rig) -> None:
    plan = rig.plan()
    assert merge_device(plan, rig.host) == "cpu"
    rig.host.merge_device = lambda: "cuda:0"  # type: ignore[method-assign]
    assert merge_device(plan, rig.host) == "cuda:0"
    assert merge_device(dataclasses.replace(plan, merge_device="gpu"), rig.host) == "cuda:0"
    assert merge_device(dataclasses.replace(plan, merge_device="cpu"), rig.host) == "cpu"
    assert any("computed on the GPU (cuda:0)" in note for note in rig.manager.check(plan).notes)
    cpu = dataclasses.replace(plan, merge_device="cpu")
    assert not any("GPU" in note for note in rig.manager.check(cpu).notes)


def test_a_gpu_that_is_not_there_is_one_sentence(rig: Rig) -> None:
    (problem,) = rig.manager.check(rig.plan(merge_device="gpu")).problems
    assert problem.where == "merge_device"
    assert "choose Automatic or CPU" in problem.sentence


def test_only_a_full_accelerator_counts_as_out_of_memory() -> None:
    assert out_of_memory(OUT("x"))
    assert not out_of_memory(RuntimeError("x"))
    assert not out_of_memory(None)


def test_nothing_to_take_back_on_the_cpu(rig: Rig) -> None:
    class Bare:
        device, resident_bytes = "cpu", 0

    memory = DeviceMemory(rig.host)
    memory.offer(Bare())  # type: ignore[arg-type]
    assert not memory.take_back(Bare())  # type: ignore[arg-type]
