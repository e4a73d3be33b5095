"""Comparisons as rows of ``run.db``: their table, and both directions."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from lib_optim.plan.errors import StoreError
from lib_optim.plan.judging import Comparison

__all__ = ["COMPARISONS", "comparison_of", "row_of"]

COMPARISONS = """
CREATE TABLE comparisons (
    id INTEGER PRIMARY KEY, pass INTEGER NOT NULL, shown TEXT NOT NULL, outcome TEXT NOT NULL, best INTEGER,
    worst INTEGER, broken TEXT NOT NULL, subjects TEXT NOT NULL, request TEXT NOT NULL UNIQUE, undoes TEXT NOT NULL,
    created REAL NOT NULL)
"""
"""Append-only: nothing is ever changed or deleted. `shown`: ``[[trial, image], …]`` from left to right."""


def row_of(comparison: Comparison) -> dict[str, object]:
    """Return the columns of a comparison."""
    return {
        "pass": comparison.pass_id,
        "shown": json.dumps(comparison.shown),
        "outcome": comparison.outcome,
        "best": comparison.best,
        "worst": comparison.worst,
        "broken": json.dumps(comparison.broken),
        "subjects": json.dumps(comparison.subjects),
        "request": comparison.request,
        "undoes": comparison.undoes,
        "created": comparison.created or time.time(),
    }


def comparison_of(row: Sequence[Any]) -> Comparison:
    """Return the comparison of a row, whose columns are those of `row_of`.

    Raises:
        StoreError: It is damaged.
    """
    pass_id, shown, outcome, best, worst, broken, subjects, request, undoes, created = row
    try:
        pictures = tuple((int(trial), int(image)) for trial, image in json.loads(shown))
        failed, waited = (tuple(map(int, json.loads(text))) for text in (broken, subjects))
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"The run's database is damaged: a comparison cannot be read ({error}); put a copy of run.db back."
        ) from error
    return Comparison(pass_id, pictures, outcome, best, worst, failed, waited, request, undoes, created)
