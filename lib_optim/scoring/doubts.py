"""How sure a scorer is of its own scores, if it can tell: recorded beside the score, and no part of a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["doubt_key", "doubts_of"]

_ENDING = ": doubt"


def doubt_key(scorer: str) -> str:
    """Return what the doubts of the scorer with this id are recorded under, like a score."""
    return f"{scorer}{_ENDING}"


def doubts_of(scorer: Any) -> Sequence[float]:
    """Return the standard deviations of the scores that `scorer` gave last; empty for one that cannot tell."""
    doubts = getattr(scorer, "doubts", None)
    return doubts() if callable(doubts) else ()
