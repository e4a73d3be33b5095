"""How one search of a run follows another: what it takes over from earlier ones, and what freezing leaves free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lib_optim.plan.errors import RunError
from lib_optim.plan.freeze import refuse_to_freeze
from lib_optim.plan.passes import PassRecord, free_names, frozen_pass
from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import Budget
from lib_optim.run.entering import entered, entrants
from lib_optim.run.passes import Passes, RunPass
from lib_optim.run.store import Store
from lib_optim.run.trials import Trials
from lib_optim.search.stopping import is_rescored, left_of, rescored_origin

__all__ = ["freezing", "take_over"]


def freezing(names: Sequence[str], parameters: Sequence[str], passes: Passes, trials: Trials) -> PassRecord:
    """Return the search that goes on with `names` as they are in the best so far.

    Args:
        names: Parameters to freeze; where a pass waits already, beside what that one freezes.
        parameters: All parameters of the space.
        passes: The passes.
        trials: The trials.

    Raises:
        RunError: No trial is left in the budget.
        PlanError: Not these parameters.
    """
    now, coming = passes.current, passes.waiting
    searched = [name for name in parameters if name not in now.record.fixed]
    left: Budget | None
    if coming is None:
        made = trials.of(now)
        images = sum(not is_rescored(trial) for trial in made) * len(now.jobs)
        left = left_of(now.record.budget, made, images)
    else:  # what was asked for before holds too
        names = [*names, *(name for name in searched if name not in free_names(coming.record.free, searched))]
        left, now = coming.record.budget, coming
    refuse_to_freeze(searched, names)
    if left is None:
        raise RunError(
            "The budget ends with the trial under way; freeze when the run has ended, which starts a new one."
        )
    return frozen_pass(now.record, [name for name in searched if name not in names], left)


def take_over(coming: RunPass, passes: Passes, trials: Trials, store: Store) -> Iterator[Trial]:
    """Record the trials of earlier searches whose images are those that `coming` asks for, and return them."""
    have = {trial.origin for trial in trials.of(coming)}
    earlier = [trial for trial in trials.all if passes.of(trial).searches and trial.pass_id != coming.id]
    for trial in entrants(earlier, coming):
        if rescored_origin(trial.number) in have:
            continue
        images, scores = store.images(trial.number), store.scores(trial.number)
        taken = entered(trial, trials.next_number, passes.of(trial), coming, images, scores)
        if taken is not None:
            store.put_entered(*taken)
            yield taken[0]
