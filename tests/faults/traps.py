"""Instants at which a process kills itself: in the middle of a commit, of a file, before and after a rename.

A kill by the clock seldom meets the microseconds that matter. A trap does: it counts what the process writes, and at
the n-th write of a kind it leaves on the disk what a kill at that instant would leave, and sends itself SIGKILL.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from lib_optim.merging.writer import Writer
from lib_optim.run.results import TrialTable

__all__ = ["PLACES", "Trap", "Traps"]

_FILE = ("half-written", "before the rename", "after the rename")
PLACES: dict[str, tuple[str, ...]] = {
    "run.db": ("before the commit", "half-way through the commit", "after the commit"),
    ".png": _FILE,
    ".csv": (*_FILE, "half a line"),
    ".mecha": _FILE,
    ".json": _FILE,
    ".html": _FILE,
    ".safetensors": (*_FILE, "between two tensors"),
}
"""What is written, and the instants of one such write."""


@dataclass(frozen=True)
class Trap:
    """Kill at one instant of the `number`-th write (from 1) of a kind; see `PLACES`."""

    what: str
    instant: str
    number: int

    def __str__(self) -> str:
        return f"{self.what}, {self.instant}"


class Traps:
    """Counts the writes of this process, and kills it at `trap`. For a process of its own: nothing is put back."""

    def __init__(self, trap: Trap | None) -> None:
        self.trap = trap
        self.counts: Counter[str] = Counter()

    def set(self) -> None:
        """Patch what writes."""
        self._commits()
        self._renames()
        self._inside_files()

    def _now(self, what: str, instant: str, count: bool = False) -> bool:
        key = f"{what}, {instant}"
        self.counts[key] += count
        trap = self.trap
        return trap is not None and str(trap) == key and self.counts[key] >= trap.number

    def _commits(self) -> None:
        traps, connect = self, sqlite3.connect

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
                if sql != "COMMIT":
                    return super().execute(sql, *arguments)
                if traps._now("run.db", "before the commit", count=True):
                    _die()
                before, log = _size(traps.log), traps.log
                cursor = super().execute(sql, *arguments)
                middle = traps._now("run.db", "half-way through the commit", count=True)
                if middle and log is not None and before < _size(log):
                    os.truncate(log, before + (_size(log) - before) // 2)
                    _die()
                if traps._now("run.db", "after the commit", count=True):
                    _die()
                return cursor

        def opened(path: Any, *arguments: Any, **options: Any) -> sqlite3.Connection:
            if Path(path).name == "run.db":
                traps.log = Path(f"{path}-wal")
            return connect(path, *arguments, factory=Connection, **options)

        sqlite3.connect = opened  # type: ignore[assignment]

    log: Path | None = None

    def _renames(self) -> None:
        traps, sync, replace = self, os.fsync, Path.replace

        def fsync(handle: int) -> None:
            part = Path(f"/proc/self/fd/{handle}").readlink()
            if part.suffix == ".part" and traps._now(part.with_suffix("").suffix, "half-written", count=True):
                os.ftruncate(handle, os.fstat(handle).st_size // 2)
                _die()
            sync(handle)

        def renamed(self: Path, target: Path) -> Path:
            kind = Path(target).suffix
            if traps._now(kind, "before the rename", count=True):
                _die()
            made = replace(self, target)
            if traps._now(kind, "after the rename", count=True):
                _die()
            return made

        os.fsync = fsync
        Path.replace = renamed  # type: ignore[method-assign,assignment]

    def _inside_files(self) -> None:
        traps, append, put = self, TrialTable.append, Writer.put

        def half_a_line(self: TrialTable, *arguments: Any) -> None:
            before = _size(self._path)
            append(self, *arguments)
            if traps._now(".csv", "half a line", count=True):
                os.truncate(self._path, (before + _size(self._path)) // 2)
                _die()

        def between(self: Writer, *arguments: Any) -> None:
            put(self, *arguments)
            if traps._now(".safetensors", "between two tensors", count=True):
                _die()

        TrialTable.append = half_a_line  # type: ignore[method-assign]
        Writer.put = between  # type: ignore[method-assign]


def _size(path: Path | None) -> int:
    return path.stat().st_size if path is not None and path.exists() else 0


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError
