"""What the form says of the later passes: each names only what it does otherwise than the first."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from lib_optim.plan.errors import Problem
from lib_optim.plan.payload import Payload
from lib_optim.plan.run_plan import Budget, PassSpec, SamplerSpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.ui.budget_form import budget_from_form, default_stop

__all__ = ["passes_from_form"]

Payloads = Callable[[Mapping[str, Any], list[Problem]], tuple[Payload, ...]]
Scorers = Callable[[Mapping[str, Any], list[Problem]], tuple[ScorerSpec, ...]]


def passes_from_form(
    form: Mapping[str, Any], payloads: Payloads, scorers: Scorers, problems: list[Problem]
) -> tuple[PassSpec, ...]:
    """Return the later passes that ``passes`` of a form describes; adds a sentence per problem.

    A pass is ``{name, payloads, scorers, sampler, trials, stop, free}``; a field that is absent, null or empty is as
    in the first pass.

    Args:
        form: The form.
        payloads: Reads ``payloads`` of a form.
        scorers: Reads ``scorers`` of a form.
        problems: Where sentences go.
    """
    specs = []
    for i, row in enumerate(form.get("passes") or ()):
        found: list[Problem] = []
        specs.append(_pass(row, form, payloads, scorers, found))
        problems.extend(Problem(f"passes[{i}].{p.where}", f"Pass {i + 2}: {p.sentence}") for p in found)
    return tuple(specs)


def _pass(
    row: Mapping[str, Any], form: Mapping[str, Any], payloads: Payloads, scorers: Scorers, problems: list[Problem]
) -> PassSpec:
    sampler = str(row.get("sampler") or "")
    return PassSpec(
        str(row.get("name") or "").strip(),
        payloads(row, problems) if row.get("payloads") else None,
        scorers(row, problems) if row.get("scorers") else None,
        SamplerSpec(sampler, _options(form, sampler), presets=()) if sampler else None,
        _budget(row, form, problems),
        tuple(filter(None, re.split(r"[,\s]+", str(row.get("free") or "")))),
    )


def _options(form: Mapping[str, Any], sampler: str) -> dict[str, Any]:
    """Return the options that the form's first pass would take for this sampler."""
    given = (form.get("sampler_options") or {}).get(sampler) or {}
    return {str(name): value for name, value in given.items() if value is not None}


def _budget(row: Mapping[str, Any], form: Mapping[str, Any], problems: list[Problem]) -> Budget | None:
    rules = {**default_stop(), **(row.get("stop") or {})}
    if row.get("trials") in (None, "") and rules == default_stop():
        return None
    return budget_from_form({"trials": row.get("trials") or form.get("trials"), "stop": rules}, problems)
