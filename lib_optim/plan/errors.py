"""Every error that Optim raises on purpose.

OptimError                 one sentence for the user: what, why, what to do
├── PlanError              the plan cannot be run; carries every problem found
├── CheckpointError        a checkpoint file is missing, truncated or not what it says
├── MergeError             a recipe cannot be built, evaluated, written or verified
├── HostError              the host refused or failed
│   ├── HostChanged        somebody else changed the host's model; the run pauses
│   └── Interrupted        generation was interrupted or skipped; nothing was produced
├── ScorerError            a scorer cannot load, or failed on an image
├── StoreError             the run folder cannot be read or written
└── RunError               a command that does not fit the state of the run
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "CheckpointError",
    "HostChanged",
    "HostError",
    "Interrupted",
    "MergeError",
    "OptimError",
    "PlanError",
    "Problem",
    "RunError",
    "ScorerError",
    "StoreError",
    "shown",
]


_UNSHOWN = re.compile(
    "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]"
)
"""Control characters, halves of characters, and what turns the direction of the text around it."""
_MOST_CHARACTERS = 1200


def shown(sentence: str) -> str:
    """Return a sentence as it may be shown, logged and sent: it often quotes what a stranger wrote."""
    sentence = _UNSHOWN.sub("\ufffd", sentence)
    if len(sentence) <= _MOST_CHARACTERS:
        return sentence
    half = _MOST_CHARACTERS // 2
    return f"{sentence[:half]} … {sentence[-half:]}"


class OptimError(Exception):
    """Root of all expected errors. ``str(error)`` is one sentence fit for the user interface."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(shown(part) if isinstance(part, str) else part for part in arguments))


@dataclass(frozen=True)
class Problem:
    """One reason why a plan cannot run.

    Attributes:
        where: Dotted path of the offending field, e.g. ``"payloads[2].steps"``.
        sentence: What is wrong, why, and what to do, in one sentence.
    """

    where: str
    sentence: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "sentence", shown(self.sentence))

    def __str__(self) -> str:
        return self.sentence


class PlanError(OptimError):
    """The plan cannot be run.

    Args:
        problems: Every problem found, in the order of the plan. At least one.
    """

    def __init__(self, problems: Iterable[Problem] | str) -> None:
        if isinstance(problems, str):
            problems = (Problem("", problems),)
        self.problems: tuple[Problem, ...] = tuple(problems)
        # Whole: each sentence is short enough.
        Exception.__init__(self, " ".join(str(problem) for problem in self.problems))


class CheckpointError(OptimError):
    """A checkpoint file is missing, truncated, of an unknown architecture, or changed on disk."""


class MergeError(OptimError):
    """A recipe cannot be built, evaluated, written or verified."""


class HostError(OptimError):
    """The host refused or failed."""


class HostChanged(HostError):
    """The host's model is not the one the run started with; the run pauses with this sentence."""


class Interrupted(HostError):
    """Generation was interrupted or skipped. No image was produced that may be scored."""


class ScorerError(OptimError):
    """A scorer cannot be loaded, or failed on an image; never turned into a number."""


class StoreError(OptimError):
    """The run folder or its database cannot be read or written."""


class RunError(OptimError):
    """A command does not fit the state of the run (a second Start, a score for an unknown image)."""
