"""Where a run stands: which trial of which phase, and how many images come before and after."""

from __future__ import annotations

from collections.abc import Sequence

from lib_optim.plan.records import Trial
from lib_optim.run.passes import Passes, RunPass
from lib_optim.run.verifying import Verification
from lib_optim.run.view import RunView
from lib_optim.search.stopping import is_rescored, phase_of

__all__ = ["show_phase"]


def show_phase(
    view: RunView, passes: Passes, at: RunPass, trials: Sequence[Trial], starts: int, verification: Verification
) -> None:
    """Show where the pass `at` stands.

    Args:
        view: Where it is shown.
        passes: The passes.
        at: The one that is worked on.
        trials: All trials of the run, by number.
        starts: How many points the start design of the current search has.
        verification: Of that search.
    """
    current, extra = passes.current, passes.verification_images
    most = current.record.budget.most_trials(len(current.jobs), 0 if passes.more else extra)
    made = [t for t in trials if t.state == "complete" and t.pass_id != at.id and not is_rescored(t)]
    before = sum(len(passes.of(trial).jobs) for trial in made if passes.of(trial).searches)
    if at.searches:
        ours = [trial for trial in trials if trial.pass_id == current.id]
        starts += any(trial.origin.startswith("best:") for trial in ours)
        after = extra + passes.images_to_come
        view.set_phase(at.id, str(phase_of(most, starts, ours)), most, before, after)
    else:
        number, total = verification.progress(trials)
        view.set_phase(at.id, f"verification {number}/{total}", total, before, 0)
