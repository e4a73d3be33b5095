"""The run folder: ``<outputs>/<date>-<name>/`` and the files in it."""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lib_optim.plan.errors import PlanError, RunError, StoreError
from lib_optim.plan.run_plan import RunPlan

__all__ = ["RunFolder", "file_name", "is_file", "is_plain_name", "list_runs", "write_atomic"]

_BEGINS = 10.0  # seconds in which a folder that was just made has its plan
_WINDOWS_RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)\s*(\.|$)", re.IGNORECASE)
_PATHLIKE = re.compile(r'[\\/:*?"<>|\x00-\x1f\ud800-\udfff]')
_LONGEST_NAME = 200
LOG_BYTES, LOG_PARTS = 5_000_000, 2
"""Bytes of `log.txt`, and how many older ones (``log.txt.1``) stay beside it."""


class RunFolder:
    """Paths inside one run folder.

    Args:
        path: The folder itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plan = path / "plan.json"
        self.database = path / "run.db"
        self.images = path / "images"
        self.trials_csv = path / "trials.csv"
        self.best_recipe = path / "best.mecha"
        self.log = path / "log.txt"
        self._lock = path / "run.lock"

    @property
    def name(self) -> str:
        """Name of the folder, by which a run is called."""
        return self.path.name

    @classmethod
    def create(cls, outputs: Path, name: str) -> RunFolder:
        """Make a new folder named after today and `name`.

        Raises:
            StoreError: It cannot be made.
        """
        stem = f"{time.strftime('%Y-%m-%d')}-{file_name(name)}"
        try:
            outputs.mkdir(parents=True, exist_ok=True)
            for suffix in ("", *(f"-{n}" for n in range(2, 10_000))):
                with contextlib.suppress(FileExistsError):
                    folder = cls(outputs / f"{stem}{suffix}")
                    folder.path.mkdir(exist_ok=folder._abandoned())
                    folder.images.mkdir(exist_ok=True)
                    return folder
        except OSError as error:
            raise StoreError(
                f"The run folder cannot be made in {outputs} ({error.strerror or error}); check that the disk has "
                "room and the folder may be written."
            ) from error
        raise StoreError(f"{outputs} already holds ten thousand runs called {stem}; choose another name.")

    @classmethod
    def open(cls, outputs: Path, name: str) -> RunFolder:
        """Open the run called `name` below `outputs`.

        Raises:
            StoreError: There is no such run, or `name` is not a plain folder name.
        """
        path = outputs / name
        if not is_plain_name(name) or not (path / "plan.json").is_file():
            raise StoreError(f"There is no run '{name}'; choose one from the list.")
        return cls(path)

    def _abandoned(self) -> bool:
        """Whether a start left this folder that was killed before it had a plan: nobody sees it in a list."""
        with contextlib.suppress(OSError):
            there = {path.name for path in self.path.iterdir() if path != self.images or any(path.iterdir())}
            return there <= {f"{self.plan.name}.part"} and time.time() - self.path.stat().st_mtime > _BEGINS
        return False

    def remove(self) -> None:
        """Remove the folder with all that is in it, as far as that goes: of a run that never began."""
        shutil.rmtree(self.path, ignore_errors=True)

    def read_plan(self) -> RunPlan:
        """Return the plan.

        Raises:
            StoreError: The file is broken or from a newer Optim.
        """
        try:
            return RunPlan.from_json(json.loads(self.plan.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError) as error:
            raise StoreError(f"The plan of {self.name} cannot be read: {error}.") from error
        except PlanError as error:
            raise StoreError(f"The plan of {self.name} cannot be used: {error}") from error

    def record(self) -> Path:
        """Return the path of the database, to be opened. Only a folder without images may lack it.

        Raises:
            StoreError: It is gone or empty: a new one would begin from nothing and write over the images.
        """
        if self.database.is_file() and self.database.stat().st_size:
            return self.database
        if self.images.is_dir() and any(self.images.iterdir()):
            raise StoreError(
                f"The database {self.database.name} of {self.name} is gone, though its images are there; put a copy of "
                "it back, or start a new run."
            )
        return self.database

    def write_plan(self, plan: RunPlan) -> None:
        """Write the plan atomically."""
        write_atomic(self.plan, json.dumps(plan.to_json(), indent=2, ensure_ascii=False))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder against a second process; the lock goes with the process, however it ends.

        Raises:
            RunError: Another process runs it.
        """
        with self._lock.open("a+b") as file:
            try:
                _lock_file(file)
            except OSError as error:
                raise RunError(f"{self.name} is being run by another process; stop that one first.") from error
            yield

    @contextlib.contextmanager
    def logging(self) -> Iterator[None]:
        """Have everything that Optim logs written to ``log.txt`` too.

        Raises:
            StoreError: The file cannot be opened.
        """
        try:
            handler = _RunLog(self.log, maxBytes=LOG_BYTES, backupCount=LOG_PARTS, encoding="utf-8")
        except OSError as error:
            raise StoreError(
                f"{self.log.name} cannot be written ({error.strerror or error}); is the disk full?"
            ) from error
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger = logging.getLogger("lib_optim")
        logger.addHandler(handler)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            handler.close()


class _RunLog(logging.handlers.RotatingFileHandler):
    """A log that does not grow without end, and whose loss costs nothing else.

    A server that configures logging anew (uvicorn does, at its start) closes every handler there is; one for a file
    then opens it again at its next word. Where the folder is gone by now that fails, in the middle of whoever spoke.
    """

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def list_runs(outputs: Path) -> list[RunFolder]:
    """Return the runs below `outputs`, newest first."""
    if not outputs.is_dir():
        return []
    named = (entry for entry in outputs.iterdir() if is_plain_name(entry.name))
    folders = [RunFolder(entry) for entry in named if (entry / "plan.json").is_file()]
    return sorted(folders, key=lambda folder: folder.plan.stat().st_mtime, reverse=True)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write `content` so that `path` holds either the old or the new content, whole, at every instant.

    Raises:
        StoreError: It cannot be written; the old content stands.
    """
    temporary = path.with_name(f"{path.name}.part")
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StoreError(f"{path.name} cannot be written ({error.strerror or error}); is the disk full?") from error


def is_file(path: Path) -> bool:
    """Tell whether `path` is a file; a name that no disk can hold is none, and no error."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_plain_name(name: str) -> bool:
    """Tell whether `name` names something in a folder and nothing else, on every operating system.

    Not so: what has a path or a drive in it, is hidden (so is what is half imported), ends with what Windows leaves
    away, is a device of Windows, or too long for any disk.
    """
    return (
        0 < len(name) <= _LONGEST_NAME
        and not _PATHLIKE.search(name)
        and not name.startswith(".")
        and not name.endswith((".", " "))
        and not _WINDOWS_RESERVED.match(name)
    )


def file_name(name: str) -> str:
    """Return `name` as a folder name that every operating system takes, at most 60 characters."""
    cleaned = re.sub(r"[^\w.-]+", "-", name, flags=re.UNICODE).strip("-. ")[:60] or "run"
    return f"run-{cleaned}" if _WINDOWS_RESERVED.match(cleaned) else cleaned


def _lock_file(file: Any) -> None:
    try:
        import fcntl
    except ImportError:
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        return
    fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
