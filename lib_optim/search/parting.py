"""Whether a search has begun to please its judges at the cost of one that is only watched, told from its trials.

A judge that decides can be fooled; a judge that the search never sees is not what it learns to fool. So the two are
compared where it matters, at the trials that set a new best:

- **rises**: in the last third of the scored trials there is a new best;
- **falls**: the watched score of the last bests before that third (up to three), on average, less that of the last new
  bests in it (up to three), is more than twice the watched score's noise;
- **noise**: 1.4826 times the median absolute difference between the watched scores of neighbouring trials, by √2: their
  standard deviation without what changes slowly (after von Neumann 1941; made robust).

With a watched judge that has nothing to do with the objective this seldom speaks up (`tests/search/test_parting.py`
counts it); it is a hint to look at the images, not a proof.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LEAST", "Parting", "parting"]

LEAST = 12
"""With fewer scored trials nothing is said."""
_BESTS = 3
_TIMES = 2.0


@dataclass(frozen=True)
class Parting:
    """How far they parted: the mean watched score of the last bests before the last third, and of those in it."""

    before: float
    after: float


def parting(points: Sequence[tuple[float, float]], lower_is_better: bool = False) -> Parting | None:
    """Return how objective and watched score part, or None if they do not.

    Args:
        points: Value and watched score of each scored trial, in the order in which they were made.
        lower_is_better: Whether a smaller watched score is a better one.
    """
    if len(points) < LEAST:
        return None
    cut = 2 * len(points) // 3
    bests: list[int] = []
    for i, (value, _) in enumerate(points):
        if not bests or value > points[bests[-1]][0]:
            bests.append(i)
    before = [points[i][1] for i in bests if i < cut][-_BESTS:]
    after = [points[i][1] for i in bests if i >= cut][-_BESTS:]
    if not after:
        return None
    found = Parting(math.fsum(before) / len(before), math.fsum(after) / len(after))
    fall = (found.after - found.before) if lower_is_better else (found.before - found.after)
    scores = [watched for _, watched in points]
    steps = [abs(b - a) for a, b in itertools.pairwise(scores)]
    noise = 1.4826 * statistics.median(steps) / math.sqrt(2)
    return found if fall > _TIMES * noise and fall > 0 else None
