"""Forge's main thread, where it wants model work done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from lib_optim.plan.errors import HostError

__all__ = ["run_on_main_thread"]

T = TypeVar("T")
_here = threading.local()


def run_on_main_thread(call: Callable[[], T]) -> T:
    """Run `call` there and return its result; its errors come through, which Forge's own function turns into None.

    Take the queue lock before, never inside `call`: other tasks of the main thread wait for that lock.
    """
    from modules_forge import main_thread

    if getattr(_here, "in_task", False):
        return call()  # a task that waited for another would wait for ever
    results: list[T] = []
    errors: list[BaseException] = []

    def task() -> None:
        _here.in_task = True
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - carried over to the caller's thread
            errors.append(error)
        finally:
            _here.in_task = False

    main_thread.run_and_wait_result(task)
    if errors:
        raise errors[0]
    if not results:
        raise HostError("Forge's main thread did not run the task; Forge is shutting down.")
    return results[0]
