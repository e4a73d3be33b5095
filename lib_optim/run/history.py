"""What a run has tried: the record first, then the study, then the page, and last the files for people."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from lib_optim.merging.merger import Recipe
from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import RunError
from lib_optim.plan.passes import changed_pass, free_names, free_space, pass_seed
from lib_optim.plan.records import Trial, TrialState, Verdict
from lib_optim.plan.run_plan import RunPlan
from lib_optim.run.ahead import SAMPLERS, assumed, room
from lib_optim.run.check import Resolved
from lib_optim.run.choosing import Objectives
from lib_optim.run.entering import untried_start
from lib_optim.run.files import RunFiles
from lib_optim.run.folder import RunFolder
from lib_optim.run.passes import Passes, RunPass
from lib_optim.run.phase import show_phase
from lib_optim.run.revaluing import revalued
from lib_optim.run.scores import ScoreBook
from lib_optim.run.sharing import Sharing
from lib_optim.run.store import Store
from lib_optim.run.team import Team
from lib_optim.run.trials import Trials
from lib_optim.run.turning import freezing, take_over
from lib_optim.run.valuing import due
from lib_optim.run.verifying import Verification
from lib_optim.run.view import RunView
from lib_optim.search.stopping import is_rescored, why_over
from lib_optim.search.study import Search
from lib_optim.search.verification import again_origin

__all__ = ["History"]

_ENDED = ("complete", "failed", "skipped")
_UNFINISHED = ("running", "waiting")
_log = logging.getLogger(__name__)


class History:
    """The trials of a run. Thread-safe: human scores change finished trials while the worker makes new ones.

    Args:
        resolved: The plan.
        folder: Where ``trials.csv`` and ``best.mecha`` go.
        store: The record.
        view: What the page shows.
        book: The scores.
        passes: The passes.
        recipe: Returns the recipe of one point of the space.
        team: The other workers of the study, if there are any.
    """

    def __init__(
        self,
        resolved: Resolved,
        folder: RunFolder,
        store: Store,
        view: RunView,
        book: ScoreBook,
        passes: Passes,
        recipe: Callable[[Mapping[str, Value]], Recipe],
        team: Team | None = None,
    ) -> None:
        self._store, self._view, self._book = store, view, book
        self._passes, self._recipe = passes, recipe
        self._objectives = Objectives(passes, store, view, book)
        self._verification = Verification(passes, store, view, book, self._objectives)
        self._resolved = resolved
        self._at = passes.current  # the pass that is worked on
        self._search = self._search_of(passes.current)
        self._files = RunFiles(resolved, folder, book.sheet.recorded, view, passes, recipe)
        self.guard = threading.RLock()
        self.at_work: int | None = None  # the trial that the worker takes to its end; others may end by a click
        self._opened = False
        self._trials = Trials(store, view, book, self._objectives.valued)
        self._sharing: Sharing | None = None
        if team is not None:
            self._sharing = Sharing(team, self, self._trials, store, lambda values: recipe(values).digest)

    def show(self) -> None:
        """Give everything recorded to the page."""
        with self.guard:
            if self._resolved.space.curves or self._resolved.space.ways:
                self._view.set_drawn(self._resolved.space.drawn)
            for run_pass in self._passes.all:
                self._view.put_pass(run_pass)
            for trial in self._trials.all:
                self._trials.load(trial)
            self._objectives.show()
            self._book.worth.show_calibration(self._passes.current)
            self._show_phase()

    def open(self) -> None:
        """Take up the record: the study and the files are made from it anew. The recipes must be readable."""
        with self.guard:
            for trial in self._trials.all:
                # A kill between a human score and the trial's new value leaves the score recorded and the value old.
                self.revalue(trial)
                self._tell(self._trials[trial.number])
            self._calibrate()
            self._book.human.update_waiting()
            self._opened = True
            self._verification.conclude(self._trials.all)
            self._write_files(None)

    def rest(self) -> None:
        """Show the run as it ended: at its verification, if it came to that."""
        with self.guard:
            self._at = self._passes.verification or self._at
            self._show_phase()

    @property
    def verdict(self) -> Verdict | None:
        """What the verification of the current search has shown; None before its end."""
        with self.guard:
            return self._verification.verdict

    @property
    def verifies(self) -> bool:
        """Whether there is something to verify: the plan asks for it, and a trial was scored."""
        return self._passes.finalists > 0 and self._view.best is not None

    def why_over(self) -> str:
        """Return why no further trial shall begin, one sentence, or an empty string."""
        with self.guard:
            current = self._passes.current
            trials = self._trials.of(current)
            if self._passes.waiting is not None:
                under_way = any(trial.state in _UNFINISHED for trial in trials)
                return "" if under_way else "Another pass begins."
            ended = {trial.number for trial in trials if trial.state in _ENDED and not is_rescored(trial)}
            images = sum(n for trial, n in self._store.images_made().items() if trial in ended)
            images += 0 if self._passes.more else self._passes.verification_images
            budget = current.record.budget
            if self._book.worth.provisional(current):  # the target is one of the scale to come
                budget = dataclasses.replace(budget, target=None)
            return why_over(budget, trials, images, len(current.jobs))

    def next_trial(self, stopped: Callable[[], bool] = lambda: False) -> Trial | None:
        """Return the trial of the search that was left unfinished, or a new one, already recorded.

        None in a shared study whose last trials others are making: ask again. `stopped` ends waiting for others.
        """
        with self.guard:
            self._at = current = self._passes.current
            unfinished = [trial for trial in self._trials.of(current) if trial.state in _UNFINISHED]
            resting = self.resting()
            pressing = [trial for trial in unfinished if trial not in resting]
            if pressing or (unfinished and not self.goes_ahead):
                self._show_phase()
                return (pressing or unfinished)[0]
            for trial in assumed(resting, self._trials.of(current)):
                self._search.add(trial)
            if self._sharing is not None:
                return self._sharing.next_trial(current, self._search, stopped)
            start = untried_start(current, self._trials)
            if start is not None:
                return self._begin(start.values, f"best: {start.number}", current)
            started = time.perf_counter()
            # Trials of verifications do not count: they must not change what the search proposes.
            again = sum(not self._passes.of(trial).searches for trial in self._trials.all)
            suggestion = self._search.suggest(self._trials.next_number - again)
            seconds = time.perf_counter() - started
            _log.info("Trial %d: %s, suggested in %.3f s", self._trials.next_number, suggestion.origin, seconds)
            values = {**current.record.fixed, **suggestion.values}
            ordered = {p.name: values[p.name] for p in self._resolved.space.parameters}
            return self._begin(ordered, suggestion.origin, current)

    def resting(self) -> list[Trial]:
        """Return the trials of the search that are made and judged, and wait for a person only."""
        with self.guard:
            waiting = [trial for trial in self._trials.of(self._passes.current) if trial.state == "waiting"]
            return [t for t in waiting if self._book.whole(t.number) and self._book.human.waiting(t.number)]

    @property
    def goes_ahead(self) -> bool:
        """Whether the next trial may be made while these wait."""
        with self.guard:
            resting, current = self.resting(), self._passes.current
            if not 0 < len(resting) <= self._resolved.plan.ahead or self._passes.waiting is not None or self._sharing:
                return False
            known = self._search.knows_next(resting) or self._search.sampler in SAMPLERS
            trials, budget, images = self._trials.of(current), current.record.budget, 0
            if budget.images:  # asked while a person rates: nothing is counted in vain
                made = {trial.number for trial in trials if not is_rescored(trial)}
                images = sum(n for trial, n in self._store.images_made().items() if trial in made)
                images += 0 if self._passes.more else self._passes.verification_images
            return known and room(budget, trials, len(resting), images, len(current.jobs))

    def join(self, plan: RunPlan) -> None:
        """Take part in the shared study, if there is one.

        Raises:
            StoreError: It cannot be reached, or is about something else.
        """
        with self.guard:
            if self._sharing is not None:
                self._sharing.join(plan, self._passes.current)

    @property
    def more_passes(self) -> bool:
        """Whether another pass waits, or is planned."""
        return self._passes.waiting is not None or self._passes.more

    def next_pass(self) -> None:
        """Begin the next pass from the best so far: its parameters fixed where they are not free, earlier trials
        taken over where their images are those that it asks for. May be cut off at any point and called again."""
        with self.guard:
            coming = self._passes.next()
            if coming is None:
                return
            best, names = self._view.best, [p.name for p in self._resolved.space.parameters]
            if best is None:  # nothing to hold on to: everything is searched
                coming = self._passes.prepare(coming, None, {})
            else:
                free = free_names(coming.record.free, names)
                fixed = {name: best.values[name] for name in names if name not in free}
                coming = self._passes.prepare(coming, best.number, fixed)
            self._view.put_pass(coming)
            for trial in take_over(coming, self._passes, self._trials, self._store):
                self._trials.load(trial)
            coming = self._passes.begin(coming)
            _log.info("Pass %d begins at trial %s; fixed: %s", coming.number, coming.record.start, coming.record.fixed)
            self._view.put_pass(coming)
            self._search = self._search_of(coming)
            self._files.renew()
            for trial in self._trials.all:
                self._tell(trial)
            self._calibrate()
            self._book.worth.show_calibration(coming)
            self._at = coming
            self._show_phase()

    def change(self, plan: RunPlan) -> RunPass:
        """Have the rest of the run go on as `plan` says, whose seeds are not drawn, after the trial under way."""
        with self.guard:
            waiting = self._passes.change(changed_pass(plan, self._passes.current.record))
            self._view.put_pass(waiting)
            return waiting

    def freeze(self, names: Sequence[str]) -> RunPass:
        """Have the search go on, after the trial under way, with these parameters as they are in the best so far.

        Raises:
            RunError: No trial is scored, or none is left in the budget.
            PlanError: Not these parameters.
        """
        with self.guard:
            if self._view.best is None:
                raise RunError("No trial of this run is scored, so there are no values to freeze anything at.")
            parameters = [p.name for p in self._resolved.space.parameters]
            waiting = self._passes.change(freezing(names, parameters, self._passes, self._trials))
            self._view.put_pass(waiting)
            return waiting

    def next_finalist(self) -> Trial | None:
        """Return the trial that makes the next of the best again, already recorded; None once all are verified."""
        with self.guard:
            pending = self._verification.pending(self._trials.all)
            if pending is None:
                return None
            finalist, again = pending
            self._at = self._passes.verify()
            self._view.put_pass(self._at)
            if again is None:
                again = self._begin(finalist.values, again_origin(finalist.number), self._at)
            self._show_phase()
            return again

    def _begin(self, values: Mapping[str, Value], origin: str, run_pass: RunPass) -> Trial:
        digest = self._recipe(values).digest
        number = self._trials.next_number if self._sharing is None else self._sharing.number()
        return self.put(Trial(number, "running", values, origin, digest, started=time.time(), pass_id=run_pass.id))

    def put(self, trial: Trial) -> Trial:
        """Record a trial that goes on."""
        with self.guard:
            self._trials.put(trial)
            self._show_phase()
            return trial

    def complete_if_scored(self, trial: Trial) -> bool:
        """Record `trial` as complete with its combined score; False if a human score is still missing.

        Raises:
            ScorerError: An automatic score is missing, or nothing was scored.
        """
        with self.guard:
            book, number = self._book, trial.number
            if book.human.waiting(number) or book.sheet.broken(number) or not book.sheet.counting(number):
                return False
            self._book.human.leave_unrated(trial.number)
            value = self._book.worth.value(trial.number)
            ended = dataclasses.replace(trial, state="complete", value=value, finished=time.time())
            self._end(self._objectives.valued(ended))
            return True

    def is_complete(self, number: int) -> bool:
        """Whether a trial is recorded with its value."""
        return self._trials[number].state == "complete"

    def end(self, number: int, state: TrialState, reason: str) -> Trial:
        """Record the end of a trial without a value."""
        with self.guard:
            known = self._trials[number]
            trial = dataclasses.replace(known, state=state, reason=reason, value=None, finished=time.time())
            self._end(trial)
            return trial

    def broken(self, number: int, reason: str) -> None:
        """Record that a trial failed because of a broken image, unless the user took that back meanwhile."""
        with self.guard:
            self.end(number, "failed", reason)
            self.heard(number)

    def heard(self, number: int) -> None:
        """Take note that people said something of a trial's images."""
        with self.guard:
            if number in self._trials and self.revalue(self._trials[number]):
                self.take(self._trials[number])

    def heard_of_pass(self, pass_id: int) -> None:
        """Take note that people said something that may move the value of every trial of a pass."""
        with self.guard:
            with self._store.together():
                moved = [trial for trial in self._trials.all if trial.pass_id == pass_id and self.revalue(trial)]
            for trial in moved:
                self._tell(self._trials[trial.number])
            if moved:
                self.take(self._trials[moved[0].number])

    def revalue(self, trial: Trial) -> bool:
        """Bring a trial in line with its calibration and what people said of its images; return whether it changed."""
        now = revalued(trial, trial.number == self.at_work, self._passes, self._book, self._objectives)
        if now is not None:
            self.put(now)
        return now is not None

    def choose(self, number: int | None) -> None:
        """Take the trial that the user chose among several objectives, or (None) take the choice back.

        Raises:
            RunError: See `Objectives.choose`.
        """
        with self.guard:
            self._objectives.choose(number, self._trials.all)
            if self._opened:
                self._verification.conclude(self._trials.all)
                self._write_files(None)

    def _show_phase(self) -> None:
        """Show where the pass stands that is worked on."""
        show_phase(self._view, self._passes, self._at, self._trials.all, self._search.starts, self._verification)

    def _search_of(self, run_pass: RunPass) -> Search:
        """Return a search of the parameters that a pass is free to change."""
        r, record = self._resolved, run_pass.record
        space = free_space(r.space, [p.name for p in r.space.parameters if p.name not in record.fixed])
        return Search(space, r.blocks, record.sampler, pass_seed(r.plan.seed, run_pass.number), record.axes)

    def _tell(self, trial: Trial) -> None:
        """Tell the search of a trial of the current pass; it learns of no other."""
        current = self._passes.current
        # One that waits again, because its score was taken back, has no value any more.
        if trial.state != "running" and trial.pass_id == current.id:
            values = {name: value for name, value in trial.values.items() if name not in current.record.fixed}
            self._search.add(dataclasses.replace(trial, values=values))

    def _end(self, trial: Trial) -> None:
        self.put(trial)
        self.take(trial)
        if self._sharing is not None and self._passes.of(trial).searches:
            self._sharing.publish(trial)

    def take(self, trial: Trial) -> None:
        """Let everybody know of a trial that ended, or of its new value."""
        self._tell(trial)
        again = self._calibrate()
        self._book.human.update_waiting()
        self._verification.conclude(self._trials.all)
        self._write_files(None if again else trial.number)

    def _calibrate(self) -> bool:
        """Freeze what the judges of the search are measured by, if it is time, and make all values anew."""
        current = self._passes.current
        if not self._book.worth.provisional(current):
            return False
        ours, most = self._trials.of(current), current.record.budget.trials
        first = due(ours, self._search.starts, most, alone=self._sharing is None)
        if not first and not self._book.worth.inherits(current):
            return False
        self._book.worth.calibrate(current, [trial.number for trial in first])
        _log.info("Calibrated on the trials %s", [trial.number for trial in first])
        for trial in ours:
            if self.revalue(trial):
                self._tell(self._trials[trial.number])
        self._book.worth.show_calibration(current)
        return True

    def _write_files(self, changed: int | None) -> None:
        ended = {trial.number: trial for trial in self._trials.all if trial.state in _ENDED}
        self._files.update(ended, changed)
