"""The runs of the queue, and what the user does to the list. Kept on disk after every change."""

from __future__ import annotations

import dataclasses
import logging
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim.plan.errors import PlanError, RunError, StoreError
from lib_optim.plan.run_plan import RunPlan
from lib_optim.run.queue_check import lines_to_plans, queue_problems
from lib_optim.run.queue_items import QueueItem, read_queue, write_queue

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager

__all__ = ["OPEN", "QueueList"]

OPEN = ("waiting", "stopped", "failed")
"""States of the runs still to come; a stopped or failed one is taken up again."""
_log = logging.getLogger(__name__)


class QueueList:
    """The list. Every method may be called from any thread and answers at once.

    Args:
        manager: Whose host and folders the plans are checked against.
        path: The file that keeps the list.
    """

    def __init__(self, manager: RunManager, path: Path) -> None:
        self._manager, self._path = manager, path
        self._guard = threading.RLock()
        self._wake = threading.Event()  # set by whatever may let the next run begin
        kept, self._sentence = read_queue(path)
        self._source = kept.source
        gone = "The program ended during this run; run the queue to go on with it."
        self._items = [
            dataclasses.replace(item, state="stopped", sentence=gone) if item.state == "running" else item
            for item in kept.items
        ]

    @property
    def items(self) -> tuple[QueueItem, ...]:
        """The runs, in their order, those that are over among them."""
        with self._guard:
            return tuple(self._items)

    @property
    def source(self) -> str:
        """What `add` was told about where the runs come from."""
        return self._source

    def add(self, plans: Sequence[RunPlan], source: str = "") -> list[str]:
        """Put `plans` at the end, all of them or none; return their ids.

        Raises:
            PlanError: Every problem of every plan; nothing was added.
            StoreError: The queue cannot be kept.
        """
        with self._guard:
            self.refuse_broken(plans)
            new = [QueueItem(uuid.uuid4().hex[:12], plan) for plan in plans]
            self._keep([*self._items, *new], source or self._source)
            self._wake.set()
            return [item.id for item in new]

    def plans_of(self, text: str, template: RunPlan) -> list[RunPlan]:
        """Return what the lines ``A + B = O`` would add, each with the settings of `template`.

        Raises:
            PlanError: Every problem of the lines and of the plans that they make.
        """
        with self._guard:
            before = self._before()
            plans = lines_to_plans(text, template, before, self._manager.host)
            self.refuse_broken(plans)
        return plans

    def refuse_broken(self, plans: Sequence[RunPlan]) -> None:
        """Look at everything in `plans`, which would run after what is there.

        Raises:
            PlanError: Every problem of every plan.
        """
        with self._guard:
            problems = queue_problems(plans, self._before(), self._manager.host, self._manager.scorers_dir)
        if problems:
            raise PlanError(problems)

    def _before(self) -> list[RunPlan]:
        return [item.plan for item in self._items if item.state != "done"]

    def remove(self, item_id: str) -> None:
        """Take an item out; its run folder stays.

        Raises:
            RunError: There is no such item, it is running, or another one needs its winner.
        """
        with self._guard:
            item = self._item(item_id)
            if item.state == "running":
                raise RunError(f"{item.plan.name} is running; stop it first.")
            models = self._manager.host.paths().models
            users = [one for one in self._items if one.state != "done" and one.needs(item, models)]
            if users and not item.saved:
                raise RunError(f"{users[0].plan.name} takes the winner of {item.plan.name}; remove that one first.")
            self._keep([one for one in self._items if one.id != item_id])

    def clear(self) -> None:
        """Take out what is done."""
        with self._guard:
            self._keep([item for item in self._items if item.state != "done"])

    def move(self, item_id: str, by: int) -> None:
        """Have an item run earlier (`by` below 0) or later, by that many places among those still to come.

        Raises:
            RunError: There is no such item, it has begun, or it would run before one whose winner it takes.
        """
        with self._guard:
            item = self._item(item_id)
            if item.state in ("running", "done"):
                raise RunError(f"{item.plan.name} has begun; only runs still to come can be moved.")
            still = [one for one in self._items if one.state in OPEN]
            at = max(0, min(len(still) - 1, still.index(item) + by))
            still.remove(item)
            still.insert(at, item)
            models = self._manager.host.paths().models
            for i, one in enumerate(still):
                late = next((other for other in still[i + 1 :] if one.needs(other, models)), None)
                if late is not None:
                    raise RunError(f"{one.plan.name} takes the winner of {late.plan.name}, so it must run after it.")
            self._keep([one for one in self._items if one.state not in OPEN] + still)

    def _item(self, item_id: str) -> QueueItem:
        for item in self._items:
            if item.id == item_id:
                return item
        raise RunError("That run is not in the queue any more; look at the list again.")

    def _put(self, changed: QueueItem) -> None:
        items = [changed if item.id == changed.id else item for item in self._items]
        try:
            with self._guard:
                self._keep(items)
        except StoreError as error:  # the run matters more than its place in the list
            _log.error("%s", error)
            self._items = items
            self._going, self._sentence = False, f"The queue paused: {error}"

    def _keep(self, items: list[QueueItem], source: str | None = None) -> None:
        source = self._source if source is None else source
        write_queue(self._path, items, source)
        self._items, self._source = items, source
