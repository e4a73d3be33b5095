"""The last sentence of a run: which trial won, and how that is known."""

from __future__ import annotations

from lib_optim.plan.records import Trial, Verdict

__all__ = ["winner_sentence"]


def winner_sentence(best: Trial, verdict: Verdict | None, verifies: bool, chosen: int | None, unbeaten: int = 0) -> str:
    """Say it.

    Args:
        best: The trial that is saved.
        verdict: What the verification has shown, if it came to its end.
        verifies: Whether there was something to verify.
        chosen: The trial that the user chose, if any.
        unbeaten: With several goals, how many trials no other one beats on all of them.
    """
    said = _won(best, verdict, verifies, chosen)
    if unbeaten > 1 and best.number != chosen:
        said += f" {unbeaten} trials are beaten by no other one on all goals: choose among them."
    return said


def _won(best: Trial, verdict: Verdict | None, verifies: bool, chosen: int | None) -> str:
    row = next((row for row in verdict.finalists if row.trial == best.number), None) if verdict is not None else None
    yours = best.number == chosen
    if row is not None:
        fresh = "" if row.fresh is None else f": {row.fresh:.4g} there, {row.before:.4g} in the search"
        return f"{'Your choice' if yours else 'Winner'}: trial {best.number}, verified on fresh seeds{fresh}."
    if yours:
        return f"Your choice: trial {best.number} with {best.value:.4g}{', not verified' if verifies else ''}."
    if verifies:
        return f"Best so far: trial {best.number} with {best.value:.4g}, not verified."
    return f"Best: trial {best.number} with {best.value:.4g}."
