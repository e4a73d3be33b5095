"""How long a plan will take, going by the last run here: before the first one there is nothing to go by."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim.plan.payload import ImageJob
from lib_optim.plan.work import pixel_steps
from lib_optim.run.folder import write_atomic

if TYPE_CHECKING:
    from lib_optim.hosts.base import Host
    from lib_optim.run.passes import Passes
    from lib_optim.run.store import Store

__all__ = ["Pace", "known_pace", "measured_pace", "note_pace"]

_LEAST = 3  # images, for a figure that is worth anything
_ALIKE = 8.0  # images of up to so many times the work, or as small a part of it, are alike enough
_FILE = "pace.json"  # in the data folder: one row per device and architecture


@dataclass(frozen=True)
class Pace:
    """What an image and a trial took.

    Attributes:
        folder: The run that it was measured in.
        pixel: Seconds per pixel and sampling step, the median over its images.
        trial: Seconds that a trial takes beside its images (merging, judging, putting back), the median; without the
            time of a person.
        work: `pixel_steps` of its images, the mean.
    """

    folder: str
    pixel: float
    trial: float
    work: float

    def seconds(self, counts: Iterable[tuple[int, int]], jobs: Sequence[ImageJob]) -> float | None:
        """Return how long a plan will take, beside the time of a person.

        None where its images are far larger or smaller than those that were measured: what an image takes beside its
        steps is not known from one size alone.

        Args:
            counts: Trials and images per trial of each part of it (`PlanCheck.counts`).
            jobs: The images of one of its trials; those of other parts are taken to be like them.
        """
        work = statistics.fmean(pixel_steps(job.payload) for job in jobs)
        if not self.work / _ALIKE <= work <= self.work * _ALIKE:
            return None
        return sum(trials * (self.trial + images * self.pixel * work) for trials, images in counts)


def measured_pace(folder: str, store: Store, passes: Passes) -> Pace | None:
    """Return the pace of a run, None if it has too few images."""
    trials = {trial.number: trial for trial in store.trials() if trial.state == "complete"}
    made = [image for image in store.images() if image.trial in trials and not image.skipped and image.seconds > 0]
    works = [pixel_steps(passes.of(trials[image.trial]).jobs[image.index].payload) for image in made]
    if len(works) < _LEAST:
        return None
    pixels = [image.seconds / work for image, work in zip(made, works, strict=True)]
    beside = []
    for trial in trials.values():
        steps = ("merge", "restore") if passes.of(trial).manual else ("merge", "restore", "score")
        beside.append(sum(trial.seconds.get(step, 0.0) for step in steps))
    return Pace(folder, statistics.median(pixels), statistics.median(beside), statistics.fmean(works))


def note_pace(host: Host, architecture: str, pace: Pace) -> None:
    """Keep the pace for the next plan of models of this architecture.

    Raises:
        StoreError: It cannot be written.
    """
    path = host.paths().data / _FILE
    row = {"folder": pace.folder, "pixel": pace.pixel, "trial": pace.trial, "work": pace.work}
    write_atomic(path, json.dumps({**_rows(path), _key(host, architecture): row}, indent=1, ensure_ascii=False))


def known_pace(host: Host, architecture: str) -> Pace | None:
    """Return the pace of the last run of this host, on the same device, with models of `architecture`; or None."""
    row = _rows(host.paths().data / _FILE).get(_key(host, architecture))
    if not isinstance(row, dict):
        return None
    numbers = [row.get(name) for name in ("pixel", "trial", "work")]
    known = [float(v) for v in numbers if isinstance(v, int | float) and math.isfinite(v) and v >= 0]
    return Pace(str(row.get("folder", "")), *known) if len(known) == len(numbers) else None


def _key(host: Host, architecture: str) -> str:
    return f"{host.id} {host.merge_device()} {architecture}"


def _rows(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # none yet, or not ours: only an estimate is lost
        return {}
    return found if isinstance(found, dict) else {}
