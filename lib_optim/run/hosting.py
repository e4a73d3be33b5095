"""The run's hold on the host: its queue lock, its merge session, and what to give back afterwards."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from lib_optim.hosts.base import Checkpoint, Host, HostState, LiveWeights, MergeSession
from lib_optim.plan.errors import HostChanged, HostError, RunError
from lib_optim.run.control import Control, StopRun

__all__ = ["HostHold", "Turn"]

_INTERRUPT_AGAIN = 0.05  # seconds
_log = logging.getLogger(__name__)


@dataclass
class Turn:
    """The time in which a run has the host: from the first write of a merge until the model is put back.

    Attributes:
        live: The live weights.
        digests: Of every tensor as the last trial of this turn left it.
    """

    live: LiveWeights
    _stack: contextlib.ExitStack
    digests: dict[str, int] = field(default_factory=dict)


class HostHold:
    """What a run holds of the host. Used by the worker thread, except `interrupt`.

    Args:
        host: The program that holds the model.
        control: Stop ends the waiting for the host's lock, except where the model is given back.
    """

    def __init__(self, host: Host, control: Control) -> None:
        self._host, self._control = host, control
        self._session: MergeSession | None = None
        self._turn: Turn | None = None
        self._before: HostState | None = None
        self._ours: HostState | None = None
        self._image = 0  # 0: none; else a number per image, so that an interruption never hits the next one
        self._images = 0
        self._image_guard = threading.Lock()

    @property
    def borrowed(self) -> bool:
        """Whether the host had another model loaded, which `give_back` brings back."""
        return self._before is not None and self._before != self._ours

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the host's lock.

        Raises:
            StopRun: Stop was asked for while waiting for it.
        """
        lock = self._host.exclusive(lambda: self._control.stopping)
        try:
            lock.__enter__()
        except RunError as error:
            if self._control.stopping:
                raise StopRun from error
            raise
        with contextlib.ExitStack() as stack:
            stack.push(lock.__exit__)
            yield

    @contextlib.contextmanager
    def turn(self, session: MergeSession) -> Iterator[Turn]:
        """Hold the host's lock with the live weights open, for one trial.

        Left without an error it stays so, so that the next trial writes only what is new in it; who cannot say that the
        next trial follows at once calls `end_turn`. If somebody waits for the host, or chose another model in it, the
        next trial begins a new turn.

        Raises:
            StopRun: As `exclusive`.
            HostChanged: See `MergeSession.live_weights`, also for a turn that ends here.
        """
        if self._turn is not None and (self._host.others_waiting() or not session.chosen()):
            self.end_turn()
        if self._turn is None:
            with contextlib.ExitStack() as stack:
                stack.enter_context(self.exclusive())
                live = stack.enter_context(session.live_weights())
                self._turn = Turn(live, stack.pop_all())
        turn = self._turn
        try:
            yield turn
        except BaseException:
            self._turn = None
            turn._stack.__exit__(*sys.exc_info())
            raise

    def end_turn(self) -> None:
        """Put the model back and release the lock, if that is not done.

        Raises:
            HostChanged: See `MergeSession.live_weights`.
        """
        turn, self._turn = self._turn, None
        if turn is not None:
            turn._stack.close()

    def session(
        self, base: Checkpoint, components: frozenset[str], keys: Collection[str], loading: Callable[[], None]
    ) -> MergeSession:
        """Return the merge session on `base`; loads it first if that is not done.

        Args:
            base: Model A.
            components: Components that are merged.
            keys: Checkpoint keys that will be written.
            loading: Called before something is loaded.

        Raises:
            HostError: It does not load, or cannot take these keys.
            StopRun: As `exclusive`.
        """
        if self._session is not None:
            return self._session
        loading()
        with self.exclusive():
            # Read under the lock: whoever held it may have loaded something.
            self._before = self._before or self._host.state()
            self._host.load(base)
            self._ours = self._host.state()
            session = self._host.open_session(base, components)
            have = set(session.keys())
            missing = [key for key in keys if key not in have]
            if missing:
                session.close()
                raise HostError(
                    f"{len(missing)} tensors of {base.title}, such as {missing[0]}, have no counterpart in the model "
                    f"that {self._host.title} loaded, so this merge cannot be shown; choose another model A."
                )
            self._session = session
            return session

    def check_after_failure(self) -> None:
        """Look at every live tensor: whatever failed, the next trial must begin from the originals.

        Raises:
            OptimError: They are not there.
            StopRun: As `exclusive`.
        """
        self.end_turn()
        if self._session is not None:
            with self.exclusive():
                self._session.check(thorough=True)

    def lost(self) -> None:
        """Forget the session: the model is no longer what it was. What somebody else chose since then stands."""
        with contextlib.suppress(HostChanged):  # that it changed is why this is called
            self.end_turn()
        session, self._session = self._session, None
        if self._ours is not None and self._host.state() != self._ours:
            self._before = None
        if session is not None:
            session.close()

    def give_back(self) -> None:
        """Bring the host's first state back; waits for its lock. May be tried again after an error.

        Raises:
            OptimError: It did not work.
        """
        try:
            self.end_turn()
        except HostChanged as error:
            _log.warning("Nothing to put back: %s", error)
            self.lost()
        finally:  # what could not be put back is read from its file
            self._restore()

    def _restore(self) -> None:
        if self._before is None:
            return
        with self._host.exclusive():
            session, self._session = self._session, None
            try:
                if session is not None:
                    session.close()
            finally:
                self._host.restore(self._before)
            self._before = self._ours = None

    @contextlib.contextmanager
    def generating(self) -> Iterator[None]:
        """Mark the time in which an image is generated for the run."""
        with self._image_guard:
            self._images += 1
            self._image = self._images
        try:
            yield
        finally:
            with self._image_guard:
                self._image = 0

    def interrupt(self) -> None:
        """End the image now being generated for the run, if any, and no other. Any thread; answers at once."""
        image = self._image
        if image:
            threading.Thread(target=self._chase, args=(image,), name="optim interrupt", daemon=True).start()

    def _chase(self, image: int) -> None:
        # Again and again, because a host that only just began the image clears its flag once more.
        pause = threading.Event()
        while True:
            with self._image_guard:
                if self._image != image:
                    return
                self._host.interrupt()
            pause.wait(_INTERRUPT_AGAIN)
