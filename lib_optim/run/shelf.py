"""Runs in the outputs folder: other names, and a place for those that are not wanted any more."""

from __future__ import annotations

import re
import time
from pathlib import Path

from lib_optim.plan.errors import RunError
from lib_optim.run.folder import RunFolder, file_name

__all__ = ["TRASH", "rename_run", "trash_run"]

TRASH = ".trash"
"""Folder below the outputs. Runs in it are on no list; emptying it is left to the user."""
_DATED = re.compile(r"\d{4}-\d{2}-\d{2}-")


def rename_run(outputs: Path, folder: str, name: str) -> str:
    """Give a run another name; the date in front of it stays. Return the name of its folder.

    Raises:
        StoreError: There is no such run.
        RunError: It is going on, the name is empty or taken, or the folder cannot be renamed.
    """
    run = RunFolder.open(outputs, folder)
    if not name.strip():
        raise RunError("The run needs a name.")
    dated = _DATED.match(folder)
    target = outputs / f"{dated[0] if dated else ''}{file_name(name.strip())}"
    if target.name == folder:
        return folder
    if target.exists():
        raise RunError(f"There is a run {target.name} already; choose another name.")
    _move(run, target)
    return target.name


def trash_run(outputs: Path, folder: str) -> Path:
    """Move a run into the trash; return where it is now.

    Raises:
        StoreError: There is no such run.
        RunError: It is going on, or the folder cannot be moved.
    """
    run = RunFolder.open(outputs, folder)
    target = outputs / TRASH / f"{folder}-{time.strftime('%Y%m%d-%H%M%S')}"
    number = 2
    while target.exists():
        target = target.with_name(f"{target.name}-{number}")
        number += 1
    _move(run, target)
    return target


def _move(run: RunFolder, target: Path) -> None:
    with run.locked():
        pass  # nobody runs it; the lock's own file has to be closed before its folder moves (Windows)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        run.path.rename(target)
    except OSError as error:
        raise RunError(f"{run.name} can't be moved ({error.strerror or error}); is one of its files open?") from error
