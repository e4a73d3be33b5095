"""What a sampler of our own is told before it proposes: the space, the record, the trial and the seeds."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from lib_optim.plan.bounds import Value
from lib_optim.plan.records import Trial
from lib_optim.plan.space import Parameter

__all__ = ["ATTEMPTS", "Record", "TakesRecord", "derived_seed", "score_of", "scores_of"]

ATTEMPTS = 5
"""How often a sampler is asked for a merge that was not tried yet."""


@dataclass(frozen=True)
class Record:
    """The past, as a sampler may use it.

    Attributes:
        parameters: The dimensions, in the space's order.
        trials: Every known trial, by number; failed and skipped ones have no value.
        number: Of the trial to propose.
        seed: The pass seed.
        origin: How the proposals of this sampler are marked in the record.
        earlier: Values and score of trials of an earlier run, on that run's scale.
        attempt: How many proposals for this trial were refused, because they had been tried before.
    """

    parameters: tuple[Parameter, ...]
    trials: tuple[Trial, ...]
    number: int
    seed: int
    origin: str
    attempt: int = 0
    earlier: tuple[tuple[Mapping[str, Value], float], ...] = ()

    def own(self) -> Iterator[Trial]:
        """Yield what this sampler proposed before, by number, scored or not."""
        return (trial for trial in self.trials if trial.origin == self.origin and trial.number < self.number)

    def scored(self) -> Iterator[tuple[Trial, float]]:
        """Yield every trial that has a finite value, with it, by number."""
        for trial in self.trials:
            value = score_of(trial)
            if value is not None:
                yield trial, value

    @property
    def index(self) -> int:
        """The place in a sequence: how many trials before this one were this sampler's, or are not known yet.

        Further by one with each attempt: a point that is left out shifts all that follow.
        """
        return self.attempt + self.number - sum(t.origin != self.origin for t in self.trials if t.number < self.number)


@runtime_checkable
class TakesRecord(Protocol):
    """A sampler that wants to be told the record before each suggestion."""

    def take(self, record: Record) -> None:
        """Note the record; `sample_relative` follows."""


def score_of(trial: Trial) -> float | None:
    """Return the value that counts, or None: failures are not scores."""
    usable = trial.state == "complete" and trial.value is not None and math.isfinite(trial.value)
    return trial.value if usable else None


def scores_of(trial: Trial, axes: Sequence[str]) -> list[float] | None:
    """Return the values that count, one per axis, or `score_of` alone where there are no axes; None as there."""
    value = score_of(trial)
    if value is None or not axes:
        return None if value is None else [value]
    usable = all(math.isfinite(trial.axes.get(axis, math.nan)) for axis in axes)
    return [trial.axes[axis] for axis in axes] if usable else None


def derived_seed(seed: int, number: int, attempt: int = 0) -> int:
    """Return the seed for the suggestion of trial `number`, 0 to 2**32 - 1."""
    again = f" {attempt}" if attempt else ""
    digest = hashlib.sha256(f"optim suggestion {seed} {number}{again}".encode()).digest()
    return int.from_bytes(digest[:4], "little")
