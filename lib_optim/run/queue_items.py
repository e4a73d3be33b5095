"""What waits in the queue, as frozen data, and the file that keeps it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lib_optim.plan.errors import PlanError, StoreError
from lib_optim.plan.noun import Noun
from lib_optim.plan.run_plan import RunPlan
from lib_optim.run.folder import file_name, write_atomic

__all__ = ["QueueFile", "QueueItem", "read_queue", "winner_path", "write_queue"]


@dataclass(frozen=True)
class QueueItem(Noun):
    """One run of the queue.

    Attributes:
        id: By which it is called, unique in its queue.
        plan: What it does. A model of it may be a file that an earlier item saves.
        state: ``waiting`` for its turn; ``running``; ``done``; or why the queue stopped at it: ``stopped`` by the user
            or with the program, ``failed``.
        folder: Its run folder, once it has begun.
        saved: The checkpoint of its winner, once it is there.
        sentence: How it ended.
    """

    id: str
    plan: RunPlan
    state: Literal["waiting", "running", "done", "stopped", "failed"] = "waiting"
    folder: str = ""
    saved: str = ""
    sentence: str = ""

    @property
    def named(self) -> bool:
        """Whether its winner is saved under a name of its own, so that a later run can take it."""
        return self.plan.save.checkpoint and bool(self.plan.save.name)

    def needs(self, other: QueueItem, models: Path) -> bool:
        """Whether this run takes the winner of `other`; `models` is the host's folder."""
        path = other.saved or (str(winner_path(other.plan, models)) if other.named else "")
        return bool(path) and other.id != self.id and path in {model.path for model in self.plan.models}


@dataclass(frozen=True)
class QueueFile(Noun):
    """``queue.json``: the runs in their order, and where they come from (for a queue from a file of lines)."""

    items: tuple[QueueItem, ...] = ()
    source: str = ""


def winner_path(plan: RunPlan, models: Path) -> Path:
    """Return where the winner of `plan` is going to be saved; its plan names it."""
    return models / "optim" / f"{file_name(plan.save.name.removesuffix('.safetensors'))}.safetensors"


def read_queue(path: Path) -> tuple[QueueFile, str]:
    """Return what `path` keeps, and a sentence if that cannot be read: it is then put aside, and the queue is empty."""
    if not path.is_file():
        return QueueFile(), ""
    try:
        return QueueFile.from_json(json.loads(path.read_text(encoding="utf-8"))), ""
    except (OSError, ValueError, PlanError, RecursionError) as error:
        aside = path.with_name(f"{path.name}.unreadable")
        with contextlib.suppress(OSError):
            path.replace(aside)
        return QueueFile(), f"The queue could not be read ({error}), so it is empty; the old one is {aside.name}."


def write_queue(path: Path, items: Sequence[QueueItem], source: str = "") -> None:
    """Keep `items`.

    Raises:
        StoreError: The file cannot be written; the old one stands.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path.parent} cannot be made ({error.strerror or error}).") from error
    write_atomic(path, json.dumps(QueueFile(tuple(items), source).to_json(), indent=1, ensure_ascii=False))
