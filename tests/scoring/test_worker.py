from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lib_optim.plan.errors import RunError, ScorerError
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring import worker as worker_module
from lib_optim.scoring.base import ImageContext
from lib_optim.scoring.registry import scorer_row
from lib_optim.scoring.worker import ScoringWorker
from tests.scoring.pictures import scene


class Played:
    """A scorer that does what the test says, and notes what happened to it."""

    def __init__(self, answer: Callable[[Image.Image], Any]) -> None:
        self.answer, self.calls, self.contexts = answer, [], []
        self.threads: set[int] = set()

    def load(self, device: str, progress: Callable[[str], None] | None = None) -> None:
        self.calls.append(f"load {device}")
        self.threads.add(threading.get_ident())
        if progress is not None:
            progress("loading")

    def score(self, images: Sequence[Any], prompts: Sequence[str], contexts: Any = None) -> list[float]:
        self.calls.append("score")
        self.contexts.extend(contexts)
        return self.answer(images[0])

    def unload(self) -> None:
        self.calls.append("unload")


class Heard:
    def __init__(self) -> None:
        self.scores: list[tuple[int, int, str, float]] = []
        self.errors: list[tuple[int, ScorerError]] = []
        self.progress: list[str] = []

    def score(self, *score: Any) -> None:
        self.scores.append(score)

    def error(self, *error: Any) -> None:
        self.errors.append(error)


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch):
    """Start workers whose scorers are `Played`; they are closed at the end."""
    started: list[ScoringWorker] = []

    def start(**scorers: Played) -> tuple[ScoringWorker, Heard]:
        def row(name: str) -> Any:
            if name not in scorers:
                return scorer_row(name)
            return dataclasses.replace(scorer_row("technical"), id=name, build=lambda o, m: scorers[name])

        monkeypatch.setattr(worker_module, "scorer_row", row)
        heard = Heard()
        specs = [ScorerSpec(name) for name in scorers] + [ScorerSpec("manual")]
        worker = ScoringWorker(specs, Path(), heard.score, heard.error, heard.progress.append)
        started.append(worker)
        return worker, heard

    yield start
    for worker in started:
        worker.close()


IMAGE = scene(8)


def test_scores_arrive_in_order_and_from_one_thread(play) -> None:
    one, two = Played(lambda image: [1.5]), Played(lambda image: [2])
    worker, heard = play(one=one, two=two)
    assert worker.scorers == ("one", "two")
    assert one.calls == []  # nothing is loaded before the first image
    for i in range(5):
        worker.submit(3, i, IMAGE, "a cat", ImageContext("p", 7 + i, i))
    assert worker.drain(10)
    assert heard.scores == [(3, i, name, raw) for i in range(5) for name, raw in (("one", 1.5), ("two", 2.0))]
    assert heard.errors == []
    assert one.calls == ["load cpu", *["score"] * 5]
    assert one.threads == two.threads != {threading.get_ident()}
    assert [c.seed for c in one.contexts] == [7, 8, 9, 10, 11]
    assert heard.progress == ["loading", "loading"]


def test_real_scorers_give_what_they_give_alone() -> None:
    heard = Heard()
    worker = ScoringWorker([ScorerSpec("technical")], Path(), heard.score, heard.error)
    images = [scene(32, seed=s) for s in range(3)]
    for i, image in enumerate(images):
        worker.submit(0, i, image, "")
    assert worker.drain(20)
    worker.close()
    alone = scorer_row("technical").build({}, Path()).score(images, [""] * 3)
    assert [score[3] for score in heard.scores] == alone


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([math.nan], "gave nan for image 2 of payload 'p' with seed 5"),
        ([math.inf], "gave inf"),
        ([-math.inf], "gave -inf"),
        ([], "gave 0 scores"),
        ([1.0, 2.0], "gave 2 scores"),
        ([None], "gave None"),
        (["7"], "gave 7"),
        ([True], "gave True"),
    ],
)
def test_an_answer_that_is_no_score_fails_the_trial(play, answer: list[Any], words: str) -> None:
    worker, heard = play(bad=Played(lambda image: answer))
    worker.submit(1, 1, IMAGE, "", ImageContext("p", 5, 1))
    assert worker.drain(10)
    assert heard.scores == []
    ((trial, error),) = heard.errors
    assert trial == 1
    assert words in str(error)


def fail(image: Image.Image) -> list[float]:
    raise ScorerError("The picture is too strange.")


def test_an_error_is_told_once_per_trial_and_never_becomes_a_number(play) -> None:
    worker, heard = play(good=Played(lambda image: [1.0]), bad=Played(fail))
    for trial in (0, 1):
        for index in range(3):
            worker.submit(trial, index, IMAGE, "")
    assert worker.drain(10)
    assert [(trial, str(error)) for trial, error in heard.errors] == [
        (t, "The picture is too strange.") for t in (0, 1)
    ]
    assert heard.scores == [(0, 0, "good", 1.0), (1, 0, "good", 1.0)]


