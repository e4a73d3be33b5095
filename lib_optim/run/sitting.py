"""A sitting: the thread in which tries are made, as long as the user keeps trying."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator

from lib_optim.hosts.base import Host
from lib_optim.plan.errors import Interrupted, OptimError
from lib_optim.run.control import Control, StopRun
from lib_optim.run.hosting import HostHold
from lib_optim.run.try_folder import TryFolder
from lib_optim.run.trying import TryMaker, Wish

__all__ = ["Sitting"]

_REST = 60.0  # seconds without a try after which all is let go
_REST_BORROWED = 15.0  # the same where the user had another model loaded, which comes back then
_OWN_ERROR = "Optim met an error of its own; the trace is in the program's log."
_STOPPED = "Stopped; your own model is back."
_log = logging.getLogger(__name__)


class Sitting:
    """The thread. Ends by itself when nothing was asked for a while, or after `stop`; it is not begun again.

    Args:
        host: Where to merge and generate.
        folder: Where tries are kept.
        known: See `TryMaker`.

    Attributes:
        making: What is being made.
        sentence: What is being done, or became of it.
        error: Why the last one failed.
    """

    def __init__(self, host: Host, folder: TryFolder, known: set[str]) -> None:
        self._host = host
        self._control = Control()
        self._hold = HostHold(host, self._control)
        self._maker = TryMaker(host, folder, known, self._control, self._hold, self._more, self._say)
        self._condition = threading.Condition()
        self._next: Wish | None = None
        self._over = False
        self.making: Wish | None = None
        self.sentence = ""
        self.error = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._main, name="optim try", daemon=True)

    # --- any thread

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def ask(self, wish: Wish) -> bool:
        """Make `wish` the next one, in the place of another that waits; False if the sitting is over."""
        with self._condition:
            if self._over or self._control.stopping:
                return False
            self._next = wish
            self._condition.notify_all()
            return True

    @property
    def busy(self) -> bool:
        """Whether something is being made, or about to be."""
        with self._condition:
            return self.making is not None or self._next is not None

    def stop(self) -> None:
        """End what is being made, and the sitting; the model is given back. Answers at once."""
        with self._condition:
            self._next = None
            self._control.stop()
            self._condition.notify_all()
        self._hold.interrupt()

    def wait(self, timeout: float) -> bool:
        """Wait until the thread has ended; return whether it has."""
        if not self._ended.wait(timeout):
            return False
        self._thread.join()
        return True

    # --- the thread

    def _main(self) -> None:
        try:
            while (wish := self._take()) is not None:
                self._try(wish)
        finally:
            with self._logged("giving the model back"):
                self._hold.give_back()
            with self._logged("closing the models"):
                self._maker.close()
            self.making = None
            self._ended.set()

    def _take(self) -> Wish | None:
        """Return the next wish; None if none came in time, or the user stopped it. Leaves no merge in the model."""
        if not self._more():
            with self._logged("putting the model back"):
                self._hold.end_turn()
        limit = time.monotonic() + (_REST_BORROWED if self._hold.borrowed else _REST)
        with self._condition:
            if not self._control.stopping:
                self.making = None
            while self._next is None and not self._control.stopping and time.monotonic() < limit:
                self._condition.wait(max(0.0, limit - time.monotonic()))
            wish, self._next = self._next, None
            self._over = wish is None
            if wish is not None:
                self.making, self.error = wish, ""
            return wish

    def _try(self, wish: Wish) -> None:
        try:
            self._maker.make(wish)
            self.sentence = ""
        except (StopRun, Interrupted) as end:
            asked = self._control.stopping or self._host.stop_requested()
            self.sentence, self.error = (_STOPPED, "") if asked else ("", str(end))
        except OptimError as error:
            self._failed(str(error))
        except Exception:  # noqa: BLE001 - the outermost boundary of the thread
            self._failed(_OWN_ERROR)

    def _failed(self, sentence: str) -> None:
        _log.exception("A try failed: %s", sentence)
        self.sentence, self.error = "", sentence
        try:
            self._hold.check_after_failure()
        except StopRun:
            pass  # the model is given back next
        except OptimError as damage:
            self.error = str(damage)
            with self._logged("leaving the model"):
                self._hold.lost()

    def _more(self) -> bool:
        return self._next is not None

    def _say(self, sentence: str) -> None:
        self.sentence = sentence

    @contextlib.contextmanager
    def _logged(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OptimError as error:
            _log.exception("While %s", doing)
            self.error = str(error)
        except Exception:  # noqa: BLE001 - what follows must be done all the same
            _log.exception("While %s", doing)
            self.error = f"An error happened while {doing}; the trace is in the program's log."
