"""What a run leaves behind: trials, images and scores, as they stand in its database and CSV."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lib_optim.plan.bounds import Value
from lib_optim.plan.noun import Noun

__all__ = ["ImageRecord", "Score", "Trial", "TrialState"]

TrialState = Literal["running", "waiting", "complete", "failed", "skipped"]


@dataclass(frozen=True)
class Trial(Noun):
    """One merge that was tried.

    Attributes:
        number: From 0, in the order of suggestion; never used twice.
        state: ``waiting``: all images are there, a human score is missing. ``skipped``: by the user.
        values: Parameter name to value.
        origin: ``start: <name>``, ``preset: <name>``, ``design: <kind> <number>``, ``sampler: <id>`` or
            ``requeued: <number>``.
        recipe: Short hash of the recipe; names the merge in every image.
        value: Combined score, or None unless complete.
        reason: Why it failed or was skipped, one sentence.
        seconds: Wall time by step: ``merge``, ``generate``, ``score``, ``restore``.
        started: Unix time.
        finished: Unix time or None.
    """

    number: int
    state: TrialState
    values: Mapping[str, Value]
    origin: str
    recipe: str = ""
    value: float | None = None
    reason: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    started: float = 0.0
    finished: float | None = None


@dataclass(frozen=True)
class ImageRecord(Noun):
    """One generated image. `file` is relative to the run folder; `pixels` is a hash of its RGB pixels."""

    trial: int
    index: int
    payload: str
    seed: int
    file: str
    infotext: str
    pixels: str
    seconds: float = 0.0
    skipped: bool = False


@dataclass(frozen=True)
class Score(Noun):
    """One raw score. Human scores carry the request's id, and are never deleted, only `removed`."""

    trial: int
    image: int
    scorer: str
    raw: float
    request: str = ""
    removed: bool = False
    created: float = 0.0
