"""What a run leaves behind: trials, images and scores, as they stand in its database and CSV."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lib_optim.plan.bounds import Value
from lib_optim.plan.noun import Noun

__all__ = ["Finalist", "ImageRecord", "Score", "Trial", "TrialState", "Verdict"]

TrialState = Literal["running", "waiting", "complete", "failed", "skipped"]


@dataclass(frozen=True)
class Trial(Noun):
    """One merge that was tried.

    Attributes:
        number: From 0, in the order of suggestion; never used twice.
        state: ``waiting``: all images are there, a human score is missing. ``skipped``: by the user.
        values: Parameter name to value.
        origin: ``start: <name>``, ``preset: <name>``, ``design: <kind> <number>``, ``sampler: <id>``,
            ``requeued: <number>``, ``best: <number>`` and ``rescored: <number>`` (what a later pass takes over) or
            ``verify: <number>``.
        recipe: Short hash of the recipe; names the merge in every image.
        value: Combined score, or None unless complete.
        reason: Why it failed or was skipped, one sentence.
        seconds: Wall time by step: ``merge``, ``generate``, ``score``, ``restore``.
        started: Unix time.
        finished: Unix time or None.
        pass_id: The pass it belongs to, from 1.
        axes: Where its pass has several objectives, its value on each, like `value`. Computed from the raw scores, and
            no part of the record.
        watched: What the judges that are only watched think of it: mean raw scores by judge, computed likewise.
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
    pass_id: int = 1
    axes: Mapping[str, float] = field(default_factory=dict)
    watched: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ImageRecord(Noun):
    """One generated image. `file` is relative to the run folder; `pixels` is a hash of the file's RGB pixels."""

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


@dataclass(frozen=True)
class Finalist(Noun):
    """One of the best trials of a search, before and after.

    Attributes:
        trial: Its number.
        again: The trial in which it was made again.
        before: Its value in the search.
        fresh: Its value on fresh seeds of the search's payloads; None if all of them were skipped.
        held_out: Its value on the held-out payloads; None if there are none.
        opinions: Held-out scorer to mean raw score over the images of `again`.
        together: Before and after in one, each image counting alike: what decides.
        axes_before: Where there are several objectives, its value on each in the search.
        axes_fresh: The same on fresh seeds.
    """

    trial: int
    again: int
    before: float
    fresh: float | None
    held_out: float | None
    opinions: Mapping[str, float]
    together: float
    axes_before: Mapping[str, float] = field(default_factory=dict)
    axes_fresh: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict(Noun):
    """The outcome of a verification. `finalists` in the order of their value in the search; `failed` could not be
    made again, or were skipped."""

    winner: int
    finalists: tuple[Finalist, ...]
    failed: tuple[int, ...] = ()
