"""A few threads that work off what one of them prepares."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

__all__ = ["in_threads"]

Guard = Callable[[], AbstractContextManager[object]]

_THREADS = 2  # two saturate the memory of desktop machines, and torch's own threads come on top
_AHEAD = 8  # tasks handed to the helpers before the caller's thread works itself


def in_threads(work: Iterable[Callable[[], None]], guard: Guard) -> None:
    """Do all of `work`; return, or raise the first error, when all threads are at rest. After an error no task begins.

    Args:
        work: Independent of each other. The iterator itself runs in the caller's thread only.
        guard: The context for each piece of work: torch's modes belong to a thread.
    """
    helpers = _Helpers(min(_THREADS, os.cpu_count() or 1) - 1, guard)
    try:
        for task in work:
            if helpers.errors:
                break
            if not helpers.take(task):
                with guard():
                    task()
    except BaseException as error:
        helpers.errors.append(error)
        raise
    finally:
        helpers.join()
    if helpers.errors:
        raise helpers.errors[0]


class _Helpers:
    def __init__(self, count: int, guard: Guard) -> None:
        self.errors: list[BaseException] = []
        self._guard = guard
        self._tasks: queue.Queue[Callable[[], None] | None] = queue.Queue(_AHEAD)
        self._threads = [threading.Thread(target=self._labour, name="optim merge", daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def take(self, task: Callable[[], None]) -> bool:
        """Take a task over, unless there are enough of them already."""
        if not self._threads or self._tasks.full():
            return False
        self._tasks.put(task)
        return True

    def join(self) -> None:
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _labour(self) -> None:
        while (task := self._tasks.get()) is not None:
            if self.errors:
                continue
            try:
                with self._guard():
                    task()
            except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
                self.errors.append(error)
