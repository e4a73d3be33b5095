"""What the form says of the verification: how many finalists, and what is held out for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_optim.plan.errors import Problem
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.payload import Payload
from lib_optim.plan.run_plan import VerifySpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.ui.fields import whole

__all__ = ["default_verify", "verify_from_form"]

MAX_FINALISTS = 20


def default_verify() -> dict[str, Any]:
    """Return the verification of a new form: the best three again, nothing held out."""
    return {"finalists": VerifySpec().finalists, "payloads": [], "scorer": ""}


def verify_from_form(
    form: Mapping[str, Any], payloads: Mapping[str, Payload], scorers: Mapping[str, Any], problems: list[Problem]
) -> VerifySpec:
    """Return the verification that ``verify`` of a form describes; adds a sentence per problem.

    Args:
        form: The form.
        payloads: Name to payload.
        scorers: Scorer id to anything.
        problems: Where sentences go.
    """
    given = {**default_verify(), **(form.get("verify") or {})}
    finalists = whole(given, "finalists", 0, MAX_FINALISTS, "The number of finalists", problems)
    names = [str(name) for name in given["payloads"]] if finalists else []
    for name in names:
        if name not in payloads:
            hint = did_you_mean(name, payloads)
            problems.append(Problem("verify.payloads", f"The held-out payload '{name}' is not there any more.{hint}"))
    judge = str(given["scorer"] or "") if finalists else ""
    if judge and judge not in scorers:
        problems.append(Problem("verify.scorers", f"There is no judge '{judge}'.{did_you_mean(judge, scorers)}"))
        judge = ""
    held_out = tuple(payloads[name] for name in names if name in payloads)
    return VerifySpec(finalists, held_out, (ScorerSpec(judge),) if judge else ())
