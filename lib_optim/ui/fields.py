"""Numbers as a form holds them: typed by a person, so that they may be text, empty or nonsense."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lib_optim.plan.errors import Problem

__all__ = ["number", "optional_number", "whole"]


def number(value: Any) -> float | None:
    """Return `value` as a finite number, or None if it is none."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):  # the last: a whole number beyond every float
        return None
    return found if math.isfinite(found) else None


def whole(form: Mapping[str, Any], name: str, low: int, high: int, label: str, problems: list[Problem]) -> int:
    """Return ``form[name]`` as a whole number from `low` to `high`; adds to `problems` if it is none."""
    found = number(form.get(name))
    if found is None or found != int(found) or not low <= found <= high:
        problems.append(Problem(name, f"{label} must be a whole number from {low} to {high}."))
        return low
    return int(found)


def optional_number(
    form: Mapping[str, Any], name: str, where: str, label: str, problems: list[Problem], low: float | None = None
) -> float | None:
    """Return ``form[name]`` as a number, None if the field is empty; adds to `problems` if it is neither.

    Args:
        form: The fields.
        name: Of the field.
        where: Its place in the plan, for the problem.
        label: What the user knows it by.
        problems: Where a sentence goes.
        low: The least that makes sense, or None.
    """
    given = form.get(name)
    if given is None or (isinstance(given, str) and not given.strip()):
        return None
    found = number(given)
    if found is None or (low is not None and found < low):
        least = "" if low is None else f" from {low:g}"
        problems.append(Problem(where, f"{label} must be a number{least}, or empty, not '{given}'."))
        return None
    return found
