"""The worker: one thread that takes a run from Start to its end."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lib_optim.hosts.base import MergeSession
from lib_optim.merging.hashing import sha256_of
from lib_optim.plan.errors import HostChanged, OptimError, StoreError
from lib_optim.plan.records import Trial
from lib_optim.run.context import RunContext
from lib_optim.run.control import PAUSED, StopRun
from lib_optim.run.disk import DiskGuard
from lib_optim.run.guarding import guarded
from lib_optim.run.marks import ALL_LEFT_OUT
from lib_optim.run.outcome import Outcome
from lib_optim.run.pace import measured_pace, note_pace
from lib_optim.run.report import write_report
from lib_optim.run.saving import save_trial
from lib_optim.run.trial import TrialBroken, TrialRunner, TrialSkipped
from lib_optim.run.view import RunState
from lib_optim.run.winner import winner_sentence
from lib_optim.search.verification import verified_number

__all__ = ["RunWorker"]

_FAILURES_IN_A_ROW = 5
_SHARED_LOOK = 1.0  # seconds between looks at what other workers are doing
_LOOK = 0.5  # seconds between looks at whether the next trial may begin before this one is rated
_AT_ONCE = 1.0  # seconds that scores may take for the next trial to write over this one
_OWN_ERROR = "Optim met an error of its own; the trace is in the run's log.txt."
_log = logging.getLogger(__name__)


class RunWorker:
    """Runs one plan in one folder.

    Life cycle: the manager builds it, calls `start`, and from then on only sets flags of `control` and hands in
    human scores through `history`. The thread ends by itself and sets `ended`; the view's last state is set when
    all is closed.
    Everything that can fail puts one sentence into the view and the trace into the log:

    - a trial's own failure ends the trial as ``failed``; five in a row pause the run;
    - a host that cannot load model A, or in which somebody changed the model, pauses the run;
    - a record that cannot be written, or an error between two trials, ends the run as ``failed``.

    Args:
        context: The run; its folder is locked and its database open until `at_end`'s callbacks have been called.
    """

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self.control, self.history, self.hold, self.view = context.control, context.history, context.hold, context.view
        self.book, self.folder = context.book, context.folder
        # Not the thread's own join() alone: a Ctrl+C during it marks a running thread as ended (Python 3.8 to 3.12).
        self.ended = threading.Event()
        self._disk = DiskGuard(context.folder.images, context.resolved.plan.disk)
        self.outcome: Outcome | None = None  # how it ended, before `ended` is set
        self._saved = ""
        self._at_end: list[Callable[[], None]] = []
        self._failures = 0  # in a row
        self._thread = threading.Thread(target=self._main, name=f"optim {context.folder.name}", daemon=True)

    def at_end(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when the thread ends, however it ends."""
        self._at_end.append(callback)

    def start(self) -> None:
        """Start the thread."""
        try:
            self._thread.start()
        except RuntimeError:
            self._close()
            raise

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to `timeout` seconds until the thread has ended; return whether it has."""
        if not self.ended.wait(timeout):
            return False
        # It still frees what it held, and Python ends such a thread in the middle of torch's code, which aborts it all.
        if self._thread is not threading.current_thread() and self._thread.is_alive():
            self._thread.join()
        return True

    # --- the thread -------------------------------------------------------------------------------------

    def _main(self) -> None:
        state: RunState = "failed"
        sentence = _OWN_ERROR
        try:
            with self.folder.logging():
                state, sentence = self._run()
        except StoreError as error:
            sentence = str(error)
            self.view.error(sentence)
        finally:
            self.outcome = Outcome(state, sentence, self.control.stopping, self._saved)
            self._close(lambda: self.view.set_state(state, sentence))

    def _close(self, *last_words: Callable[[], object]) -> None:
        for callback in (*self._at_end, *last_words):
            callback()
        self.ended.set()

    def _run(self) -> tuple[RunState, str]:
        try:
            try:
                self._prepare()
                why = self._search()
                while not self._verify():
                    why = self._search()
            except StopRun as stop:
                why = str(stop) or "Stopped by you."
            _log.info("The run is over: %s", why)
            self.view.set_current(None)
            self._give_back()
            return "finished", self._finish(why)
        except OptimError as error:
            return self._fail(str(error))
        except Exception:  # noqa: BLE001 - the outermost boundary of the thread
            return self._fail(_OWN_ERROR)
        finally:
            with self._logged("closing the models"):
                self.context.close_merger()
            with self._logged("closing the scorers"):
                self.book.automatic.close()
            if self.context.team is not None:
                with self._logged("leaving the shared study"):
                    self.context.team.close()

    def _fail(self, sentence: str) -> tuple[RunState, str]:
        _log.exception("The run ended: %s", sentence)
        self.view.set_current(None)
        self.view.error(sentence)
        with self._logged("giving the model back"):
            self._give_back()
        return "failed", sentence

    @contextlib.contextmanager
    def _logged(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OptimError as error:
            _log.exception("While %s", doing)
            self.view.error(str(error))
        except Exception:  # noqa: BLE001 - what follows must be done all the same
            _log.exception("While %s", doing)
            self.view.error(f"An error happened while {doing}; the trace is in the run's log.txt.")

    def _prepare(self) -> None:
        self.context.say("starting", "Reading the models …")
        self.context.show()
        plan = self.context.resolved.plan
        cache = self.context.host.paths().data / "hashes.json"
        models = []
        for model in plan.models:
            digest = sha256_of(Path(model.path), cache)
            if model.sha256 and model.sha256 != digest:
                raise StoreError(
                    f"{Path(model.path).name} is not the file this run began with (its SHA-256 differs); put the old "
                    "one back or start a new run."
                )
            models.append(dataclasses.replace(model, sha256=digest))
            if self.control.stopping:
                raise StopRun
        plan = dataclasses.replace(plan, models=tuple(models))
        self.folder.write_plan(plan)
        self.context.open_merger(dataclasses.replace(self.context.resolved, plan=plan))
        self.history.open()
        self.history.join(plan)

    def _search(self) -> str:
        """Make trials, pass after pass, until one of the rules of the last budget holds; return why, a sentence.

        Raises:
            StopRun: The user asked for the end.
        """
        if self.control.only_verifying:
            return "The search went no further."
        while True:
            while not (why := self.history.why_over()):
                self._stop_between_trials()
                trial = self.history.next_trial(lambda: self.control.stopping)
                if trial is None:
                    self._wait_for_others()
                else:
                    self._make(trial)
            if not self.history.more_passes:
                return why
            self._stop_between_trials()
            self.history.next_pass()

    def _wait_for_others(self) -> None:
        self.view.set_current(None)
        self.context.say("running", "The other workers of the shared study are making its last trials.")
        limit = time.monotonic() + _SHARED_LOOK
        self.control.wait(lambda: time.monotonic() > limit or self.control.pausing)
        if self.control.pausing:
            self._pause(f"{PAUSED} The other workers go on.")

    def _verify(self) -> bool:
        """Make the best trials again, from fresh seeds; return False if the user asked for another pass meanwhile.

        Raises:
            StopRun: The user asked for the end; nothing is verified.
        """
        if self.history.verifies:
            self._stop_between_trials()
        while self.control.only_verifying or not self.history.more_passes:
            trial = self.history.next_finalist()
            if trial is None:
                return True
            self._make(trial)
            self._stop_between_trials()
        return False

    def _stop_between_trials(self) -> None:
        if self.control.stopping:
            raise StopRun
        while sentence := self._disk.problem():
            self.view.error(sentence)
            self.control.pause()
            self._pause(sentence)
            self._disk.allow_more()
        if self.control.finishing:
            while resting := self.history.resting():
                self._make(resting[0])
            raise StopRun("Stopped by you after the trial that was under way.")

    def _make(self, trial: Trial) -> None:
        """Take a trial to its end, whatever that is."""
        self.control.begin_trial()
        self.history.at_work = trial.number
        try:
            self._work(trial)
            self._failures = 0
        except TrialSkipped as skipped:
            self.history.end(trial.number, "skipped", str(skipped))
        except TrialBroken as broken:
            self.history.broken(trial.number, str(broken))
            if guarded(str(broken)):
                self.view.error(f"Trial {trial.number}: {broken}")
                self._count_failure(f"{broken} Guards can be put off where the judges are chosen.")
        except (StopRun, StoreError):
            raise
        except Exception as error:
            if self.history.is_complete(trial.number):
                raise  # its value stands: what broke is ours, and came after it
            self._count_failure(self._failed(trial.number, error))
        finally:
            self.history.at_work = None
        self.context.trials_since_start += 1

    def _count_failure(self, reason: str) -> None:
        self._failures += 1
        if self._failures >= _FAILURES_IN_A_ROW:
            self._failures = 0
            self.control.pause()
            self._pause(f"{_FAILURES_IN_A_ROW} trials in a row failed, the last one because: {reason}")

    def _failed(self, number: int, error: Exception) -> str:
        _log.error("Trial %d failed", number, exc_info=error)
        text = " ".join(str(error).split())
        reason = text if isinstance(error, OptimError) else f"{type(error).__name__}: {text}".removesuffix(": ")
        self.history.end(number, "failed", reason)
        self.view.error(f"Trial {number}: {reason}")
        try:
            self.hold.check_after_failure()
        except OptimError as damage:
            self._lost(damage)
        return reason

    def _lost(self, error: OptimError) -> None:
        """Pause: the model in the host is not what it should be."""
        _log.error("The model changed: %s", error, exc_info=error)
        with self._logged("leaving the model"):
            self.hold.lost()
        self.view.error(str(error))
        self.control.pause()
        self._pause(str(error))

    def _work(self, trial: Trial) -> None:
        number = trial.number
        runner = TrialRunner(self.context, trial)
        run_pass = self.context.passes.of(trial)
        self.view.set_current(number, len(run_pass.jobs) - len(runner.remaining))
        self.book.rescore_missing(number, runner.done, self.folder)
        while runner.remaining:
            if self.control.pausing:
                self._pause(f"{PAUSED} Your own model is back; continue when you like.")
            if self.control.stopping:
                raise StopRun
            if self.control.skipping_trial:
                raise TrialSkipped("Skipped by the user.")
            self._look_for_broken(number)
            session = self._session()
            if session is None:
                continue
            doing = f"Trial {number}" if run_pass.searches else f"Verifying trial {verified_number(trial)}"
            self.context.say("running", f"{doing}: merging and generating.")
            try:
                trial = self.history.put(runner.make_images(session))
                self.context.note_memory(number)
            except HostChanged as error:
                self._lost(error)
        if self.control.stopping:
            raise StopRun
        self._score(trial)

    def _session(self) -> MergeSession | None:
        """Return the session on model A; None after a pause, because the host could not load it."""
        context, resolved = self.context, self.context.resolved
        base = resolved.base
        try:
            return self.hold.session(
                base,
                resolved.components,
                context.merger.keys,
                lambda: context.say("starting", f"Loading {base.title} …"),
            )
        except OptimError as error:
            _log.error("The base was not loaded", exc_info=error)
            self.view.error(str(error))
            self.control.pause()
            self._pause(str(error))
            return None

    def _hand_over(self, number: int) -> None:
        """Leave the merge in the model only if the next trial follows at once and nobody waits for the host."""
        until = time.monotonic() + _AT_ONCE
        while not (settled := self.book.settled(number)) and self._undisturbed() and time.monotonic() < until:
            time.sleep(0.005)
        if settled and self._undisturbed():
            return
        try:
            self.hold.end_turn()
        except HostChanged as error:
            self._lost(error)

    def _undisturbed(self) -> bool:
        return not (self.book.human.manual or self.control.leave_model or self.context.host.others_waiting())

    def _score(self, trial: Trial) -> None:
        started = time.perf_counter()
        self._hand_over(trial.number)
        self.book.automatic.wait(trial.number)
        if self.control.skipping_trial:
            raise TrialSkipped("Skipped by the user.")
        self._look_for_broken(trial.number)
        trial = dataclasses.replace(trial, seconds={**trial.seconds, "score": time.perf_counter() - started})
        while self._counts(trial) and not self.history.complete_if_scored(trial):
            trial = self.history.put(dataclasses.replace(trial, state="waiting"))
            self.book.human.update_waiting()
            if self._goes_ahead():
                return  # the last of its ratings ends it
            self._wait_for_human(trial)
            self.context.say("running", "Going on.")

    def _counts(self, trial: Trial) -> bool:
        """Check that there is something to judge; the user may say otherwise at any time."""
        self._look_for_broken(trial.number)
        if not self.book.sheet.counting(trial.number):
            raise TrialSkipped(ALL_LEFT_OUT)
        return True

    def _look_for_broken(self, number: int) -> None:
        if reason := self.book.sheet.broken(number):
            raise TrialBroken(reason)

    def _wait_for_human(self, trial: Trial) -> None:
        number = trial.number
        if self.control.pausing:
            self._pause(f"{PAUSED} Your own model is back; you can go on scoring.")
        compared = self.context.passes.of(trial).judging is not None
        what = "compare its images with others" if compared else "score the images of this trial"
        self.context.say("waiting", f"Your turn: {what}.")
        control = self.control

        def over() -> bool:
            return not self.book.human.waiting(number) or control.skipping_trial or control.pausing

        while not over() and not self._goes_ahead():  # never asked inside `wait`: a click holds what it needs
            self._wait_a_moment(over)
        if control.skipping_trial:
            raise TrialSkipped("Skipped by the user.")

    def _wait_a_moment(self, until: Callable[[], bool]) -> None:
        limit = time.monotonic() + _LOOK
        self.control.wait(lambda: until() or time.monotonic() > limit)

    def _goes_ahead(self) -> bool:
        """Whether the next trial is made while this one waits for a person."""
        control = self.control
        stays = control.stopping or control.finishing or control.pausing or control.only_verifying
        return not stays and self.history.goes_ahead

    def _pause(self, sentence: str) -> None:
        """Wait for Continue, with the host's first state back in place."""
        with self._logged("giving the model back"):
            self._give_back()
        with self._logged("letting go of the models' files"):
            self.context.rest()
        self.view.set_state("paused", sentence, lambda: not self.control.stopping)
        _log.info("Paused: %s", sentence)
        self.control.wait(lambda: not self.control.pausing)
        self.context.say("running", "Going on.")

    def _give_back(self) -> None:
        if self.control.stopping:
            self.view.say("Putting your model back …")
        self.hold.give_back()

    # --- the end ----------------------------------------------------------------------------------------

    def _note_pace(self) -> None:
        pace = measured_pace(self.folder.name, self.context.store, self.context.passes)
        if pace is not None:
            note_pace(self.context.host, self.context.resolved.architecture.id, pace)

    def _finish(self, why: str) -> str:
        """Write the report and save the winner; return the last sentence: why the run ended, and what came of it."""
        with self._logged("writing the report"):
            write_report(self.folder)
        with self._logged("noting how long it took"):
            self._note_pace()
        best = self.view.best
        if best is None:
            return f"{why} No trial was scored, so there is no winner."
        saved = ""
        if self.context.resolved.plan.save.checkpoint and self.context.opened:
            self.view.set_state("stopping", f"Saving the best merge (trial {best.number}) …")
            with self._logged("saving the best merge"):
                infotext = self.view.infotext(best.number)
                name = self.context.resolved.plan.save.name
                made = save_trial(self.context.resolved, best, self.folder, self.context.host, None, name, infotext)
                self._saved = str(made.path)
                self.view.add_saved(self._saved, made.notes)
                saved = f" Saved as {made.path.name}."
        view, history = self.view, self.history
        winner = winner_sentence(best, history.verdict, history.verifies, view.chosen, len(view.front))
        return f"{why} {winner}{saved}"
