"""A history's part in a study that several workers share: trials of others come in, and ours go out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from lib_optim.plan.bounds import Value
from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import RunPlan
from lib_optim.run.passes import RunPass
from lib_optim.run.store import Store
from lib_optim.run.team import Team
from lib_optim.run.trials import Trials
from lib_optim.search.shared_study import SharedTrial
from lib_optim.search.study import Search

if TYPE_CHECKING:
    from lib_optim.run.history import History

__all__ = ["Sharing"]

_ENDED = ("complete", "failed", "skipped")
_UNFINISHED = ("running", "waiting")


class Sharing:
    """Used under the history's guard.

    Args:
        team: The other workers.
        history: Whose part it is.
        trials: Its trials.
        store: The record.
        digest: Returns the digest of the recipe of one point of the space.
    """

    def __init__(
        self, team: Team, history: History, trials: Trials, store: Store, digest: Callable[[Mapping[str, Value]], str]
    ) -> None:
        self._team, self._history, self._trials, self._store, self._digest = team, history, trials, store, digest

    def join(self, plan: RunPlan, current: RunPass) -> None:
        """Take part in the study.

        Raises:
            StoreError: It cannot be reached, or is about something else.
        """
        ended = [(t, self._store.scores(t.number)) for t in self._trials.all if t.state in _ENDED]
        self._team.join(plan, ended)
        for trial in self._trials.of(current):
            if trial.state in _UNFINISHED and not self._team.holds(trial.number):
                self._take_back(trial)
        self._arrive(current)

    def next_trial(self, current: RunPass, search: Search, stopped: Callable[[], bool]) -> Trial | None:
        """Return a new trial of ours, already recorded; None while others make the last ones.

        Args:
            current: The pass.
            search: Its search.
            stopped: Ends waiting for others.
        """
        self._arrive(current)
        again = self._team.waiting()
        if again is not None:
            values, origin = again.content["values"], str(again.content["origin"])
            return self._tried_by_us(again, values, origin, current)
        done = sum(trial.state == "complete" for trial in self._trials.of(current))
        if done + self._team.under_way() >= current.record.budget.trials:
            return None
        new, others = self._team.begin(stopped)
        self._arrive(current)
        for trial in others:
            search.add(trial)
        suggestion = search.suggest(new.number)
        return self._tried_by_us(new, suggestion.values, suggestion.origin, current)

    def publish(self, trial: Trial) -> None:
        """Let the others know of a trial that ended."""
        if not self._team.publish(trial, self._store.scores(trial.number)):
            self._take_back(trial)

    def number(self) -> int:
        """Return the number of a trial that is none of the study's."""
        return self._team.number()

    def _tried_by_us(self, shared: SharedTrial, values: Mapping[str, Value], origin: str, current: RunPass) -> Trial:
        digest = self._digest(values)
        trial = Trial(shared.number, "running", values, origin, digest, started=time.time(), pass_id=current.id)
        self._history.put(trial)
        self._team.describe(shared.id, trial)
        return trial

    def _arrive(self, current: RunPass) -> None:
        """Record what other workers have ended; their images stay with them."""
        for arrival in self._team.arrivals(lambda number: number in self._trials, current.id):
            self._store.put_entered(arrival.trial, (), arrival.scores)
            self._trials.load(arrival.trial)
            self._history.revalue(arrival.trial)  # its worker may not have known our calibration yet
            self._history.take(self._trials[arrival.trial.number])

    def _take_back(self, trial: Trial) -> None:
        """Another worker has this trial, because this one was away too long."""
        reason = "This worker was away too long, so another one of the shared study took the trial over."
        taken = dataclasses.replace(trial, state="skipped", reason=reason, value=None, finished=time.time())
        self._history.put(taken)
        self._history.take(taken)
