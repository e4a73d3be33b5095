"""What the parts of one run share: its plan, record, scores, and hold on the host."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim.hosts.base import Host
from lib_optim.merging.merger import Merger, Recipe
from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import RunError
from lib_optim.plan.records import ImageRecord
from lib_optim.run.check import Resolved
from lib_optim.run.control import Control
from lib_optim.run.device import DeviceMemory
from lib_optim.run.folder import RunFolder
from lib_optim.run.footprint import memory_now
from lib_optim.run.hearing import Hearing
from lib_optim.run.history import History
from lib_optim.run.hosting import HostHold
from lib_optim.run.passes import Passes
from lib_optim.run.saving import open_merger
from lib_optim.run.scores import ScoreBook
from lib_optim.run.store import Store
from lib_optim.run.team import Team
from lib_optim.run.view import RunState, RunView

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["RunContext"]


class RunContext:
    """The objects of one run, made together. The worker thread owns it; `control`, `history` and `hold.interrupt`
    may be used from any thread.

    Args:
        resolved: The checked plan.
        folder: Its folder, locked.
        store: Its open database.
        host: Where to merge and generate.
        view: What the page shows.
        scorers_dir: Weights of scorers.
        trials: A new number of trials for the pass that was going on, or None.
    """

    def __init__(
        self,
        resolved: Resolved,
        folder: RunFolder,
        store: Store,
        host: Host,
        view: RunView,
        scorers_dir: Path,
        trials: int | None = None,
    ) -> None:
        self.resolved, self.folder, self.store = resolved, folder, store
        self.host, self.view = host, view
        self.control = Control()
        self.hold = HostHold(host, self.control)
        self.passes = Passes(resolved.plan, store, trials)
        self.book = ScoreBook(self.passes, store, view, self.control, scorers_dir)
        self.team = Team(resolved.plan.shared, store, self._away) if resolved.plan.shared.url else None
        self.history = History(resolved, folder, store, view, self.book, self.passes, self.recipe, self.team)
        self.hearing = Hearing(self.history, self.book, store)
        self.trials_since_start = 0
        self.merging = threading.Lock()  # the merger holds the values of one trial at a time
        self.memory = DeviceMemory(host)
        self._merger: Merger | None = None

    def open_merger(self, resolved: Resolved) -> None:
        """Open the models of `resolved`, which is the plan from now on.

        Raises:
            OptimError: See `saving.open_merger`.
        """
        self.resolved = resolved
        self._merger = open_merger(resolved, self.host)

    def rest(self) -> None:
        """Let go of the models' files and memory for the time of a pause."""
        if self._merger is not None:
            with self.merging:
                self.memory.rest(self._merger)

    def close_merger(self) -> None:
        """Let go of the models. Idempotent."""
        if self._merger is not None:
            self._merger.close()

    @property
    def opened(self) -> bool:
        """Whether the models were opened."""
        return self._merger is not None

    @property
    def merger(self) -> Merger:
        """The merger, which is open from the first trial on."""
        if self._merger is None:
            raise RunError("The models are not open.")
        return self._merger

    def recipe(self, values: Mapping[str, Value]) -> Recipe:
        """Return the recipe of one point of the space. Any thread."""
        with self.merging:
            return self.merger.recipe(values)

    def say(self, state: RunState, sentence: str) -> None:
        """Show what is being done, unless the user's wish to stop or pause is on show already."""
        self.view.set_state(state, sentence, lambda: not (self.control.stopping or self.control.pausing))

    def keep_image(self, record: ImageRecord, image: Image.Image | None) -> None:
        """Record an image that was just made (or skipped), and send it to the scorers."""
        self.store.put_image(record)
        self.view.put_image(record)
        self.book.add_image(record, image)

    def note_memory(self, number: int) -> None:
        """Record what memory is in use now that the images of a trial are made."""
        if memory := memory_now():
            self.store.put_memory(number, memory)
            self.view.put_memory(number, memory)

    def show(self) -> None:
        """Give everything recorded to the page."""
        self.history.show()
        for number, memory in self.store.memory().items():
            self.view.put_memory(number, memory)

    def _away(self, why: str) -> bool:
        self.say("running", why)
        return not self.control.stopping

    def report_progress(self) -> None:
        """Show in the host's own progress bar where the run stands."""
        progress = self.view.progress()
        best = self.view.best
        text = f"Optim: trial {progress['trial']}/{progress['trials']}"
        if best is not None:
            text += f", best {best.value:.4g} (trial {best.number})"
        self.host.report(text, progress["images_done"], progress["images_all"], progress["eta_seconds"])
