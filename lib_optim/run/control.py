"""The user's commands to a running run: flags that any thread sets and the worker obeys."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["PAUSED", "Control", "StopRun"]

PAUSED = "Paused."
"""How the sentence of a pause begins that somebody asked for; of any other it says what went wrong."""


class StopRun(Exception):
    """Unwinds the worker to its end after Stop. Never leaves the run package."""


class Control:
    """Flags with one condition. Every setter is idempotent and answers at once."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._stop = False
        self._pause = False
        self._finish = False
        self._verify = False
        self._skip_trial = False
        self._skip_image = False

    def stop(self) -> None:
        """End the run as soon as possible."""
        self._set(_stop=True, _pause=False)

    def finish(self) -> None:
        """End the run after the current trial."""
        self._set(_finish=True)

    def only_verify(self) -> None:
        """Search no further: verify the best there is, and end."""
        self._set(_verify=True)

    def pause(self) -> None:
        """Pause after the current image."""
        self._set(_pause=True)

    def go_on(self) -> None:
        """End the pause."""
        self._set(_pause=False)

    def skip_trial(self) -> None:
        """Leave the current trial unscored."""
        self._set(_skip_trial=True)

    def skip_image(self) -> None:
        """Leave the current image out."""
        self._set(_skip_image=True)

    def wake(self) -> None:
        """Make `wait` look again (a score arrived)."""
        self._set()

    @property
    def stopping(self) -> bool:
        """Whether Stop was asked for."""
        return self._stop

    @property
    def finishing(self) -> bool:
        """Whether the run shall end after the current trial."""
        return self._finish

    @property
    def only_verifying(self) -> bool:
        """Whether the best shall be verified without searching on."""
        return self._verify

    @property
    def pausing(self) -> bool:
        """Whether a pause is asked for."""
        return self._pause

    @property
    def skipping_trial(self) -> bool:
        """Whether the current trial shall be skipped."""
        return self._skip_trial

    @property
    def leave_model(self) -> bool:
        """Whether the worker should put the original weights back now."""
        return self._stop or self._pause or self._skip_trial

    def take_skip_image(self) -> bool:
        """Tell whether the current image shall be skipped, and forget it."""
        with self._condition:
            skip, self._skip_image = self._skip_image, False
            return skip

    def begin_trial(self) -> None:
        """Forget skips that were meant for an earlier trial."""
        self._set(_skip_trial=False, _skip_image=False)

    def wait(self, until: Callable[[], bool]) -> None:
        """Sleep until `until` holds or Stop is asked for.

        Raises:
            StopRun: Stop was asked for.
        """
        with self._condition:
            while not until() and not self._stop:
                self._condition.wait(timeout=0.5)
        if self._stop:
            raise StopRun

    def _set(self, **flags: bool) -> None:
        with self._condition:
            for name, value in flags.items():
                setattr(self, name, value)
            self._condition.notify_all()
