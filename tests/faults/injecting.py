"""How each fault of `rows` is brought about: at the lowest level that is ours, once, and taken back."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lib_optim.hosts.live import TableWeights
from lib_optim.hosts.standalone import StandaloneHost, pipeline
from lib_optim.merging import engine
from lib_optim.merging.mapped_file import MappedFile
from lib_optim.merging.merger import Merger
from lib_optim.run import report, saving, store
from lib_optim.scoring.technical import TechnicalScorer
from lib_optim.search.study import Search
from tests.faults.rows import Row
from tests.rig import Rig

__all__ = ["HANG", "Injected", "inject"]

HANG = 0.4  # seconds for which a step hangs before it gives up
_PLACES: dict[str, tuple[Any, str, int]] = {
    "suggest": (Search, "suggest", 1),
    "recipe": (Merger, "recipe", 1),
    "read": (MappedFile, "tensor", 40),
    "merge": (engine.Engine, "_run", 40),
    "write": (TableWeights, "place", 40),
    "verify": (TableWeights, "digests", 2),
    "generate": (StandaloneHost, "generate", 1),
    "decode": (pipeline, "_decode", 1),
    "score": (TechnicalScorer, "score", 1),
    "tell": (Search, "add", 1),
    "report": (report, "report_html", 1),
    "save": (saving, "save_checkpoint", 1),
}
_SAVED = {"report": "report.html.part", "save": ".safetensors.part"}


class Injected:
    """What was injected.

    Attributes:
        hit: Set once the fault has struck.
        hanging: Set while a step hangs.
    """

    def __init__(self) -> None:
        self.hit, self.hanging = threading.Event(), threading.Event()
        self.undo: Callable[[], None] = lambda: None


def inject(row: Row, patch: pytest.MonkeyPatch, rig: Rig) -> Injected:
    """Have the fault of `row` strike once."""
    made = Injected()
    if row.step == "store":
        _in_sqlite(row, patch, made)
    elif row.fault in ("disk full", "permission denied") and row.step in _SAVED:
        _in_file(row, patch, made)
    elif row.fault in ("vanished file", "changed file"):
        _to_file(row, patch, made, rig)
    else:
        owner, name, call = _PLACES[row.step]
        _in_call(owner, name, call, _FAULTS[row.fault], patch, made)
    return made


def _raise(error: BaseException) -> Callable[[Injected, Any], Any]:
    def fault(made: Injected, result: Any) -> Any:
        raise error

    return fault


def _hang(made: Injected, result: Any) -> Any:
    made.hanging.set()
    threading.Event().wait(HANG)
    made.hanging.clear()
    raise TimeoutError("it took too long")


def _nan(made: Injected, result: Any) -> Any:
    return result * float("nan") if isinstance(result, torch.Tensor) else [float("nan")] * len(result)


_FAULTS: dict[str, Callable[[Injected, Any], Any]] = {
    "exception": _raise(RuntimeError("something broke on purpose")),
    "hang": _hang,
    "NaN": _nan,
    "out of memory": _raise(MemoryError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 GB")),
    "CUDA out of memory": _raise(torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 8 GiB")),
    "permission denied": _raise(PermissionError(errno.EACCES, os.strerror(errno.EACCES))),
}


def _in_call(
    owner: Any, name: str, call: int, fault: Callable[[Injected, Any], Any], patch: pytest.MonkeyPatch, made: Injected
) -> None:
    original, calls, guard = getattr(owner, name), [0], threading.Lock()

    def broken(*arguments: Any, **keywords: Any) -> Any:
        with guard:
            calls[0] += 1
            mine = calls[0] >= call and not made.hit.is_set()
            if mine:
                made.hit.set()
        if not mine:
            return original(*arguments, **keywords)
        if fault is not _nan:
            return fault(made, None)
        if name == "_decode":
            vae, latents = arguments
            return original(vae, latents * float("nan"))
        return fault(made, original(*arguments, **keywords))

    patch.setattr(owner, name, broken)


_SQLITE = {
    "exception": "disk I/O error",
    "hang": "database is locked",
    "disk full": "database or disk is full",
    "permission denied": "attempt to write a readonly database",
}


def _in_sqlite(row: Row, patch: pytest.MonkeyPatch, made: Injected) -> None:
    connect = sqlite3.connect

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            if "INTO images" in sql and not made.hit.is_set():
                made.hit.set()
                if row.fault == "hang":  # SQLite's own patience, cut short
                    made.hanging.set()
                    threading.Event().wait(HANG)
                    made.hanging.clear()
                raise sqlite3.OperationalError(_SQLITE[row.fault])
            return super().execute(sql, *arguments)

    def opened(*arguments: Any, **options: Any) -> sqlite3.Connection:
        return connect(*arguments, factory=Connection, **options)

    patch.setattr(store.sqlite3, "connect", opened)


def _in_file(row: Row, patch: pytest.MonkeyPatch, made: Injected) -> None:
    """The file of a step cannot be opened, or the disk is full when it is written."""
    name, open_file, sync = _SAVED[row.step], Path.open, os.fsync

    def opened(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if row.fault == "permission denied" and self.name.endswith(name) and "w" in mode and not made.hit.is_set():
            made.hit.set()
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return open_file(self, mode, *arguments, **options)

    def synced(handle: int) -> None:
        file = Path(f"/proc/self/fd/{handle}").readlink().name
        if row.fault == "disk full" and file.endswith(name) and not made.hit.is_set():
            made.hit.set()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    patch.setattr(Path, "open", opened)
    patch.setattr(os, "fsync", synced)


def _to_file(row: Row, patch: pytest.MonkeyPatch, made: Injected, rig: Rig) -> None:
    """The second model (or a picture) goes, or changes, just before the step; `undo` puts it back."""
    model = rig.models / "demo-b.safetensors"
    kept, stamp = model.with_suffix(".kept"), model.stat().st_mtime_ns

    def strike() -> None:
        made.hit.set()
        if row.step == "report":
            next(path for path in rig.manager.outputs.rglob("00000-000-*.png")).unlink()
        elif row.fault == "vanished file":
            model.rename(kept)
        else:
            os.utime(model, ns=(stamp, stamp + 7_000_000_000))

    def undo() -> None:
        if kept.exists():
            kept.rename(model)
        os.utime(model, ns=(stamp, stamp))

    places = {"merge": (Merger, "write"), "save": (saving, "save_checkpoint"), "report": (report, "report_html")}
    owner, name = places[row.step]
    original = getattr(owner, name)

    def struck(*arguments: Any, **keywords: Any) -> Any:
        if not made.hit.is_set():
            strike()
        return original(*arguments, **keywords)

    patch.setattr(owner, name, struck)
    made.undo = undo
