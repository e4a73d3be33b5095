"""What may change in mid-run, as a new pass, and what would be another run."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

from lib_optim.plan.errors import PlanError, Problem
from lib_optim.run.check import Resolved
from lib_optim.run.folder import RunFolder
from lib_optim.run.store import Store

__all__ = ["later_passes", "refuse_another_run"]

_KEPT: tuple[tuple[str, str, Callable[[Resolved], Any]], ...] = (
    ("models", "The models", lambda r: [path.resolve() for path in r.models]),
    ("method", "The merge method", lambda r: (r.method.id, r.plan.recipe, r.plan.adjust)),
    ("guide", "What to vary", lambda r: r.space),
)
"""Place in the plan, what the user knows it by, and what must be the same."""


def refuse_another_run(now: Resolved, wanted: Resolved) -> None:
    """Make sure that `wanted` differs from `now` only in what a pass can change.

    Raises:
        PlanError: It differs in something else, a sentence each.
    """
    problems = [
        Problem(
            where,
            f"{label} cannot change in mid-run; put that back as it was, or stop this run and start a new one.",
        )
        for where, label, of in _KEPT
        if of(now) != of(wanted)
    ]
    if problems:
        raise PlanError(problems)


def later_passes(folder: RunFolder) -> bool:
    """Tell whether a run is beyond its first pass, by its record.

    Raises:
        StoreError: The record cannot be read.
    """
    with contextlib.closing(Store(folder.record())) as store:
        return any(json.loads(text).get("kind") == "search" for _, text in store.passes()[1:])
