"""What a run's trials tell about its parameters, and new runs that go on from it: what the page asks, as JSON.

GET  /optim/api/importance?folder=         which parameters matter, as far as the trials tell
POST /optim/api/freeze {folder, freeze}    go on with these parameters (those that do not matter, if left out) fixed at
                                           the best trial's values: the run that is going on in a new pass, one that
                                           has ended as a new run
POST /optim/api/fork {folder, name, trials, take, form | plan}   start a new run from an earlier one, which takes the
                                           parts `take` (`lib_optim.plan.changes.PARTS`) from the form or the plan
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lib_optim.plan.changes import changed_plan, mixed_plan
from lib_optim.plan.errors import RunError
from lib_optim.plan.freeze import frozen_plan
from lib_optim.plan.run_plan import RunPlan
from lib_optim.run.folder import RunFolder
from lib_optim.search.importance import Importances, importances
from lib_optim.ui.http import Call, Refused

if TYPE_CHECKING:
    from lib_optim.plan.dimensions import Parameter
    from lib_optim.run.manager import RunManager
    from lib_optim.run.recorded import Recorded

__all__ = ["InsightApi"]


class InsightApi:
    """The routes. The last answer is kept: a page asks again after each trial, and there may be several pages.

    Args:
        manager: The run manager.
        plan: Returns the plan that a call holds, as a form or as itself.
    """

    def __init__(self, manager: RunManager, plan: Callable[[Call], RunPlan]) -> None:
        self._manager, self._plan = manager, plan
        self._guard = threading.Lock()
        self._known: tuple[object, Importances] | None = None

    def importance(self, call: Call) -> dict[str, Any]:
        """Return shares with their uncertainty, and which parameters do not matter."""
        run = self._manager.recorded(call.query.get("folder", ""))
        found, best = self._of(run), run.best
        places = {parameter.name: parameter for parameter in _searched(run)}
        return {
            "trials": found.trials,
            "parameters": len(places),
            "explained": found.explained,
            "problem": found.problem,
            "caution": found.caution,
            "idle_share": found.idle_share,
            "best": None if best is None else {"trial": best.number, "values": dict(best.values)},
            "rows": [
                {
                    **dataclasses.asdict(row),
                    "parameter": places[row.name].method_parameter,
                    "blocks": list(places[row.name].blocks),
                    "idle": row.name in found.idle,
                }
                for row in found.rows
            ],
        }

    def freeze(self, call: Call) -> dict[str, Any]:
        """Go on without what does not matter."""
        folder = str(call.body.get("folder") or "")[:200]
        run = self._manager.recorded(folder)
        best = run.best
        if best is None:
            raise RunError("No trial of this run is scored, so there are no values to freeze anything at.")
        names = call.body.get("freeze")
        if names is None:
            found = self._of(run)
            if not found.idle:
                raise RunError(
                    found.problem or found.caution or "The trials do not show of any parameter that it does not matter."
                )
            names = list(found.idle)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise Refused(400, "'freeze' must be a list of parameters.")
        if self._manager.active and run.folder.name == self._manager.recorded().folder.name:
            begins = self._manager.freeze(names)
            return {"pass": begins.number, "frozen": names, "trials": begins.record.budget.trials}
        if names:  # what its last pass did not search stays as it is
            names = [*(name for name in run.fixed if name not in names), *names]
        plan = frozen_plan(run.resolved.plan, run.resolved.space, best, names)
        name, taken = self._manager.fork(folder, plan)
        return {"folder": name, "frozen": names, "best": best.number, "taken": taken.sentence}

    def fork(self, call: Call) -> dict[str, Any]:
        """Start a fork."""
        folder, name = (str(call.body.get(field) or "")[:200] for field in ("folder", "name"))
        take, trials = call.body.get("take") or [], call.body.get("trials")
        if not isinstance(take, list) or not all(isinstance(part, str) for part in take):
            raise Refused(400, "'take' must be a list of parts of the plan.")
        if trials is not None and (isinstance(trials, bool) or not isinstance(trials, int)):
            raise Refused(400, "'trials' must be a whole number.")
        plan = RunFolder.open(self._manager.outputs, folder).read_plan()
        if take:
            plan = mixed_plan(plan, self._plan(call), take)
        made, taken = self._manager.fork(folder, changed_plan(plan, name, trials))
        return {"folder": made, "taken": taken.sentence, "trials": list(taken.trials)}

    def _of(self, run: Recorded) -> Importances:
        trials, resolved = run.last_search, run.resolved
        searched = _searched(run)
        key = (searched, tuple((trial.number, trial.value) for trial in trials), resolved.plan.name)
        with self._guard:  # a second page waits for the first one's answer
            if self._known is None or self._known[0] != key:
                self._known = (key, importances(searched, trials, resolved.plan.seed))
            return self._known[1]


def _searched(run: Recorded) -> tuple[Parameter, ...]:
    return tuple(parameter for parameter in run.resolved.space.parameters if parameter.name not in run.fixed)
