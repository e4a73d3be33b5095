"""When a search is over, why, and in which phase it is: pure functions of the budget and the record."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import Budget

__all__ = ["Phase", "is_proposed", "is_rescored", "left_of", "phase_of", "rescored_origin", "why_over"]

_RESCORED = "rescored: "


def is_proposed(trial: Trial) -> bool:
    """Whether a sampler proposed the trial: all others (starts, presets, designs) belong to the start design."""
    return trial.origin.startswith("sampler:")


def rescored_origin(number: int) -> str:
    """Return the origin of a trial that is trial `number` of an earlier pass, scored again."""
    return f"{_RESCORED}{number}"


def is_rescored(trial: Trial) -> bool:
    """Whether the trial came from an earlier pass with its images: it cost nothing, and no budget counts it."""
    return trial.origin.startswith(_RESCORED)


def why_over(budget: Budget, trials: Sequence[Trial], images: int, next_images: int) -> str:
    """Return why the search is over, one sentence, or an empty string while it goes on.

    Args:
        budget: Its rules.
        trials: Its trials in the order in which they were made, in every state.
        images: How many images they made, and those that are set aside for the verification.
        next_images: How many one more trial would make.
    """
    scored = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    if budget.target is not None:
        reached = next((trial for trial in scored if (trial.value or 0.0) >= budget.target), None)
        if reached is not None:
            return f"Trial {reached.number} reached the target of {budget.target:.4g}."
    if sum(not is_rescored(trial) for trial in scored) >= budget.trials:
        return "The one trial is done." if budget.trials == 1 else f"All {budget.trials} trials are done."
    if budget.images and images + next_images > budget.images:
        return f"The budget of {budget.images} images is spent: one more trial would make {next_images}."
    if budget.minutes and sum(map(_seconds, trials)) >= 60 * budget.minutes:
        return f"The {budget.minutes:g} minutes of work are spent."
    if budget.patience and _idle(scored, budget.min_delta) >= budget.patience:
        more = f" by more than {budget.min_delta:g}" if budget.min_delta else ""
        return f"{budget.patience} proposed trials in a row did not beat the best{more}."
    return ""


def left_of(budget: Budget, trials: Sequence[Trial], images: int) -> Budget | None:
    """Return what `trials` leave of their budget for a search that goes on otherwise; None if that is no trial.

    Args:
        budget: Its rules; patience and target begin anew.
        trials: Its trials, in every state: one under way is counted as made.
        images: How many images they made, and will make.
    """
    made = sum(trial.state not in ("failed", "skipped") and not is_rescored(trial) for trial in trials)
    left = dataclasses.replace(
        budget,
        trials=budget.trials - made,
        images=budget.images and budget.images - images,
        minutes=budget.minutes and budget.minutes - sum(map(_seconds, trials)) / 60,
    )
    limited = ((budget.images, left.images), (budget.minutes, left.minutes))  # 0 is no limit
    spent = left.trials < 1 or any(limit and rest <= 0 for limit, rest in limited)
    return None if spent else left


def _seconds(trial: Trial) -> float:
    return sum(trial.seconds.values())


def _idle(scored: Sequence[Trial], min_delta: float) -> int:
    """Return how many proposed trials came after the last one that beat the best before it by more than `min_delta`."""
    best, idle = float("-inf"), 0
    for trial in scored:
        value = trial.value or 0.0
        if value > best + min_delta:
            best, idle = value, 0
        elif is_proposed(trial):
            idle += 1
    return idle


@dataclass(frozen=True)
class Phase:
    """Where a search stands.

    Attributes:
        name: ``start design`` or ``search``.
        done: Position of the trial under way, or the number of finished ones, within the phase.
        total: How many the phase has.
    """

    name: str
    done: int
    total: int

    def __str__(self) -> str:
        return f"{self.name} {self.done}/{self.total}"


def phase_of(most: int, starts: int, trials: Sequence[Trial]) -> Phase:
    """Return the phase of a search.

    Args:
        most: How many trials its budget allows.
        starts: How many points its start design has, the user's own and the presets included.
        trials: Its trials, in every state. A start that failed is not tried again: the search takes its place.
    """
    tried = [trial for trial in trials if not is_proposed(trial) and not is_rescored(trial)]
    proposed = [trial for trial in trials if is_proposed(trial)]
    design = min(starts, most)
    open_start = any(trial.state in ("running", "waiting") for trial in tried)
    if not proposed and (open_start or len(tried) < design):
        return Phase("start design", min(len(tried), design), design)
    scored = sum(trial.state == "complete" for trial in tried)
    total = max(most - scored, 0)
    counted = sum(trial.state in ("complete", "running", "waiting") for trial in proposed)
    return Phase("search", min(counted, total), total)
