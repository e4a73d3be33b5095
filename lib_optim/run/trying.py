"""How a try is made: a merge that the user dials by hand, in the host's model for the time of one image.

The host's lock is held from the first write to the restore, as in a run. What is dear to get ready (the models' files,
the session on model A) is held until `TryMaker.close`, for the next try.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from lib_optim.hosts.base import GeneratedImage, Host, MergeSession
from lib_optim.merging.merger import Merger
from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import HostChanged, Interrupted, OptimError, RunError
from lib_optim.plan.payload import ImageJob
from lib_optim.run.check import Resolved
from lib_optim.run.control import Control, StopRun
from lib_optim.run.hosting import HostHold
from lib_optim.run.parents import LETTERS, open_parent, parent_components, parent_file
from lib_optim.run.results import pixel_hash
from lib_optim.run.saving import open_merger
from lib_optim.run.swapping import refuse_changed, swap
from lib_optim.run.try_folder import Parent, Try, TryFolder

__all__ = ["TryMaker", "Wish"]

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Wish:
    """One try that was asked for: a point of the plan's space, an image, and whether the parents are wanted too."""

    resolved: Resolved
    values: Mapping[str, Value]
    job: ImageJob
    parents: bool
    request: str


class TryMaker:
    """Makes tries, one after another. Used by one thread.

    Args:
        host: Where to merge and generate.
        folder: Where tries are kept.
        known: Files of parents' images that this process has made.
        control: Its stop ends what is being made.
        hold: What is held of the host.
        more: Returns whether another try was asked for meanwhile: then the merge stays in the model for it.
        say: Told what is being done, a sentence.
    """

    def __init__(
        self,
        host: Host,
        folder: TryFolder,
        known: set[str],
        control: Control,
        hold: HostHold,
        more: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        self._host, self._folder, self._known = host, folder, known
        self._control, self._hold, self._more, self._say = control, hold, more, say
        self._merger: Merger | None = None
        self._key: object = None

    def make(self, wish: Wish) -> None:
        """Make the image, keep it with its record, then those of the parents that are not known yet.

        Unless `more`, the model is as it was when this returns; if it raises, see `HostHold.check_after_failure`.

        Raises:
            StopRun, Interrupted: The user wanted an end of it.
            OptimError: It failed.
        """
        seconds: dict[str, float] = {}
        with _timed(seconds, "load"):
            merger = self._open(wish)
        try:
            made, recipe = self._image(wish, merger, seconds)
        except HostChanged as change:
            # Nothing was shown since the user chose another model in the host: no error, ours is loaded again.
            _log.info("The model is got ready again: %s", change)
            self._hold.lost()
            made, recipe = self._image(wish, merger, seconds)
        if not self._more():
            with _timed(seconds, "restore"):
                self._hold.end_turn()
        number = self._folder.next_number()
        record = Try(
            number, wish.resolved.plan, dict(wish.values), wish.job.payload.name, wish.job.seed, f"{number:05d}.png",
            pixel_hash(made.image), recipe, seconds, (), wish.request, time.time(),
        )  # fmt: skip
        self._folder.put(record, made)
        if wish.parents:
            self._show_parents(wish, merger, record)

    def close(self) -> None:
        """Let go of the models. Idempotent."""
        merger, self._merger = self._merger, None
        if merger is not None:
            merger.close()

    def _image(self, wish: Wish, merger: Merger, seconds: dict[str, float]) -> tuple[GeneratedImage, str]:
        """Return the image of the merge, and the recipe's digest."""
        with _timed(seconds, "load"):
            session = self._session(wish, merger)
        recipe = merger.recipe(wish.values).digest
        self._say("Merging …")
        with self._hold.turn(session) as turn, self._host.job("Optim try"):
            with _timed(seconds, "merge"):
                swap(merger, wish.values, turn, lambda: self._control.stopping)
            self._say("Making the image …")
            with _timed(seconds, "generate"):
                made = self._generate(wish.job, {"Optim trial": "try", "Optim recipe": recipe}, session)
            refuse_changed(turn.digests, turn.live.digests())
        return made, recipe

    def _generate(self, job: ImageJob, stamp: Mapping[str, str], session: MergeSession) -> GeneratedImage:
        if self._control.stopping:
            raise StopRun
        with self._hold.generating():
            made = self._host.generate(job, stamp)
        session.check()  # an image of somebody else's model must not be shown
        return made

    def _show_parents(self, wish: Wish, merger: Merger, record: Try) -> None:
        found: list[Parent] = []
        for letter, path in zip(LETTERS, wish.resolved.models, strict=False):
            if self._more():
                return  # they come with that one
            parent = Parent(letter, path.name)
            try:
                parent = dataclasses.replace(parent, file=self._parent(wish, merger, letter, path))
            except (HostChanged, Interrupted):
                raise
            except OptimError as error:
                _log.exception("The image of model %s alone", letter)
                self._hold.check_after_failure()
                parent = dataclasses.replace(parent, problem=str(error))
            found.append(parent)
            self._folder.put(dataclasses.replace(record, parents=tuple(found)))

    def _parent(self, wish: Wish, merger: Merger, letter: str, path: Path) -> str:
        """Return the file of a model's image, made if it is not known yet. Leaves the model as it was."""
        self._hold.end_turn()
        session = self._session(wish, merger)
        file = parent_file(wish.resolved, letter, wish.job, self._host)
        if file in self._known and self._folder.image(file) is not None:
            return file
        self._say(f"Making the image of model {letter} alone …")
        with contextlib.ExitStack() as stack:
            other = None if letter == "A" else open_parent(wish.resolved, path, self._host)
            if other is not None:
                stack.callback(other.close)
            with self._hold.turn(session) as turn, self._host.job(f"Optim: model {letter} alone"):
                if other is not None:
                    swap(other, {}, turn, lambda: self._control.stopping)
                made = self._generate(wish.job, {}, session)
                refuse_changed(turn.digests, turn.live.digests())
            self._hold.end_turn()
        self._folder.put_parent(file, made)
        self._known.add(file)
        return file

    def _open(self, wish: Wish) -> Merger:
        """Return the merger of the plan, opened if that is not done."""
        r = wish.resolved
        key = (r.models, r.method, r.space, r.plan.seed, r.plan.save.dtype, r.plan.merge_device, _stamps(r.models))
        if self._merger is None or self._key != key:
            self._say("Reading the models …")
            self._hold.give_back()
            self.close()
            self._merger, self._key = open_merger(r, self._host), key
        return self._merger

    def _session(self, wish: Wish, merger: Merger) -> MergeSession:
        base, components = wish.resolved.base, parent_components(wish.resolved, self._host)
        return self._hold.session(base, components, merger.keys, lambda: self._say(f"Loading {base.title} …"))


def _stamps(models: tuple[Path, ...]) -> list[tuple[int, int]]:
    try:
        return [(path.stat().st_size, path.stat().st_mtime_ns) for path in models]
    except OSError as error:
        raise RunError(f"A model cannot be read: {error}; refresh the models.") from error


@contextlib.contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - started
