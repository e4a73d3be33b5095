"""The self-test as a job of its own: started by a button, read by polling, one at a time."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import OptimError, RunError

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager

__all__ = ["SelftestJob"]

_log = logging.getLogger(__name__)
_RESTING = ("idle", "finished", "failed")


class SelftestJob:
    """Runs `lib_optim.selftest.run_selftest` on a thread; any thread may call."""

    def __init__(self, manager: RunManager) -> None:
        self._manager = manager
        self._guard = threading.Lock()
        self._state: dict[str, Any] = {"state": "idle", "text": "", "failed": 0}

    def start(self) -> dict[str, Any]:
        """Start it, or tell that it runs already.

        Raises:
            RunError: A run is active, or a try, whose model the self-test would take away.
        """
        if self._manager.snapshot(0)["state"] not in _RESTING:
            raise RunError("A run is active; stop it before the self-test, which uses the same model.")
        self._manager.tries.leave()
        with self._guard:
            if self._state["state"] != "running":
                self._state = {"state": "running", "text": "", "failed": 0}
                threading.Thread(target=self._run, name="optim self-test", daemon=True).start()
            return dict(self._state)

    def state(self) -> dict[str, Any]:
        """Return ``{"state": idle | running | done | failed, "text": report or reason, "failed": count}``.

        While it runs also ``"at"``: how many statements are done, and which is at hand.
        """
        with self._guard:
            return dict(self._state)

    def _at(self, row: str, done: int, total: int) -> None:
        with self._guard:
            self._state = {**self._state, "at": f"{done} of {total}: {row}"}

    def _run(self) -> None:
        try:
            from lib_optim.selftest import report_text, run_selftest

            report = run_selftest(self._manager.host, self._at)
            state = {"state": "done", "text": report_text(report), "failed": len(report.failed)}
        except OptimError as error:
            state = {"state": "failed", "text": str(error), "failed": 0}
        except Exception:  # noqa: BLE001 (the page must learn that it ended)
            _log.exception("The self-test ended early")
            state = {"state": "failed", "text": "The self-test ended early; the trace is in the log.", "failed": 0}
        with self._guard:
            self._state = state
