"""Rows of ``run.db`` back into what they record; a row that somebody has changed is one sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, get_args

from lib_optim.plan.errors import StoreError
from lib_optim.plan.records import Trial, TrialState

__all__ = ["json_of", "trial_of"]


def trial_of(row: Sequence[Any]) -> Trial:
    """Return the trial of a row, whose columns are those of `Store.trials`.

    Raises:
        StoreError: It is damaged.
    """
    number, state, values, origin, recipe, value, reason, seconds, *rest = row
    what = f"trial {number}"
    if state not in get_args(TrialState):
        raise _damaged(what, f"there is no state '{state}'")
    if not (value is None or isinstance(value, float)):
        raise _damaged(what, f"its score is '{value}'")
    return Trial(number, state, json_of(values, what), origin, recipe, value, reason, json_of(seconds, what), *rest)


def json_of(text: str, what: str) -> dict[str, Any]:
    """Return the JSON object of a column of `what`.

    Raises:
        StoreError: It is none.
    """
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:  # the first: a column that holds bytes or nothing
        raise _damaged(what, str(error)) from error
    if not isinstance(found, dict):
        raise _damaged(what, "not an object")
    return found


def _damaged(what: str, why: str) -> StoreError:
    return StoreError(f"The run's database is damaged: {what} cannot be read ({why}); put a copy of run.db back.")
