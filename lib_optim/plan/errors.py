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
]


class OptimError(Exception):
    """Root of all expected errors. ``str(error)`` is one sentence fit for the user interface."""


@dataclass(frozen=True)
class Problem:
    """One reason why a plan cannot run.

    Attributes:
        where: Dotted path of the offending field, e.g. ``"payloads[2].steps"``.
        sentence: What is wrong, why, and what to do, in one sentence.
    """

    where: str
    sentence: str

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
        super().__init__(" ".join(str(problem) for problem in self.problems))


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
