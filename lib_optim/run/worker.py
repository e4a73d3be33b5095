"""The worker: one thread that takes a run from Start to its end."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim.hosts.base import Host, HostState, MergeSession
from lib_optim.merging.hashing import sha256_of
from lib_optim.merging.merger import Merger, Recipe
from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import HostChanged, OptimError, RunError, StoreError
from lib_optim.plan.records import ImageRecord, Trial, TrialState
from lib_optim.run.check import Resolved
from lib_optim.run.control import Control, StopRun
from lib_optim.run.folder import RunFolder, write_atomic
from lib_optim.run.results import TrialTable
from lib_optim.run.saving import open_merger, save_trial
from lib_optim.run.scores import ScoreBook
from lib_optim.run.store import Store
from lib_optim.run.trial import TrialRunner, TrialSkipped
from lib_optim.run.view import RunView
from lib_optim.search.study import Search

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["RunWorker"]

ENDED = ("complete", "failed", "skipped")
_FAILURES_IN_A_ROW = 5
_log = logging.getLogger(__name__)


class RunWorker:
    """Runs one plan in one folder.

    Life cycle: the manager builds it, calls `start`, and from then on only sets flags of `control` and hands in
    human scores through `book`. `thread` ends by itself. Everything that can fail puts one sentence into the
    view and the trace into the log.

    Args:
        resolved: The checked plan.
        folder: Its folder, locked by the manager for as long as the worker lives.
        store: Its open database; the manager closes it (see `at_end`).
        host: Where to merge and generate.
        view: What the page shows.
        scorers_dir: Weights of scorers.
    """

    def __init__(
        self, resolved: Resolved, folder: RunFolder, store: Store, host: Host, view: RunView, scorers_dir: Path
    ) -> None:
        self.resolved, self.folder, self.store = resolved, folder, store
        self.host, self.view = host, view
        self.control = Control()
        self.book = ScoreBook(resolved, store, view, self.control, scorers_dir)
        self.trials_since_start = 0
        self.merger: Merger | None = None
        self.merging = threading.Lock()  # the merger holds the values of one trial at a time
        self._search = Search(resolved.space, resolved.blocks, resolved.plan.sampler, resolved.plan.seed)
        scorers = [spec.id for spec in resolved.plan.scorers]
        self._table = TrialTable(folder.trials_csv, [p.name for p in resolved.space.parameters], scorers)
        self._session: MergeSession | None = None
        self._before: HostState | None = None
        self._pass = store.last_pass() or 0
        self._trials = {trial.number: trial for trial in store.trials()}
        self._guard = threading.RLock()  # human scores change finished trials from other threads
        self._at_end: list[Callable[[], None]] = []
        self.thread = threading.Thread(target=self._main, name=f"optim {folder.name}", daemon=True)

    def at_end(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when the thread ends, however it ends."""
        self._at_end.append(callback)

    def start(self) -> None:
        """Start the thread."""
        self.thread.start()

    # --- the thread -------------------------------------------------------------------------------------

    def _main(self) -> None:
        handler = _log_to(self.folder)
        try:
            self._run()
        finally:
            for callback in self._at_end:
                callback()
            handler.close()
            logging.getLogger("lib_optim").removeHandler(handler)

    def _run(self) -> None:
        try:
            try:
                self._prepare()
                self._loop()
            except StopRun:
                _log.info("Stopped by the user.")
            self.view.set_current(None)
            self._give_back()
            self._finish()
        except OptimError as error:
            self._fail(str(error))
        except Exception:
            self._fail("Optim met an error of its own; the trace is in the run's log.txt.")
        finally:
            self._let_go()

    def _fail(self, sentence: str) -> None:
        _log.exception("The run ended: %s", sentence)
        self.view.set_current(None)
        self.view.error(sentence)
        with self._logged("giving the model back"):
            self._give_back()
        self.view.set_state("failed", sentence)

    def _let_go(self) -> None:
        if self.merger is not None:
            with self._logged("closing the models"):
                self.merger.close()
        with self._logged("closing the scorers"):
            self.book.close()

    @contextlib.contextmanager
    def _logged(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OptimError as error:
            _log.exception("While %s", doing)
            self.view.error(str(error))
        except Exception:
            _log.exception("While %s", doing)
            self.view.error(f"An error happened while {doing}; the trace is in the run's log.txt.")

    def _prepare(self) -> None:
        self.view.set_state("starting", "Reading the models …")
        plan = self.resolved.plan
        cache = self.host.paths().data / "hashes.json"
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
        self.resolved = dataclasses.replace(self.resolved, plan=plan)
        self.folder.write_plan(plan)
        self.merger = open_merger(self.resolved)
        for trial in self._trials.values():
            if trial.state in ENDED:
                self._search.add(trial)
            self.book.load(trial.number)
            self.view.put_trial(trial)
        finished = [t for t in self._trials.values() if t.state in ENDED]
        self._table.rewrite([(t, self.store.scores(t.number)) for t in finished])

    def _loop(self) -> None:
        failures = 0
        while sum(t.state == "complete" for t in self._trials.values()) < self.resolved.plan.budget.trials:
            trial = self._next_trial()
            self.control.begin_trial()
            try:
                trial = self._work(trial)
                failures = 0
            except TrialSkipped:
                trial = self._end(trial, "skipped", "Skipped by the user.")
            except (OptimError, OSError, RuntimeError) as error:
                if isinstance(error, StoreError):
                    raise
                _log.exception("Trial %d failed", trial.number)
                known = isinstance(error, OptimError)
                reason = str(error) if known else f"{type(error).__name__}: {error}".split("\n")[0]
                trial = self._end(self._trials[trial.number], "failed", reason)
                self.view.error(f"Trial {trial.number}: {reason}")
                failures += 1
                self._check_after_failure()
            self.trials_since_start += 1
            if failures >= _FAILURES_IN_A_ROW:
                failures = 0
                self.control.pause()
                self._pause(f"{_FAILURES_IN_A_ROW} trials in a row failed, the last one because: {trial.reason}")

    def _check_after_failure(self) -> None:
        """Look at every live tensor: whatever failed, the next trial must begin from the originals."""
        if self._session is None:
            return
        try:
            with self.exclusive():
                self._session.check(thorough=True)
        except OptimError as error:
            _log.exception("After the failure")
            self._session_lost()
            self.control.pause()
            self._pause(str(error))

    def _next_trial(self) -> Trial:
        """Return the trial that an earlier session left unfinished, or a new one."""
        for trial in self._trials.values():
            if trial.state in ("running", "waiting"):
                return trial
        number = max(self._trials, default=-1) + 1
        started = time.perf_counter()
        with self._guard:
            suggestion = self._search.suggest(number)
        _log.info("Trial %d: %s, suggested in %.3f s", number, suggestion.origin, time.perf_counter() - started)
        recipe = self.recipe(suggestion.values).digest
        return self._put(Trial(number, "running", suggestion.values, suggestion.origin, recipe, started=time.time()))

    def _work(self, trial: Trial) -> Trial:
        runner = TrialRunner(self, trial)
        self.view.set_current(trial.number, len(self.resolved.jobs) - len(runner.remaining))
        self.book.rescore_missing(trial.number, self.folder)
        while runner.remaining:
            if self.control.pausing:
                self._pause("Paused. Your own model is back; continue when you like.")
            self.view.set_state("running", f"Trial {trial.number}: merging and generating.")
            try:
                trial = self._put(runner.make_images(self._open_session()))
            except HostChanged as error:
                _log.warning("The host changed: %s", error)
                self._session_lost()
                self.control.pause()
                self._pause(str(error))
            if self.control.stopping:
                raise StopRun
        return self._score(trial)

    def _score(self, trial: Trial) -> Trial:
        started = time.perf_counter()
        self.book.wait_for_scorers(trial.number)
        seconds = {**trial.seconds, "score": time.perf_counter() - started}
        trial = dataclasses.replace(trial, seconds=seconds)
        if self.book.waiting(trial.number):
            trial = self._put(dataclasses.replace(trial, state="waiting"))
            self.view.set_state("waiting", "Your turn: score the images of this trial.")
            self.control.wait(lambda: not self.book.waiting(trial.number) or self.control.skipping_trial)
            if self.control.skipping_trial:
                raise TrialSkipped
        value = self.book.value(trial.number)
        before = self.view.best
        trial = self._put(dataclasses.replace(trial, state="complete", value=value, finished=time.time()))
        self._finished(trial)
        best = self.view.best
        if best is not None and (before is None or best.number != before.number):
            write_atomic(self.folder.best_recipe, self.recipe(best.values).text)
        return trial

    def _end(self, trial: Trial, state: TrialState, reason: str) -> Trial:
        ended = dataclasses.replace(
            self._trials.get(trial.number, trial), state=state, reason=reason, value=None, finished=time.time()
        )
        self._put(ended)
        self._finished(ended)
        return ended

    def _finished(self, trial: Trial) -> None:
        self.view.set_waiting(set())
        with self._guard:
            self._search.add(trial)
        self._table.append(trial, self.store.scores(trial.number))

    def _put(self, trial: Trial) -> Trial:
        with self._guard:
            self._trials[trial.number] = trial
            self.store.put_trial(trial, self._pass)  # record first, then the study, then the page
            self.view.put_trial(trial)
            return trial

    def _pause(self, sentence: str) -> None:
        """Wait for Continue, with the host's first state back in place."""
        with self._logged("giving the model back"):
            self._give_back()
        self.view.set_state("paused", sentence)
        _log.info("Paused: %s", sentence)
        self.control.wait(lambda: not self.control.pausing)
        self.view.set_state("running", "Going on.")

    # --- the host ---------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the host's lock; give up waiting for it on Stop."""
        lock = self.host.exclusive(lambda: self.control.stopping)
        try:
            lock.__enter__()
        except RunError as error:
            raise StopRun from error
        with contextlib.ExitStack() as stack:
            stack.push(lock.__exit__)
            yield

    def _open_session(self) -> MergeSession:
        if self._session is None:
            self._before = self._before or self.host.state()
            self.view.set_state("starting", f"Loading {self.resolved.base.title} …")
            with self.exclusive():
                self.host.load(self.resolved.base)
                self._session = self.host.open_session(self.resolved.base, self.resolved.components)
            have = set(self._session.keys())
            missing = [key for key in self.opened_merger.keys if key not in have]
            if missing:
                raise OptimError(
                    f"{len(missing)} tensors of {self.resolved.base.title}, such as {missing[0]}, have no counterpart "
                    f"in the model that {self.host.title} loaded, so this merge cannot be shown."
                )
        return self._session

    def _session_lost(self) -> None:
        """Somebody else changed the model: forget ours, and let theirs be what is restored at the end."""
        if self._session is not None:
            self._session.close()
        self._session = None
        self._before = None

    def _give_back(self) -> None:
        session, before = self._session, self._before
        self._session = self._before = None
        if before is None:
            return
        with self.host.exclusive():
            if session is not None:
                session.close()
            self.host.restore(before)

    @property
    def opened_merger(self) -> Merger:
        """The merger, which is open from the first trial on."""
        if self.merger is None:
            raise RunError("The models are not open.")
        return self.merger

    def recipe(self, values: Mapping[str, Value]) -> Recipe:
        """Return the recipe of one point of the space."""
        with self.merging:
            return self.opened_merger.recipe(values)

    # --- images and scores ------------------------------------------------------------------------------

    def keep_image(self, record: ImageRecord, image: Image.Image | None) -> None:
        """Record an image that was just made (or skipped), and send it to the scorers."""
        self.store.put_image(record)
        self.view.put_image(record)
        self.book.add_image(record, image)

    def report_progress(self) -> None:
        """Show in the host's own progress bar where the run stands."""
        progress = self.view.snapshot(self.view.revision, None)["progress"]
        per_trial = progress["images"]
        done = max(progress["trial"] - 1, 0) * per_trial + max(progress["image"] - 1, 0)
        best = self.view.best
        text = f"Optim trial {progress['trial']}/{progress['trials']}"
        if best is not None:
            text += f", best {best.value:.4g} (trial {best.number})"
        self.host.report(text, done, progress["trials"] * per_trial)

    def rescored(self, number: int) -> None:
        """Take over a human score that changed after its trial was complete; without one it waits again."""
        with self._guard:
            trial = self._trials.get(number)
            if trial is None or trial.state != "complete":
                return
            waits = bool(self.book.waiting(number))
            value = None if waits else self.book.value(number)
            trial = dataclasses.replace(trial, state="waiting" if waits else "complete", value=value)
            self._put(trial)
            self._search.add(trial)

    # --- the end ----------------------------------------------------------------------------------------

    def _finish(self) -> None:
        best = self.view.best
        done = f"{sum(t.state == 'complete' for t in self._trials.values())} trials done"
        if best is None:
            self.view.set_state("finished", f"{done}; no trial was scored, so there is no winner.")
            return
        saved = ""
        if self.resolved.plan.save.checkpoint:
            self.view.set_state("stopping", f"Saving the best merge (trial {best.number}) …")
            with self._logged("saving the best merge"):
                saved = f" Saved as {self.save(best).name}."
        self.view.set_state("finished", f"{done}. Best: trial {best.number} with {best.value:.4g}.{saved}")

    def save(self, trial: Trial) -> Path:
        """Save the merge of `trial` as a checkpoint beside the host's models; return the file.

        Raises:
            OptimError: It cannot be saved, in one sentence.
        """
        if self.merger is None:
            raise RunError("The models are still being read; try again in a moment.")
        with self.merging:
            target = save_trial(self.resolved, self.merger, trial, self.folder, self.host)
        self.view.add_saved(str(target))
        return target


def _log_to(folder: RunFolder) -> logging.Handler:
    handler = logging.FileHandler(folder.log, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("lib_optim")
    logger.addHandler(handler)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    return handler
