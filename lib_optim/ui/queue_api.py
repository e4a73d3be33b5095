"""The queue of runs, as the page asks for it.

GET  /optim/api/queue                     the runs in their order, and what each waits for
POST /optim/api/queue_add {form | plan, lines}   put a run at the end; with `lines` ("A + B = O"), a run per line
POST /optim/api/queue_command {command, id, by}   go_on, pause, clear (what is done), remove; move an item `by` places
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lib_optim.plan.run_plan import RunPlan
from lib_optim.ui.http import Call, Refused

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager

__all__ = ["QueueApi"]

MOST_TEXT = 20_000


class QueueApi:
    """The routes.

    Args:
        manager: Whose queue.
        plan_of: Returns the plan that a request describes.
    """

    def __init__(self, manager: RunManager, plan_of: Callable[[Call], RunPlan]) -> None:
        self._manager, self._plan_of = manager, plan_of

    def state(self, call: Call) -> dict[str, Any]:
        """Return the queue."""
        del call
        return self._manager.queue.snapshot()

    def add(self, call: Call) -> dict[str, Any]:
        """Add a run, or one per line; all or none.

        Raises:
            PlanError: Every problem of every run.
        """
        lines = call.body.get("lines")
        if lines is not None and (not isinstance(lines, str) or len(lines) > MOST_TEXT):
            raise Refused(400, f"'lines' must be a text of at most {MOST_TEXT} characters.")
        plan, queue = self._plan_of(call), self._manager.queue
        plans = [plan] if lines is None else queue.plans_of(lines, plan)
        return {"added": queue.add(plans), "queue": queue.snapshot()}

    def command(self, call: Call) -> dict[str, Any]:
        """Steer the queue; the answer is the queue as it is then."""
        queue, name = self._manager.queue, str(call.body.get("command") or "")[:100]
        item = str(call.body.get("id") or "")[:100]
        by = call.body.get("by", 0)
        if isinstance(by, bool) or not isinstance(by, int):
            raise Refused(400, "'by' must be a whole number.")
        commands: dict[str, Callable[[], None]] = {
            "go_on": queue.go_on,
            "pause": queue.pause,
            "clear": queue.clear,
            "remove": lambda: queue.remove(item),
            "move": lambda: queue.move(item, by),
        }
        if name not in commands:
            raise Refused(400, f"There is no command '{name}'; there are {', '.join(commands)}.")
        commands[name]()
        return queue.snapshot()
