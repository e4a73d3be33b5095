"""Nearest match for names that the user typed wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean"]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the closest of `known`, or an empty string if none is close."""
    by_fold = {candidate.casefold(): candidate for candidate in known}
    begins = [candidate for candidate in by_fold if len(name) > 2 and candidate.startswith(name.casefold())]
    matches = begins if len(begins) == 1 else difflib.get_close_matches(name.casefold(), by_fold, n=1, cutoff=0.5)
    return f" Did you mean '{by_fold[matches[0]]}'?" if matches else ""
