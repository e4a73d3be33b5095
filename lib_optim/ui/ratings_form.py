"""The user's own eyes as the form writes them: one way to judge, or several ratings: ``anatomy=2, style, prompt``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_optim.plan.errors import Problem
from lib_optim.plan.scorers import MANUAL, ScorerSpec
from lib_optim.ui.fields import number

__all__ = ["MOST_RATINGS", "own_eyes", "ratings_from_text"]

MOST_RATINGS = 8
"""More rows than that nobody fills for every image."""


_OPTIONS = {"pairs": ("comparisons",), "grid": ("comparisons", "pictures")}
_LABELS = {"comparisons": "The comparisons per trial", "pictures": "The pictures of a grid"}


def own_eyes(row: Mapping[str, Any], weight: float, where: str, problems: list[Problem]) -> list[ScorerSpec]:
    """Return the scorers that the form's row of the user's own eyes stands for.

    Args:
        row: With ``ratings`` (a text) or, under ``options``, another way to judge.
        weight: That of the user's own eyes as a whole.
        where: Path of the row, for the problems.
        problems: Gets a sentence for each that cannot be.
    """
    given = row.get("options") or {}
    way = str(given.get("way") or "rate")
    if way == "rate":
        return ratings_from_text(str(row.get("ratings") or ""), weight, f"{where}.ratings", problems)
    options: dict[str, Any] = {"way": way}
    for name in _OPTIONS.get(way, ()):
        if str(given.get(name, "")).strip():
            value = number(given[name])
            if value is None:
                problems.append(Problem(f"{where}.{name}", f"{_LABELS[name]} must be a number."))
            else:
                options[name] = int(value) if float(value).is_integer() else value
    return [ScorerSpec(MANUAL, weight, options=options)]


def ratings_from_text(text: str, weight: float, where: str, problems: list[Problem]) -> list[ScorerSpec]:
    """Return one scorer per rating, each weighing `weight` times its own; one without a name if `text` is empty.

    Args:
        text: Names with weights, ``name`` or ``name=weight``, between commas.
        weight: That of the user's own eyes as a whole.
        where: Path of the field, for the problems.
        problems: Gets a sentence for each that cannot be.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        return [ScorerSpec(MANUAL, weight)]
    if len(parts) > MOST_RATINGS:
        problems.append(Problem(where, f"{len(parts)} ratings per image are too many; name at most {MOST_RATINGS}."))
    specs: list[ScorerSpec] = []
    for part in parts:
        name, given, share_text = (piece.strip() for piece in part.partition("="))
        share = number(share_text) if given else 1.0
        if not name or len(name) > 40:
            problems.append(Problem(where, f"The rating '{part}' needs a name of 1 to 40 characters."))
        elif share is None or share <= 0:
            problems.append(Problem(where, f"The weight of the rating '{name}' must be a number above 0."))
        elif any(spec.name == name for spec in specs):
            problems.append(Problem(where, f"The rating '{name}' is named twice; keep one."))
        else:
            specs.append(ScorerSpec(MANUAL, weight * share, name=name))
    return specs
