"""The WebUI's queue lock: first come, first served, and nobody cuts in."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from lib_optim.plan.errors import RunError

__all__ = ["QueueLock"]

_ASK = 0.25  # seconds between two questions whether to give up
_COURTESY = 0.5  # seconds that a woken waiter gets to take the lock before we queue again


class QueueLock:
    """Holds ``modules.call_queue.queue_lock`` for one thread at a time.

    That lock has no timeout, so a helper thread waits in our place (the lock may be released by another thread than
    took it). It is first come, first served but for one hole: the releaser wakes the next waiter and, if it asks again
    at once, is quicker; the waiter then is in no queue any more. A run that takes turns with others would starve them.
    """

    def __init__(self) -> None:
        self._holder: int | None = None

    @property
    def held(self) -> bool:
        """Whether the calling thread holds the lock through this object."""
        return self._holder == threading.get_ident()

    @contextlib.contextmanager
    def hold(self, give_up: Callable[[], bool] | None = None) -> Iterator[None]:
        """Hold the lock; `give_up` is asked about every quarter second of the wait.

        Raises:
            RunError: `give_up` said so, or this thread holds it already (it is not re-entrant).
        """
        if self.held:
            raise RunError("The host's queue lock is held already by this thread; this is a mistake in Optim.")
        lock = _queue_lock()
        if not lock.acquire(blocking=False):
            _wait_in_line(lock, give_up)
        self._holder = threading.get_ident()
        try:
            yield
        finally:
            self._holder = None
            somebody = self.others_waiting()
            lock.release()
            if somebody:
                _let_pass(lock)

    def others_waiting(self) -> bool:
        """Tell whether somebody waits for the lock."""
        return bool(getattr(_queue_lock(), "_pending_threads", ()))

    def require(self, what: str) -> None:
        """Raise `RunError` unless the calling thread holds the lock."""
        if not self.held:
            raise RunError(f"{what} needs the host's queue lock; this is a mistake in Optim.")


def _queue_lock() -> Any:
    from modules import call_queue

    return call_queue.queue_lock


def _wait_in_line(lock: Any, give_up: Callable[[], bool] | None) -> None:
    decided = threading.Lock()
    got, gone = threading.Event(), threading.Event()

    def wait() -> None:
        lock.acquire()
        with decided:
            if gone.is_set():
                lock.release()
            else:
                got.set()

    threading.Thread(target=wait, name="optim waits for the queue", daemon=True).start()
    while not got.wait(_ASK):
        if give_up is not None and give_up():
            with decided:
                if not got.is_set():
                    gone.set()
                    raise RunError("The wait for the host's queue was given up.")


def _let_pass(lock: Any) -> None:
    inner = getattr(lock, "_lock", None)
    until = time.monotonic() + _COURTESY
    while inner is not None and not inner.locked() and time.monotonic() < until:
        time.sleep(0.001)
