"""What the form says of how scores are combined, and of which payloads a judge looks at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lib_optim.plan.combining import Combining, combining_problems
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.ui.fields import number

__all__ = ["combining_from_form", "default_combining", "judged_payloads"]


def default_combining() -> dict[str, Any]:
    """Return the combination of a new form."""
    return {name: value for name, value in Combining().to_json().items() if name != "version"}


def combining_from_form(form: Mapping[str, Any], problems: list[Problem]) -> Combining:
    """Return what ``combining`` of a form says, what it leaves out as in a new one; adds a sentence per problem."""
    given = {**default_combining(), **(form.get("combining") or {})}
    spread = number(given["spread"] if given["spread"] != "" else 0)
    try:
        combining = Combining.from_json({**given, "spread": -1.0 if spread is None else spread}, "combining")
    except PlanError as error:
        problems.extend(error.problems)
        return Combining()
    problems.extend(combining_problems(combining))
    return combining


def judged_payloads(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the payloads that a judge of the form looks at: names or wildcards with commas between; empty: all."""
    given = row.get("payloads") or ""
    parts = re.split(r"[,\n]", given) if isinstance(given, str) else map(str, given)
    return tuple(filter(None, (part.strip() for part in parts)))
