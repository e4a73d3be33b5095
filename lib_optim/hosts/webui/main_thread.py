"""The main thread of Forge and its relatives, where they want model work done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from lib_optim.plan.errors import HostError

__all__ = ["main_thread_delay", "run_on_main_thread"]

T = TypeVar("T")
_here = threading.local()


def run_on_main_thread(call: Callable[[], T]) -> T:
    """Run `call` there and return its result; its errors come through, which the host's own function turns into None.

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
        raise HostError("The WebUI's main thread did not run the task; the WebUI is shutting down.")
    return results[0]


def main_thread_delay(patience: float) -> float:
    """Return the seconds until the main thread has run an empty task, at most `patience`."""
    from modules_forge import main_thread

    started = time.monotonic()
    task_id = main_thread.async_run(lambda: None)
    while time.monotonic() - started < patience:
        if any(task.task_id == task_id for task in list(main_thread.finished_list)):
            break
        time.sleep(0.002)
    with main_thread.lock:
        main_thread.finished_list[:] = [t for t in main_thread.finished_list if t.task_id != task_id]
    return time.monotonic() - started
