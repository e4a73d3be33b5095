"""The run manager: one per process. Takes commands from any thread, owns the one worker."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.hosts.base import Host
from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import PlanError, RunError, StoreError
from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import RunPlan, SaveSpec, SharedSpec
from lib_optim.plan.scorers import ratings_json
from lib_optim.run.changing import later_passes, refuse_another_run
from lib_optim.run.check import PlanCheck, Resolved, check_plan
from lib_optim.run.choosing import choose_recorded
from lib_optim.run.comparing import Answer
from lib_optim.run.context import RunContext
from lib_optim.run.folder import RunFolder, is_plain_name, list_runs
from lib_optim.run.fork import Taken, take_over
from lib_optim.run.hearing import Hearing
from lib_optim.run.init_images import keep_with_run, take_in
from lib_optim.run.marks import Mark
from lib_optim.run.outcome import Outcome
from lib_optim.run.passes import RunPass
from lib_optim.run.pictures import ENDINGS
from lib_optim.run.prompts import with_prompts
from lib_optim.run.recorded import Recorded, found_model, recorded_run, recorded_trial
from lib_optim.run.rerating import ended_run
from lib_optim.run.sameness import refuse_changed_space
from lib_optim.run.saving import Saved, save_trial
from lib_optim.run.store import Store
from lib_optim.run.tries import Tries
from lib_optim.run.versions import note_versions
from lib_optim.run.view import RunState, RunView
from lib_optim.run.weights import block_weights
from lib_optim.run.worker import RunWorker

if TYPE_CHECKING:
    from lib_optim.run.queueing import RunQueue

__all__ = ["RunManager"]

_MAKING: tuple[RunState, ...] = ("starting", "running")
_log = logging.getLogger(__name__)


class RunManager:
    """Starts, resumes and steers runs. Every method may be called from any thread and answers at once.

    Args:
        host: The program that holds the model.
        scorers_dir: Folder with the weights of scorers.
    """

    def __init__(self, host: Host, scorers_dir: Path) -> None:
        self.host = host
        self.scorers_dir = scorers_dir
        self.view = RunView()
        self.tries = Tries(host, scorers_dir)
        self._guard = threading.RLock()
        self._worker: RunWorker | None = None
        self._queue: RunQueue | None = None

    @property
    def outputs(self) -> Path:
        """The folder that holds the run folders."""
        return self.host.paths().outputs

    @property
    def active(self) -> bool:
        """Whether a worker is alive."""
        return self._worker is not None and not self._worker.ended.is_set()

    @property
    def queue(self) -> RunQueue:
        """The queue of runs still to come; it is as it was left, and begins nothing by itself."""
        from lib_optim.run.queueing import RunQueue

        with self._guard:
            if self._queue is None:
                self._queue = RunQueue(self, self.host.paths().data / "queue.json")
            return self._queue

    def take_queue(self, queue: RunQueue) -> None:
        """Have `queue` be `queue` from now on: one from a file instead of the tab's."""
        with self._guard:
            self._queue = queue

    def check(self, plan: RunPlan) -> PlanCheck:
        """Return every problem of `plan` and, if there is none, what it comes to. Touches no run."""
        return check_plan(plan, self.host, self.scorers_dir)

    def start(self, plan: RunPlan) -> str:
        """Start a new run; return the name of its folder.

        Raises:
            PlanError: The plan cannot run; nothing was touched.
            RunError: Another run is going on.
            StoreError: The run folder cannot be made.
        """
        with self._guard:
            self._refuse_second()
            resolved = self._resolve(plan)
            folder = RunFolder.create(self.outputs, plan.name)
            try:
                keep_with_run(resolved.plan, self.host, folder.path)
                folder.write_plan(resolved.plan)
                self._launch(resolved, folder)
            except BaseException:
                folder.remove()  # nothing has run in it
                raise
            return folder.name

    def resume(self, name: str, trials: int | None = None, verify: bool = False) -> str:
        """Go on with the run in folder `name`, after its last finished trial.

        Args:
            name: The run folder.
            trials: A new number of trials, or None for the plan's.
            verify: Verify the best there is, without searching on.

        Raises:
            PlanError: Its plan cannot run any more (a model vanished).
            RunError: Another run is going on, here or in another process.
            StoreError: There is no such run, or its files cannot be read.
        """
        with self._guard:
            self._refuse_second()
            folder = RunFolder.open(self.outputs, name)
            plan = folder.read_plan()
            if trials is not None and not later_passes(folder):
                plan = dataclasses.replace(plan, budget=dataclasses.replace(plan.budget, trials=trials))
            plan = dataclasses.replace(plan, models=tuple(found_model(model, self.host) for model in plan.models))
            take_in(folder.path, self.host)
            self._launch(self._resolve(plan), folder, trials, verify)
            return folder.name

    def change(self, plan: RunPlan) -> int:
        """Have the run go on with other payloads, judges, search or budget, as a new pass after the trial under way.

        Args:
            plan: The whole plan; all but these four must be the run's. Its payload seeds are not drawn yet.

        Returns:
            The number of the new pass.

        Raises:
            RunError: No run is going on, or it is about to end.
            PlanError: The plan cannot run, or would be another run.
        """
        worker = self._changing()
        now = worker.context.resolved
        plan = with_prompts(dataclasses.replace(plan, passes=(), verify=now.plan.verify), self.host)
        refuse_another_run(now, self._resolve(plan))
        keep_with_run(plan, self.host, worker.folder.path)
        return worker.context.history.change(plan).number

    def freeze(self, names: Sequence[str]) -> RunPass:
        """Have the run go on, after the trial under way, with these parameters as they are in the best so far.

        Returns:
            The new pass, which has what is left of the budget.

        Raises:
            RunError: No run is going on, it is about to end, or no trial is scored.
            PlanError: An unknown parameter, none at all, or all that are searched.
        """
        return self._changing().context.history.freeze(names)

    def fork(self, name: str, plan: RunPlan) -> tuple[str, Taken]:
        """Start a new run of `plan` from what the run in folder `name` has made; that folder is only read.

        Args:
            name: The parent's folder.
            plan: What to do; its budget counts trials beyond those taken over.

        Returns:
            The name of the new folder, and what was taken over.

        Raises:
            PlanError: The plan cannot run; nothing was touched.
            RunError: A run is going on.
            StoreError: There is no such run, or files cannot be read or written.
        """
        with self._guard:
            self._refuse_second()
            parent = recorded_run(self.host, self.scorers_dir, name)
            take_in(parent.folder.path, self.host)
            plan = dataclasses.replace(plan, shared=SharedSpec())  # the others have not what this run takes over
            plan = dataclasses.replace(plan, models=tuple(found_model(model, self.host) for model in plan.models))
            resolved = self._resolve(plan)
            folder = RunFolder.create(self.outputs, plan.name)
            try:
                keep_with_run(resolved.plan, self.host, folder.path)
                taken = take_over(parent, resolved, folder, self.host)
                self._launch(resolved, folder)
            except BaseException:
                folder.remove()
                raise
            return folder.name, taken

    def pause(self) -> None:
        """Pause after the current image, or while a human score is missing. No effect while nothing runs."""
        worker = self._alive()
        if worker and self.view.state in (*_MAKING, "waiting"):
            worker.control.pause()
            self._show("pausing", "Pausing after this image …", (*_MAKING, "waiting"))

    def go_on(self) -> None:
        """End the pause."""
        worker = self._alive()
        if worker:
            worker.control.go_on()
            self._show("running", "Going on.", ("pausing",))

    def skip_image(self) -> None:
        """Leave out the image now being generated."""
        worker = self._alive()
        if worker and self.view.state in (*_MAKING, "pausing"):
            worker.control.skip_image()
            worker.hold.interrupt()

    def skip_trial(self) -> None:
        """Leave the current trial unscored and go on with the next."""
        worker = self._alive()
        if worker and self.view.state in (*_MAKING, "waiting", "pausing", "paused"):
            worker.control.skip_trial()
            worker.hold.interrupt()

    def finish(self) -> None:
        """End the run after the current trial. `stop` still ends it at once."""
        worker = self._alive()
        if worker:
            worker.control.finish()
            self.view.set_finishing()

    def stop(self) -> None:
        """End the run: the current image is dropped, the model given back, the best merge saved."""
        worker = self._alive()
        if worker:
            worker.control.stop()
            self._show("stopping", "Stopping …", (*_MAKING, "waiting", "pausing", "paused"))
            worker.hold.interrupt()

    def score(
        self, trial: int, image: int, value: float | None, request: str, name: str = "", folder: str = ""
    ) -> None:
        """Record the user's score 0 to 10 of an image; None takes it back. A request id counts once.

        A run that has ended is opened for the moment (`rerating`), if `folder` names it.

        Args:
            trial: Its number, finished or not.
            image: Index of the image.
            value: The score.
            request: An id of the click.
            name: Of the rating, where the plan has several.
            folder: The run that the click was meant for; the one that is going on if empty.

        Raises:
            RunError: No run is open or another one is going on, it takes no human scores, or there is no such image.
            OptimError: An ended run cannot be opened.
        """
        with self._judged(folder) as hearing:
            hearing.score(trial, image, value, request, name)

    def mark(self, trial: int, image: int, mark: Mark, on: bool, request: str, folder: str = "") -> None:
        """Record that an image is broken or left out, or is no longer; otherwise as `score`."""
        with self._judged(folder) as hearing:
            hearing.mark(trial, image, mark, on, request)

    def compare(self, answer: Answer | str, request: str, folder: str = "") -> None:
        """Record which of some images is better, or (the request of such a click) take that back; as `score`.

        Raises:
            RunError: No run is open or another one, or these images cannot be compared.
        """
        self._open(folder).context.hearing.compare(answer, request)

    def hand_over(self, on: bool = True) -> None:
        """Have the automatic judges decide alone from here on, or wait for the user's ratings again.

        Raises:
            RunError: No run is open, or it has no automatic judge.
        """
        self._open("").context.hearing.hand_over(on)

    def ask_less(self, on: bool = True) -> None:
        """Ask the user only about images that the learned taste is uncertain of or finds promising, or about all.

        Raises:
            RunError: No run is open, or it is not judged by both the user and a learned taste.
        """
        self._open("").context.hearing.ask_less(on)

    @contextlib.contextmanager
    def _judged(self, folder: str) -> Iterator[Hearing]:
        """Yield what takes what is said of the run `folder`."""
        if not folder or self._alive() is not None:
            yield self._open(folder).context.hearing
            return
        with self._guard:  # nothing starts meanwhile
            if self.active:  # it has just started
                yield self._open(folder).context.hearing
                return
            shown = self._worker is not None and self._worker.folder.name == folder
            view = self.view if shown else RunView()
            with ended_run(self.host, self.scorers_dir, folder, view) as hearing:
                yield hearing

    def _open(self, folder: str) -> RunWorker:
        worker = self._alive()
        if worker is None or folder not in ("", worker.folder.name):
            which = f"The run {folder} is not" if folder else "No run is"
            raise RunError(f"{which} going on; resume it to score its images.")
        return worker

    def save_trial(self, number: int, save: SaveSpec | None = None, name: str = "", folder: str = "") -> Saved:
        """Save the merge of any trial of any run as a checkpoint. Takes seconds.

        Args:
            number: The trial.
            save: How; as its plan says if None.
            name: Of the file, without ending; after run and trial if empty.
            folder: The run; the open or last one if empty.

        Raises:
            RunError: No run was opened, or there is no such trial.
            OptimError: It cannot be saved.
        """
        resolved, run, trial, infotext = self._trial(number, folder)
        saved = save_trial(resolved, trial, run, self.host, save, name, infotext)
        self.view.add_saved(str(saved.path), saved.notes)
        return saved

    def choose(self, number: int | None, folder: str = "") -> None:
        """Record which trial of a run with several objectives the user wants: it is verified and saved as the winner.

        Args:
            number: A scored trial of the last search, or None to take the choice back.
            folder: The run; the open or last one if empty.

        Raises:
            RunError: No run was opened, or the trial cannot be chosen.
            OptimError: It cannot be recorded.
        """
        worker = self._alive()
        if worker is not None and folder in ("", worker.folder.name):
            worker.history.choose(number)
            return
        run = self._worker.folder.name if self._worker is not None else ""
        if not folder and not run:
            raise RunError("No run is open; choose one.")
        choose_recorded(recorded_run(self.host, self.scorers_dir, folder or run), number, self.host)
        if run and folder in ("", run):
            self.view.set_chosen(number)

    def block_weights(self, number: int, folder: str = "") -> dict[str, dict[str, str]]:
        """Return the block weights of any trial as other programs write them, by method parameter and form.

        Raises:
            RunError, OptimError: As `save_trial`.
        """
        resolved, _, trial, _ = self._trial(number, folder)
        return block_weights(resolved, trial)

    def try_merge(self, resolved: Resolved, values: Mapping[str, Value], **how: Any) -> None:
        """Have one merge shown in one image; see `Tries.make` for `how`.

        Raises:
            RunError: A run is going on, paused or not.
            PlanError: As `Tries.make`.
        """
        with self._guard:
            if self.view.state in ("finished", "failed"):
                self.wait(5)
            if self.active and self._worker is not None:
                raise RunError(
                    f"The run {self._worker.folder.name} is going on, and needs the model; merges can be tried before "
                    "or after it, or once you stop it."
                )
            self.tries.make(resolved, values, **how)

    def recorded(self, folder: str = "") -> Recorded:
        """Return plan and trials of a run; of the open or last one if `folder` is empty.

        Raises:
            RunError: No run was opened.
            OptimError: Its files cannot be read, or its models are gone.
        """
        worker = self._worker
        if worker is not None and folder in ("", worker.folder.name):
            context, best = worker.context, self.view.best
            number = None if best is None else best.number
            trials, passes = self.view.trials(), context.passes.all
            return Recorded(context.resolved, worker.folder, trials, passes, number, self.view.chosen)
        if not folder:
            raise RunError("No run is open; choose one.")
        return recorded_run(self.host, self.scorers_dir, folder)

    def snapshot(self, since: int = 0, also: Sequence[int] = (), room: int | None = None) -> dict[str, Any]:
        """Return the state of the run as JSON; the arguments are those of `RunView.snapshot`."""
        progress = self.host.progress() if self.active else None
        return self.view.snapshot(since, (progress.step, progress.steps) if progress else None, also, room)

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs in the outputs folder, newest first."""
        listed = []
        for folder in list_runs(self.outputs):
            entry: dict[str, Any] = {"folder": folder.name, "modified": folder.plan.stat().st_mtime}
            try:
                plan = folder.read_plan()
                entry |= {"name": plan.name, "trials": plan.budget.trials, "problem": ""}
            except StoreError as error:
                entry |= {"name": folder.name, "trials": 0, "problem": str(error)}
            listed.append(entry)
        return listed

    def let_go(self, folder: str) -> None:
        """Forget the run `folder` if it is the one that ended last, so that its folder may move.

        Raises:
            RunError: It is going on.
        """
        with self._guard:
            worker = self._worker
            if worker is None or worker.folder.name != folder:
                return
            if self.active:
                raise RunError(f"The run {folder} is going on; stop it first, or wait for its end.")
            self._worker = None
            self.view.forget()

    def image_path(self, folder: str, file: str) -> Path | None:
        """Return the path of an image of a run, or None if `folder` and `file` do not name one."""
        with contextlib.suppress(StoreError):
            images = RunFolder.open(self.outputs, folder).images
            path = images / file
            if not is_plain_name(file) or path.suffix not in ENDINGS or images.is_symlink() or path.is_symlink():
                return None
            return path if path.is_file() else None
        return None

    def outcome(self, folder: str) -> Outcome | None:
        """Return how the run `folder` ended if it is over and was the last one begun here, else None."""
        worker = self._worker
        if worker is None or worker.folder.name != folder or not worker.ended.is_set():
            return None
        return worker.outcome

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until no worker is alive; return whether that is so."""
        worker = self._worker
        if worker is not None:
            worker.wait(timeout)
        return not self.active

    def close(self, timeout: float = 60.0) -> None:
        """Stop, put the user's model back, and wait for it: for UI reload and shutdown."""
        if self._queue is not None:
            self._queue.pause()
        self.stop()
        if not self.wait(timeout):
            _log.error("The run did not end within %.0f s.", timeout)
        if not self.tries.close(timeout):
            _log.error("The try did not end within %.0f s.", timeout)

    def _changing(self) -> RunWorker:
        worker = self._alive()
        if worker is None or self.view.state not in (*_MAKING, "waiting", "pausing", "paused"):
            raise RunError("No run is going on that could change; start one, or resume an earlier one first.")
        if worker.context.team is not None:
            raise RunError("A shared study cannot change in mid-run; start another one.")
        return worker

    def _alive(self) -> RunWorker | None:
        with self._guard:
            return self._worker if self.active else None

    def _show(self, state: RunState, sentence: str, instead_of: Sequence[RunState]) -> None:
        # What the worker has shown since, as its answer to the command, is not painted over.
        self.view.set_state(state, sentence, lambda: self.view.state in instead_of)

    def _refuse_second(self) -> None:
        if self.view.state in ("finished", "failed"):
            self.wait(5)  # its last act was to say so
        if self.active and self._worker is not None:
            raise RunError(f"The run {self._worker.folder.name} is going on; stop it first, or wait for its end.")
        self.tries.leave()

    def _trial(self, number: int, folder: str) -> tuple[Resolved, RunFolder, Trial, str]:
        worker = self._worker
        if worker is None or folder not in ("", worker.folder.name):
            if not folder:
                raise RunError("No run is open; resume one to use its trials.")
            return recorded_trial(self.host, self.scorers_dir, folder, number)
        trial = self.view.trial(number)
        if trial is None:
            raise RunError(f"The open run has no trial {number}; choose one that it has made.")
        return worker.context.resolved, worker.folder, trial, self.view.infotext(number)

    def _resolve(self, plan: RunPlan) -> Resolved:
        check = self.check(plan)
        if check.problems or check.resolved is None:
            raise PlanError(check.problems)
        return check.resolved

    def _launch(self, resolved: Resolved, folder: RunFolder, trials: int | None = None, verify: bool = False) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(folder.locked())
            store = Store(folder.record())
            stack.callback(store.close)
            refuse_changed_space(folder.name, store.trials(), resolved.space)
            note_versions(store, self.host)
            context = RunContext(resolved, folder, store, self.host, self.view, self.scorers_dir, trials)
            self.view.open_run(
                {
                    "folder": folder.name,
                    "name": resolved.plan.name,
                    "trials": resolved.plan.budget.trials,
                    "images": len(resolved.jobs),
                    "started": time.time(),
                    "ratings": ratings_json(resolved.plan.scorers),
                    "higher_is_better": True,
                },
                resolved.jobs,
            )
            self.view.set_state("starting", "Starting …")
            if verify:
                context.control.only_verify()
            self._worker = worker = RunWorker(context)
            worker.at_end(stack.pop_all().close)
            worker.start()
