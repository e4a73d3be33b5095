"""A run of thousands of trials, with a page that looks on: what grows, and how fast."""

from __future__ import annotations

import gc
import itertools
import json
import math
import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from lib_optim.plan.run_plan import Budget, RunPlan, SamplerSpec
from tests.faults.fast_host import FastHost
from tests.rig import Rig, make_plan, payload

__all__ = ["BOUNDS", "LongFigures", "Sample", "long_run"]

_SAMPLES = 20
_LOOK = 0.1  # seconds between two looks of the page
_STALLED = 300.0  # seconds without a finished trial


@dataclass(frozen=True)
class Sample:
    """What a process and a run folder weigh after so many trials.

    Attributes:
        trials: Finished ones.
        rss: Memory of the process that is resident, bytes.
        threads, handles: Of the process.
        database: Bytes of ``run.db`` and its log.
        cpu: Median of the processor seconds of the worker thread per trial, since the sample before: suggestion, merge,
            pictures, records, files for people. Not of the clock, which shows what else the machine does.
        poll, poll_bytes: Seconds and size of a snapshot of what changed since the last look.
        whole, whole_bytes: Seconds and size of the whole snapshot, which a page loads once.
    """

    trials: int
    rss: int
    threads: int
    handles: int
    database: int
    cpu: float
    poll: float
    poll_bytes: int
    whole: float
    whole_bytes: int


@dataclass(frozen=True)
class LongFigures:
    """What a long run saw."""

    trials: int
    seconds: float
    samples: tuple[Sample, ...]
    threads_left: tuple[str, ...]
    handles_left: tuple[str, ...]
    files_left: tuple[str, ...]

    def slope(self, name: str) -> float:
        """Return by how much a figure grows per trial, over the last three quarters of the run."""
        late = self.samples[len(self.samples) // 4 :]
        numbers = [getattr(sample, name) for sample in late]
        return statistics.linear_regression([sample.trials for sample in late], numbers).slope


BOUNDS: dict[str, tuple[float, str]] = {
    "rss": (48 * 1024, "bytes of memory per trial of two images"),
    "database": (12 * 1024, "bytes of run.db per trial of two images"),
    "whole_bytes": (1200, "bytes of a page's first snapshot per trial"),
    "poll_bytes": (2, "bytes of a page's further snapshots per trial"),
    "poll": (5e-6, "seconds of a page's further snapshots per trial"),
    "cpu": (60e-6, "processor seconds of a trial, per trial before"),
}
"""By how much each trial may make a figure grow."""


def long_run(
    home: Path,
    demo: Path,
    trials: int,
    seed: int,
    told: Callable[[Sample], None] = lambda sample: None,
    seconds: float = math.inf,
) -> LongFigures:
    """Make `trials` trials of two images on the fast host; a thread looks on as a page does.

    Args:
        home: An empty folder.
        demo: The demo pair.
        trials: How many; at least 40.
        seed: Of the plan.
        told: Called with each sample.
        seconds: After so long the run is ended, with as many trials as it has.

    Raises:
        AssertionError: A trial failed, or none was finished for minutes.
    """
    rig = Rig(home, demo, FastHost)
    rig.host.choose(rig.checkpoint("demo-a"))
    _warm_up(rig, seed)
    threads, handles = _threads(), _handles()
    began = time.monotonic()
    clock: list[float] = []
    rig.hook("job", lambda title: clock.append(time.thread_time()))  # once per trial, on the worker thread
    rig.manager.start(_plan(rig.models, trials, seed))
    samples = _watch(rig, trials, clock, told, began + seconds)
    snapshot = rig.end()
    made = len(snapshot["trials"])
    assert made == trials or seconds < math.inf
    assert [trial["state"] for trial in snapshot["trials"]] == ["complete"] * made
    seconds = time.monotonic() - began
    rig.close()
    gc.collect()
    left = [path for path in home.rglob("*") if path.suffix in (".part", ".tmp") or path.name.startswith("run.db-")]
    threads_left = tuple(sorted(_threads() - threads))
    handles_left = tuple(handle for handle in _handles() if handle not in handles and "demo-" not in handle)
    return LongFigures(made, seconds, tuple(samples), threads_left, handles_left, tuple(path.name for path in left))


def _plan(models: Path, trials: int, seed: int) -> RunPlan:
    return make_plan(
        models,
        name="long",
        guide=Guide((ComponentGuide("text_encoder", (Strategy("all"),)),)),
        payloads=(payload("fox", width=32, height=32), payload("hill", seed=8, width=32, height=32)),
        sampler=SamplerSpec("random"),
        budget=Budget(trials),
        seed=seed,
    )


def _warm_up(rig: Rig, seed: int) -> None:
    """What is imported and built once is no growth."""
    rig.manager.start(_plan(rig.models, 3, seed))
    rig.end()
    json.dumps(rig.snapshot())


def _watch(rig: Rig, trials: int, clock: Sequence[float], told: Callable[[Sample], None], until: float) -> list[Sample]:
    samples: list[Sample] = []
    done: set[int] = set()
    revision, last = 0, time.monotonic()
    while len(samples) < _SAMPLES:
        snapshot = rig.manager.snapshot(revision)
        revision = snapshot["revision"]
        new = {trial["number"] for trial in snapshot["trials"] if trial["state"] == "complete"} - done
        done |= new
        last = time.monotonic() if new else last
        assert time.monotonic() - last < _STALLED, snapshot["sentence"]
        if len(done) * _SAMPLES >= trials * (len(samples) + 1):
            samples.append(_sample(rig, len(done), clock[samples[-1].trials if samples else 0 :]))
            told(samples[-1])
        if time.monotonic() > until:
            rig.manager.finish()
            break
        time.sleep(_LOOK)
    return samples


def _sample(rig: Rig, done: int, clock: Sequence[float]) -> Sample:
    revision = rig.manager.snapshot()["revision"]
    poll, text = _timed(lambda: rig.manager.snapshot(revision))
    whole, all_text = _timed(rig.manager.snapshot)
    folder = rig.folder_of(rig.snapshot()["run"]["folder"])
    size = sum(path.stat().st_size for path in folder.path.glob("run.db*") if not path.name.endswith("-shm"))
    cpu = statistics.median(after - before for before, after in itertools.pairwise(clock))
    return Sample(
        done, _rss(), threading.active_count(), len(_handles()), size, cpu, poll, len(text),
        whole, len(all_text),
    )  # fmt: skip


def _timed(snapshot: Callable[[], dict[str, Any]]) -> tuple[float, str]:
    """The least of several: the machine may be busy, and the run goes on meanwhile."""
    best, text = float("inf"), ""
    for _ in range(7):
        began = time.perf_counter()
        text = json.dumps(snapshot())
        best = min(best, time.perf_counter() - began)
    return best, text


def _rss() -> int:
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def _handles() -> Sequence[str]:
    names = []
    for handle in Path("/proc/self/fd").iterdir():
        try:
            names.append(str(handle.readlink()))
        except OSError:  # the one that lists them
            continue
    return names
