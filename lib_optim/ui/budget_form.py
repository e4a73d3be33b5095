"""What the form says of the budget: how many trials, and when to stop earlier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_optim.plan.errors import Problem
from lib_optim.plan.run_plan import Budget
from lib_optim.ui.fields import optional_number, whole

__all__ = ["budget_from_form", "default_stop"]

MAX_TRIALS = 100_000
_WHOLE = {"images": "The limit of images", "patience": "The patience"}


def default_stop() -> dict[str, Any]:
    """Return the stop rules of a new form: none. An empty field sets no rule."""
    return {"images": "", "minutes": "", "patience": "", "min_delta": "", "target": ""}


def budget_from_form(form: Mapping[str, Any], problems: list[Problem]) -> Budget:
    """Return the budget that ``trials`` and ``stop`` of a form describe; adds a sentence per problem."""
    trials = whole(form, "trials", 1, MAX_TRIALS, "The number of trials", problems)
    stop = form.get("stop") or {}
    counts: dict[str, int] = {}
    for name, label in _WHOLE.items():
        found = optional_number(stop, name, f"budget.{name}", label, problems, low=0) or 0
        if found != int(found):
            problems.append(Problem(f"budget.{name}", f"{label} must be a whole number, or empty, not {found:g}."))
        counts[name] = int(found)
    return Budget(
        trials,
        counts["images"],
        optional_number(stop, "minutes", "budget.minutes", "The limit of minutes", problems, low=0) or 0.0,
        counts["patience"],
        optional_number(stop, "min_delta", "budget.min_delta", "What counts as better", problems, low=0) or 0.0,
        optional_number(stop, "target", "budget.target", "The target score", problems),
    )
