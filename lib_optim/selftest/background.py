"""What other threads do while a check runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["PATIENCE", "Background", "Failed"]

T = TypeVar("T")

PATIENCE = 120.0
"""Seconds to wait for the host's lock, and for whatever another thread does."""


class Failed(Exception):
    """The statement does not hold; ``str(error)`` is what was seen."""


class Background(Generic[T]):
    """A call on a thread of its own."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._result: list[T] = []
        self._error: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True, name="optim self-test client")
        self._thread.start()

    def _run(self, call: Callable[[], T]) -> None:
        try:
            self._result.append(call())
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
            self._error.append(error)

    def done(self, within: float = 0.0) -> bool:
        """Tell whether it has ended, waiting up to `within` seconds for it."""
        self._thread.join(within)
        return not self._thread.is_alive()

    def result(self, what: str, within: float = PATIENCE) -> T:
        """Return what the call returned, or raise what it raised.

        Raises:
            Failed: It does not end.
        """
        if not self.done(within):
            raise Failed(f"{what} did not end in {within:.0f} s")
        if self._error:
            raise self._error[0]
        return self._result[0]