def test_any_other_exception_is_an_error_of_the_scorer(play) -> None:
    def crash(image: Image.Image) -> list[float]:
        raise ZeroDivisionError("division\n by zero")

    worker, heard = play(bad=Played(crash))
    worker.submit(0, 0, IMAGE, "", ImageContext("p", 1, 0))
    assert worker.drain(10)
    assert str(heard.errors[0][1]) == ("The scorer bad failed on image 1 of payload 'p' with seed 1: division by zero.")


def test_a_scorer_that_did_not_load_is_loaded_anew_for_the_next_trial(play) -> None:
    class Late(Played):
        def load(self, device: str, progress: Any = None) -> None:
            super().load(device, progress)
            if self.calls.count("load cpu") == 1:
                raise ScorerError("The weights are not there yet.")

    late = Late(lambda image: [3.0])
    worker, heard = play(late=late)
    for trial in (0, 1):
        for index in (0, 1):
            worker.submit(trial, index, IMAGE, "")
    assert worker.drain(10)
    assert [trial for trial, _ in heard.errors] == [0]
    assert heard.scores == [(1, 0, "late", 3.0), (1, 1, "late", 3.0)]
    assert late.calls.count("load cpu") == 2


def test_a_callback_that_fails_does_not_end_the_thread(play) -> None:
    worker, heard = play(one=Played(lambda image: [1.0]))
    worker._on_score = lambda *score: 1 / 0
    worker.submit(0, 0, IMAGE, "")
    assert worker.drain(10)
    assert [trial for trial, _ in heard.errors] == [0]
    worker._on_score, worker._on_error = heard.score, lambda *error: 1 / 0
    worker.submit(1, 0, IMAGE, "")
    assert worker.drain(10)
    assert heard.scores == [(1, 0, "one", 1.0)]


def test_drain_tells_whether_all_is_done(play) -> None:
    gate = threading.Event()
    worker, heard = play(slow=Played(lambda image: [float(gate.wait(10))]))
    assert worker.drain(0.0)
    worker.submit(0, 0, IMAGE, "")
    before = time.monotonic()
    assert not worker.drain(0.05)
    assert time.monotonic() - before < 5
    assert not worker.drain(0.0)
    gate.set()
    assert worker.drain()
    assert heard.scores == [(0, 0, "slow", 1.0)]


def test_unload_waits_its_turn_and_the_next_image_loads_again(play) -> None:
    one = Played(lambda image: [1.0])
    worker, heard = play(one=one)
    worker.submit(0, 0, IMAGE, "")
    worker.unload()
    worker.submit(0, 1, IMAGE, "")
    assert worker.drain(10)
    assert one.calls == ["load cpu", "score", "unload", "load cpu", "score"]
    assert len(heard.scores) == 2


def test_close_drops_what_is_queued_and_ends_the_thread(play) -> None:
    entered, gate = threading.Event(), threading.Event()

    def answer(image: Image.Image) -> list[float]:
        entered.set()
        gate.wait(10)
        return [1.0]

    slow = Played(answer)
    worker, heard = play(slow=slow)
    for i in range(4):
        worker.submit(0, i, IMAGE, "")
    entered.wait(10)
    closing = threading.Thread(target=worker.close)
    closing.start()
    time.sleep(0.05)
    gate.set()
    closing.join(10)
    assert not closing.is_alive()
    assert slow.calls == ["load cpu", "score", "unload"]
    assert len(heard.scores) == 1
    assert worker.drain(0.0)
    worker.close()
    with pytest.raises(RunError, match="closed"):
        worker.submit(0, 5, IMAGE, "")


def test_close_ends_a_download(play) -> None:
    entered = threading.Event()

    class Downloading(Played):
        def load(self, device: str, progress: Any = None) -> None:
            for _ in range(2000):
                progress("downloading")
                entered.set()
                time.sleep(0.005)

    worker, heard = play(slow=Downloading(lambda image: [1.0]))
    worker.submit(0, 0, IMAGE, "")
    entered.wait(10)
    before = time.monotonic()
    worker.close()
    assert time.monotonic() - before < 2
    assert heard.scores == heard.errors == []


def test_close_without_work_and_manual_only(play) -> None:
    worker, _ = play()
    assert worker.scorers == ()
    worker.close()
    worker.close()


def test_a_scorer_that_cannot_be_built_is_told_at_once() -> None:
    with pytest.raises(ScorerError, match="needs a reference"):
        ScoringWorker([ScorerSpec("similarity")], Path(), print, print)
