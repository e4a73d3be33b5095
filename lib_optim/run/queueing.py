"""The queue: runs one after another, kept on disk. Nothing begins before the user says so."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lib_optim.plan.errors import OptimError, PlanError, RunError
from lib_optim.run.outcome import Outcome
from lib_optim.run.queue_check import queue_problems
from lib_optim.run.queue_items import QueueItem, winner_path
from lib_optim.run.queue_list import OPEN, QueueList

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager

__all__ = ["RunQueue"]

_LOOK = 0.5  # seconds between looks at whether the program is free
_log = logging.getLogger(__name__)


class RunQueue(QueueList):
    """Runs that wait for their turn. Every method may be called from any thread and answers at once.

    A thread of its own takes one item after another to the manager, from `go_on` until the queue is empty, paused, or
    an item did not come to its end: then the queue pauses, and the item says why in one sentence. `go_on` takes such
    an item up again where it stood.

    Args:
        manager: Who runs them.
        path: The file that keeps the queue.
    """

    def __init__(self, manager: RunManager, path: Path) -> None:
        super().__init__(manager, path)
        self._thread: threading.Thread | None = None
        self._going = False

    @property
    def going(self) -> bool:
        """Whether the next run begins by itself."""
        return self._going

    def snapshot(self) -> dict[str, Any]:
        """Return the queue as JSON."""
        with self._guard:
            models = self._manager.host.paths().models
            rows = [self._row(item, models) for item in self._items]
            return {"going": self._going, "sentence": self._sentence, "items": rows}

    def _row(self, item: QueueItem, models: Path) -> dict[str, Any]:
        plan = item.plan
        needed = [other.plan.name for other in self._items if item.needs(other, models) and other.state != "done"]
        return {
            "id": item.id,
            "name": plan.name,
            "models": [Path(model.path).stem for model in plan.models],
            "trials": plan.budget.trials,
            "saves": plan.save.name if item.named else "",
            "state": item.state,
            "folder": item.folder,
            "saved": item.saved,
            "sentence": item.sentence or self._waits(item, needed),
        }

    def _waits(self, item: QueueItem, needed: Sequence[str]) -> str:
        if item.state != "waiting":
            return ""
        if needed:
            return f"Waits for the winner of {' and '.join(needed)}."
        first = next(other for other in self._items if other.state in (*OPEN, "running"))
        if first is not item:
            return f"Waits for {first.plan.name}." if first.state == "running" else "Waits for its turn."
        if not self._going:
            return "Next, once you run the queue."
        if self._manager.tries.busy:
            return "Waits for the merge that is being tried."
        return "Waits for the run that is going on." if self._manager.active else "Next."

    # --- what the user asks for ---------------------------------------------------------------------------

    def go_on(self) -> None:
        """Run what waits, one after another. What stopped or failed is taken up again first.

        Raises:
            RunError: Nothing waits.
            PlanError: What waits cannot run any more; nothing has begun.
        """
        with self._guard:
            if self._going:
                return
            still = [item for item in self._items if item.state in OPEN]
            if not still:
                raise RunError("Nothing waits in the queue; add a run first.")
            plans = [item.plan for item in still if not item.folder]  # a resume checks its own plan
            begun = [item.plan for item in self._items if item.folder and item.state != "done"]
            problems = queue_problems(plans, begun, self._manager.host, self._manager.scorers_dir)
            if problems:
                raise PlanError(problems)
            self._going, self._sentence = True, ""
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._main, name="optim queue", daemon=True)
                self._thread.start()

    def pause(self) -> None:
        """Begin no further run. The one that is going on goes on."""
        with self._guard:
            if self._going:
                self._going, self._sentence = False, "The queue is paused; the run that is going on goes on."
            self._wake.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the queue begins nothing more and its last run is over; return whether that is so."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    # --- the thread ---------------------------------------------------------------------------------------

    def _main(self) -> None:
        while (item := self._next()) is not None:
            if self._busy():
                self._wake.wait(_LOOK)
                self._wake.clear()
                continue
            try:
                self._run(item)
            except OptimError as error:
                if isinstance(error, RunError) and self._busy():
                    self._put(item)  # somebody else was quicker
                else:
                    self._stop_at(item.id, "failed", str(error))
            except Exception:  # noqa: BLE001 - the outermost boundary of the thread
                _log.exception("The queue failed at %s", item.plan.name)
                self._stop_at(item.id, "failed", "Optim met an error of its own; the trace is in the program's log.")

    def _busy(self) -> bool:
        return self._manager.active or self._manager.tries.busy

    def _next(self) -> QueueItem | None:
        """Return the next item, or None: then the thread ends, and `go_on` begins another one."""
        with self._guard:
            item = next((item for item in self._items if item.state in OPEN), None) if self._going else None
            if item is None:
                if self._going:
                    self._going, self._sentence = False, "Everything in the queue is done."
                self._thread = None
            return item

    def _run(self, item: QueueItem) -> None:
        manager = self._manager
        running = dataclasses.replace(item, state="running", sentence="")
        self._put(running)
        if item.folder and (manager.outputs / item.folder / "plan.json").is_file():
            manager.resume(item.folder)
        else:
            item = dataclasses.replace(running, folder=manager.start(item.plan))
            self._put(item)
        while (outcome := manager.outcome(item.folder)) is None:
            manager.wait(_LOOK)
            shown = manager.snapshot()["run"]
            if not manager.active and (shown is None or shown["folder"] != item.folder):
                break  # forgotten, or another one has begun since
        self._end(item, outcome)

    def _end(self, item: QueueItem, outcome: Outcome | None) -> None:
        if outcome is None:
            self._stop_at(item.id, "stopped", "Something else began before its end was seen; run the queue again.")
            return
        with self._guard:
            item = dataclasses.replace(self._item(item.id), saved=outcome.saved, sentence=outcome.sentence)
            self._put(item)
            self._take_winner(item)
            if outcome.stopped:
                self._stop_at(item.id, "stopped", outcome.sentence)
            elif outcome.state == "failed":
                self._stop_at(item.id, "failed", outcome.sentence)
            elif item.named and not outcome.saved:
                self._stop_at(item.id, "failed", f"{outcome.sentence} So there is no '{item.plan.save.name}'.")
            else:
                self._put(dataclasses.replace(item, state="done"))

    def _take_winner(self, item: QueueItem) -> None:
        """Name the saved file in the plans that take it, if it had to get another name than was planned."""
        planned = str(winner_path(item.plan, self._manager.host.paths().models)) if item.named else ""
        if not item.saved or item.saved == planned:
            return
        for other in list(self._items):
            models = tuple(
                dataclasses.replace(model, path=item.saved) if model.path == planned else model
                for model in other.plan.models
            )
            if models != other.plan.models and other.state in OPEN:
                self._put(dataclasses.replace(other, plan=dataclasses.replace(other.plan, models=models)))

    def _stop_at(self, item_id: str, state: Literal["stopped", "failed"], sentence: str) -> None:
        with self._guard:
            item = self._item(item_id)
            self._going, self._sentence = False, f"The queue paused at {item.plan.name}: {sentence}"
            _log.info("%s", self._sentence)
            self._put(dataclasses.replace(item, state=state, sentence=sentence))
