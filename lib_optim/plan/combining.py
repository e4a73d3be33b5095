"""How the scores of a trial's images become its one number: what the user may choose."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lib_optim.plan.errors import Problem
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.noun import Noun

__all__ = ["AS_BEFORE", "GUARDS", "Combining", "Mean", "combining_problems"]

Mean = Literal["arithmetic", "geometric", "harmonic", "quadratic", "median", "min"]

GUARDS = ("black", "blank", "clipped", "duplicate")
"""What fails a trial instead of being scored: `lib_optim.scoring.guards` has the definitions."""


@dataclass(frozen=True)
class Combining(Noun):
    """The definitions are in `lib_optim.scoring.combine` and `lib_optim.scoring.means`.

    Attributes:
        scale: What several judges are brought to before they are averaged. ``calibrated``: how far a score lies from
            those of the start design, in their spread. ``typical``: the judge's typical bad is 0, its good 1. ``auto``:
            calibrated where there are several judges; one judge keeps its own numbers.
        mean: Over the judges of an image, by their weights.
        payload_mean: Over the payloads of a trial, by their score weights and numbers of images.
        spread: 0 to 1: how much of the distance from a payload's mean down to its worst seed is taken off. 0 is the
            mean of its seeds, 1 the worst of them.
        guards: Which of `GUARDS` fail a trial.
    """

    scale: Literal["auto", "calibrated", "typical"] = "auto"
    mean: Mean = "arithmetic"
    payload_mean: Mean = "arithmetic"
    spread: float = 0.0
    guards: tuple[str, ...] = GUARDS

    def calibrates(self, judges: int) -> bool:
        """Whether so many judges are brought to the calibrated scale."""
        return self.scale == "calibrated" or (self.scale == "auto" and judges > 1)


AS_BEFORE = Combining(scale="typical", guards=())
"""What plans and passes meant that were written before there was a choice."""


def combining_problems(combining: Combining) -> Iterator[Problem]:
    """Yield what is wrong with `combining`."""
    if not (math.isfinite(combining.spread) and 0 <= combining.spread <= 1):
        yield Problem(
            "combining.spread",
            f"The share of the worst seed must lie between 0 (the mean of the seeds) and 1 (the worst of them), not "
            f"{combining.spread:g}.",
        )
    for name in combining.guards:
        if name not in GUARDS:
            yield Problem("combining.guards", f"There is no guard '{name}'.{did_you_mean(name, GUARDS)}")
