"""Images that wait together, and a GPU that is full. No GPU is needed: the scorers only note what they are told."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring import worker as worker_module
from lib_optim.scoring.base import ImageContext
from lib_optim.scoring.devices import batch_size
from lib_optim.scoring.registry import scorer_row
from lib_optim.scoring.worker import ScoringWorker
from tests.scoring.pictures import scene

IMAGE = scene(8)
FULL = torch.cuda.OutOfMemoryError


class Noting:
    """Gives each image its index as score, and notes on which device which images came together."""

    def __init__(self, full: str = "", answer: Callable[[list[float]], list[Any]] = list) -> None:
        self.full, self.answer = full, answer
        self.entered, self.gate = threading.Event(), threading.Event()
        self.device = ""
        self.calls: list[Any] = []

    def load(self, device: str, progress: Any = None) -> None:
        self.calls.append(f"load {device}")
        if self.full == "load" and device != "cpu":
            raise FULL("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.device = device

    def score(self, images: Sequence[Any], prompts: Sequence[str], contexts: Sequence[ImageContext]) -> list[Any]:
        self.entered.set()
        assert self.gate.wait(10)
        self.calls.append((self.device, [c.index for c in contexts], list(prompts)))
        if self.full == "always" or (self.full == "score" and self.device != "cpu"):
            raise FULL("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.answer([float(c.index) for c in contexts])

    def unload(self) -> None:
        self.calls.append("unload")
        self.device = ""


class Run:
    def __init__(self, worker: ScoringWorker, heard: dict[str, list[Any]]) -> None:
        self.worker, self.heard = worker, heard

    def submit(self, trial: int, *images: int, payload: str = "p") -> None:
        for index in images:
            self.worker.submit(trial, index, IMAGE, f"prompt {index}", ImageContext(payload, 7, index))


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def make(device: str = "cuda", batches: bool = True, **scorers: Noting) -> Run:
        def row(name: str) -> Any:
            true = dataclasses.replace(scorer_row("technical"), devices=("cpu", "cuda"), title=name.title())
            return dataclasses.replace(true, id=name, batches=batches, build=lambda o, m: scorers[name])

        monkeypatch.setattr(worker_module, "scorer_row", row)
        heard: dict[str, list[Any]] = {"scores": [], "errors": [], "said": []}
        worker = ScoringWorker(
            [ScorerSpec(name, device=device) for name in scorers],
            Path(),
            lambda *score: heard["scores"].append(score),
            lambda *error: heard["errors"].append(error),
            heard["said"].append,
        )
        runs.append(Run(worker, heard))
        return runs[-1]

    yield make
    for run in runs:
        run.worker.close()


def wait_together(run: Run, one: Noting) -> None:
    """Images of two payloads and two trials, all but the first of which wait together."""
    run.submit(0, 0)
    assert one.entered.wait(10)
    run.submit(0, 1, 2, 3)
    run.submit(0, 4, 5, payload="q")
    run.submit(1, 0, 1)
    run.submit(1, *range(2, 13))
    one.gate.set()
    assert run.worker.drain(20)


def test_images_of_a_payload_that_wait_are_scored_together(start: Callable[..., Run]) -> None:
    one = Noting()
    run = start(one=one)
    wait_together(run, one)
    together = [call[1] for call in one.calls if isinstance(call, tuple)]
    assert together == [[0], [1, 2, 3], [4, 5], [0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 12]]
    assert one.calls[2] == ("cuda", [1, 2, 3], ["prompt 1", "prompt 2", "prompt 3"])
    assert run.heard["scores"] == [(t, i, "one", float(i)) for t, n in ((0, 6), (1, 13)) for i in range(n)]
    assert run.heard["errors"] == []


@pytest.mark.parametrize("case", [{"device": "cpu"}, {"batches": False}])
def test_they_come_one_by_one_where_a_batch_is_of_no_use(start: Callable[..., Run], case: dict[str, Any]) -> None:
    one = Noting()
    run = start(one=one, **case)
    wait_together(run, one)
    assert [len(call[1]) for call in one.calls if isinstance(call, tuple)] == [1] * 19
    assert run.heard["scores"] == [(t, i, "one", float(i)) for t, n in ((0, 6), (1, 13)) for i in range(n)]


def test_the_scorers_on_clip_can_use_a_batch() -> None:
    assert batch_size(scorer_row("pickscore"), "cuda:1") == 8
    assert batch_size(scorer_row("pickscore"), "cpu") == 1
    assert batch_size(scorer_row("imagereward"), "cuda") == 1


def test_nothing_overtakes_an_unload(start: Callable[..., Run]) -> None:
    one = Noting()
    run = start(one=one)
    run.submit(0, 0)
    assert one.entered.wait(10)
    run.submit(0, 1)
    run.worker.unload()
    run.submit(0, 2, 3)
    one.gate.set()
    assert run.worker.drain(20)
    calls = [call if isinstance(call, str) else call[1] for call in one.calls]
    assert calls == ["load cuda", [0], [1], "unload", "load cuda", [2, 3]]


def test_a_batch_that_fails_fails_its_trial_only(start: Callable[..., Run]) -> None:
    def answer(scores: list[float]) -> list[float]:
        if len(scores) == 3:
            raise ScorerError("image 2 of payload 'p' with seed 7 is too strange.")
        return scores

    one = Noting(answer=answer)
    run = start(one=one)
    wait_together(run, one)
    assert [(trial, str(error)) for trial, error in run.heard["errors"]] == [
        (0, "image 2 of payload 'p' with seed 7 is too strange.")
    ]
    assert run.heard["scores"] == [(0, 0, "one", 0.0), *((1, i, "one", float(i)) for i in range(13))]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            lambda scores: scores[:2],
            "gave 2 scores for image 2 of payload 'p' with seed 7 or the 2 after it instead of 3",
        ),
        (lambda scores: [scores[0], float("nan"), scores[2]], "gave nan for image 3 of payload 'p' with seed 7"),
        (lambda scores: [scores[0], None, float("inf")], "gave None for image 3 of payload"),
        (lambda scores: 1 / 0, "failed on image 2 of payload 'p' with seed 7 or the 2 after it: division by zero."),
    ],
)
def test_what_a_batch_answers_is_checked_per_image(
    start: Callable[..., Run], answer: Callable[[list[float]], list[Any]], words: str
) -> None:
    one = Noting(answer=lambda scores: answer(scores) if len(scores) == 3 else scores)
    run = start(one=one)
    run.submit(0, 0)
    assert one.entered.wait(10)
    run.submit(0, 1, 2, 3)
    one.gate.set()
    assert run.worker.drain(20)
    ((trial, error),) = run.heard["errors"]
    assert trial == 0
    assert words in str(error)
    assert run.heard["scores"] == [(0, 0, "one", 0.0)]


def test_close_with_a_batch_waiting(start: Callable[..., Run]) -> None:
    one = Noting()
    run = start(one=one)
    run.submit(0, 0)
    assert one.entered.wait(10)
    run.submit(0, 1, 2, 3)
    closing = threading.Thread(target=run.worker.close)
    closing.start()
    while not run.worker._closed:
        pass
    one.gate.set()
    closing.join(10)
    assert not closing.is_alive()
    assert [call[1] for call in one.calls if isinstance(call, tuple)] == [[0]]
    assert run.worker.drain(0.0)


@pytest.mark.parametrize("full", ["load", "score"])
def test_a_full_gpu_is_left_for_the_cpu(start: Callable[..., Run], full: str) -> None:
    tight, other = Noting(full), Noting()
    tight.gate.set()
    other.gate.set()
    run = start(tight=tight, other=other)
    for index in range(2):
        run.submit(0, index)
        assert run.worker.drain(20)
    assert run.heard["errors"] == []
    assert run.heard["scores"] == [(0, i, name, float(i)) for i in range(2) for name in ("tight", "other")]
    assert run.heard["said"] == [
        "Tight found no room in the memory of cuda; it goes on on the CPU, which is slower."
    ]  # said once
    assert [c for c in tight.calls if isinstance(c, str)] == ["load cuda", "unload", "load cpu"]
    assert other.calls[0] == "load cuda"  # only the one that did not fit moves
    run.worker.unload()  # room is made: the GPU is tried again
    run.submit(1, 0)
    assert run.worker.drain(20)
    assert [c for c in tight.calls if isinstance(c, str)][3:] == ["unload", "load cuda", "unload", "load cpu"]


def test_a_full_gpu_for_a_scorer_that_fails_on_the_cpu_too(start: Callable[..., Run]) -> None:
    one = Noting("always")
    one.gate.set()
    run = start(one=one)
    run.submit(0, 0)
    assert run.worker.drain(20)
    ((trial, error),) = run.heard["errors"]
    assert trial == 0
    assert str(error) == (
        "The scorer one failed on image 1 of payload 'p' with seed 7: CUDA out of memory. Tried to allocate 2.00 GiB."
    )
