"""What "Try it" keeps: the last merges that were tried by hand, an image and a record each, below the data folder.

``tries/00007.json`` and ``00007.png`` are one try; ``parent-<digest>.png`` are images of models alone.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import OptimError, RunError, StoreError
from lib_optim.plan.noun import Noun
from lib_optim.plan.run_plan import RunPlan
from lib_optim.run.folder import RunFolder, write_atomic
from lib_optim.run.results import write_image

if TYPE_CHECKING:
    from lib_optim.hosts.base import GeneratedImage

__all__ = ["KEPT", "TRIES_FOLDER", "Parent", "Try", "TryFolder"]

TRIES_FOLDER = "tries"
"""Below the host's `HostPaths.data`."""
KEPT = 50
_FILE = re.compile(r"(\d{5}|parent-[0-9a-f]{16})\.png")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parent(Noun):
    """The image of one model alone, from the payload and the seed of a try.

    Attributes:
        model: Its letter.
        title: Its file's name.
        file: The image, below the folder; empty if there is none.
        problem: Why not, one sentence.
    """

    model: str
    title: str
    file: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Try(Noun):
    """One merge that was tried by hand.

    Attributes:
        number: From 1; never used twice while any is kept.
        plan: What was merged; its judges and its search say nothing.
        values: The point of the plan's space.
        payload: Name of the payload.
        seed: Of the image.
        file: The image, below the folder.
        pixels: See `lib_optim.run.results.pixel_hash`.
        recipe: Short hash of the recipe, as a trial has it.
        seconds: Wall time by step: ``merge``, ``generate``, ``restore``; ``load`` where the model was got ready first.
        parents: The models alone, as far as they were asked for.
        request: Id of the click.
        created: Unix time.
    """

    number: int
    plan: RunPlan
    values: Mapping[str, Value]
    payload: str
    seed: int
    file: str
    pixels: str
    recipe: str
    seconds: Mapping[str, float] = field(default_factory=dict)
    parents: tuple[Parent, ...] = ()
    request: str = ""
    created: float = 0.0


class TryFolder:
    """The folder; made when something is put into it. Any thread, one writer at a time.

    Args:
        path: Where.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def as_run(self) -> RunFolder:
        """The folder as what files of it name as their origin: "tries", and a number."""
        return RunFolder(self.path)

    def numbers(self) -> list[int]:
        """Return the numbers of the tries that are kept, the oldest first."""
        return sorted(int(path.stem) for path in self.path.glob("[0-9]*.json") if path.stem.isdigit())

    def tries(self) -> list[Try]:
        """Return what is kept, the oldest first; what cannot be read is left out."""
        found = []
        for number in self.numbers():
            with contextlib.suppress(OptimError):
                found.append(self.read(number))
        return found

    def read(self, number: int) -> Try:
        """Return one try.

        Raises:
            RunError: It is not kept (any more).
            StoreError: Its record cannot be read.
        """
        path = self.path / f"{number:05d}.json"
        if not path.is_file():
            raise RunError(f"Try {number} is no longer kept; only the last {KEPT} are.")
        try:
            return Try.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, OptimError) as error:
            raise StoreError(f"The record of try {number} cannot be read: {error}.") from error

    def next_number(self) -> int:
        """Return the number of the next try."""
        return max(self.numbers(), default=0) + 1

    def put(self, record: Try, made: GeneratedImage | None = None) -> None:
        """Write a try, with its image if it is new; the oldest beyond `KEPT` go.

        Raises:
            StoreError: It cannot be written.
        """
        self._make()
        if made is not None:
            write_image(self.as_run, record.file, made.image, made.infotext)
        write_atomic(self.path / f"{record.number:05d}.json", json.dumps(record.to_json(), ensure_ascii=False))
        self._drop_old()

    def put_parent(self, file: str, made: GeneratedImage) -> None:
        """Write the image of a model alone.

        Raises:
            StoreError: It cannot be written.
        """
        self._make()
        write_image(self.as_run, file, made.image, made.infotext)

    def image(self, file: str) -> Path | None:
        """Return the path of an image, or None if `file` names none."""
        path = self.path / file
        return path if _FILE.fullmatch(file) and path.is_file() and not path.is_symlink() else None

    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be made ({error.strerror or error}).") from error

    def _drop_old(self) -> None:
        old = self.numbers()[:-KEPT]
        pictures = sorted(self.path.glob("parent-*.png"), key=lambda path: path.stat().st_mtime)[:-KEPT]
        for path in (*(self.path / f"{n:05d}.{end}" for n in old for end in ("json", "png")), *pictures):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                _log.warning("%s was to be taken away: %s", path.name, error)
