"""A merge session in a WebUI: the shared table session, and what the WebUI wants done around it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

from lib_optim.hosts.live import LiveModel, TableSession, TableWeights
from lib_optim.hosts.webui.lock import QueueLock

__all__ = ["WebuiModel", "WebuiSession"]


class WebuiModel(LiveModel, Protocol):
    """The WebUI's model, as the session and the host's `generate` need it."""

    def chosen(self) -> bool:
        """Whether the session's base is still chosen. Cheap; changes nothing."""

    def adopt(self) -> bool:
        """Make sure that the session's base is chosen and loaded, before a trial or a check.

        The WebUI is asked to load what is chosen, as it would do itself before its next image. LoRAs are taken out.

        Returns:
            Whether the model is another object than before (made anew from the same file).

        Raises:
            HostChanged: The user has chosen another checkpoint, VAE or storage; or the base did not load.
        """

    def shown(self) -> contextlib.AbstractContextManager[None]:
        """Mark the model as merged while live weights are open. The mark also betrays a reload into the same object."""

    def freshen(self) -> None:
        """Drop what is stale after writes: before an image."""

    def settle(self) -> None:
        """Drop what is stale after the originals are back: before the lock is released."""

    def leave(self) -> None:
        """The trial is over: until `settle`, our own model object will do even if the host has put another in place."""

    def generated(self) -> None:
        """An image was made: LoRAs may be baked in, parameters may have been replaced."""


class WebuiSession:
    """Implements ``hosts.base.MergeSession``."""

    def __init__(
        self,
        model: WebuiModel,
        table: TableSession,
        lock: QueueLock,
        opened: Callable[[WebuiSession], None],
        closed: Callable[[WebuiSession], None],
        buffers: tuple[str, ...] = (),
    ) -> None:
        self.model = model
        self._table = table
        self._lock = lock
        self._opened, self._closed = opened, closed
        self._buffers = buffers  # keys of the file that are no weights (position_ids)
        self._inside = False

    def keys(self) -> tuple[str, ...]:
        """See ``MergeSession.keys``."""
        return self._table.keys()

    def unmapped(self) -> tuple[str, ...]:
        """See ``MergeSession.unmapped``."""
        return self._table.unmapped() + self._buffers

    def copied_bytes(self) -> int:
        """See ``MergeSession.copied_bytes``."""
        return self._table.copied_bytes()

    @contextlib.contextmanager
    def live_weights(self) -> Iterator[TableWeights]:
        """See ``MergeSession.live_weights``."""
        self._lock.require("Writing weights")
        if not self._inside:  # else the table session says what is wrong
            self._adopt()
        try:
            with self._table.live_weights() as weights:
                self._inside = True
                self._opened(self)
                try:
                    with self.model.shown():
                        yield weights
                finally:
                    self._closed(self)
                    self._inside = False
                    self.model.leave()
        finally:
            # Last, because caches depend on the weights that are in the model when all is done.
            self.model.settle()
        self.model.check_same()

    def chosen(self) -> bool:
        """See ``MergeSession.chosen``."""
        return self.model.chosen()

    def check(self, thorough: bool = False) -> None:
        """See ``MergeSession.check``."""
        self._lock.require("Checking weights")
        if self._inside:
            self.model.check_same()
            return
        self._adopt()
        self._table.check(thorough)

    def close(self) -> None:
        """See ``MergeSession.close``."""
        self._table.close()

    def _adopt(self) -> None:
        if self.model.adopt():
            self._table.check(thorough=True)
