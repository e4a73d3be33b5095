"""The host's queue: one holder at a time, first come, first served."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from lib_optim.plan.errors import RunError

__all__ = ["QueueLock"]

_ASK_EVERY = 0.25  # seconds between two questions whether to give up


class QueueLock:
    """A fair lock that knows who holds it and whether somebody waits. Not re-entrant: that would be a mistake."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._queue: deque[object] = deque()
        self._holder: int | None = None

    def acquire(self, give_up: Callable[[], bool] | None = None) -> None:
        """Wait for the lock.

        Raises:
            RunError: This thread holds it already, or `give_up` said so.
        """
        ticket = object()
        with self._condition:
            if self._holder == threading.get_ident():
                raise RunError("This thread holds the host's queue already; leave it before taking it again.")
            self._queue.append(ticket)
            try:
                while self._holder is not None or self._queue[0] is not ticket:
                    if give_up is not None and give_up():
                        raise RunError("Waiting for the host's queue was given up.")
                    self._condition.wait(_ASK_EVERY if give_up is not None else None)
                self._holder = threading.get_ident()
            finally:
                self._queue.remove(ticket)
                self._condition.notify_all()

    def release(self) -> None:
        """Let the next one in."""
        with self._condition:
            self._holder = None
            self._condition.notify_all()

    def mine(self) -> bool:
        """Tell whether the calling thread holds the lock."""
        return self._holder == threading.get_ident()

    def waiting(self) -> bool:
        """Tell whether somebody waits."""
        with self._condition:
            return bool(self._queue)
