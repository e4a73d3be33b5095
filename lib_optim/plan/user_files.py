"""The user's own Python files: read one by one from a folder of theirs, and what went wrong in one, as a sentence.

Such a file is a program with all rights of this one. It is only ever read from that folder, never from a request.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

__all__ = ["UserFolder", "line_of", "run_file", "syntax_reason"]

_T = TypeVar("_T")


class UserFolder(Generic[_T]):
    """What became of every ``*.py`` file that was read. Not thread-safe.

    Args:
        read: Reads one file, whatever is wrong with it.
        forget: Is given what a file became before that is dropped.
    """

    def __init__(self, read: Callable[[Path], _T], forget: Callable[[_T], object] = lambda _: None) -> None:
        self._read, self._forget = read, forget
        self.files: dict[Path, _T] = {}
        self._stamps: dict[Path, tuple[int, int]] = {}

    def load(self, folder: Path, refresh: bool) -> tuple[_T, ...]:
        """Read the files of `folder` that were not read yet, in the order of their names; return all of them.

        Args:
            folder: Where they lie; it need not exist.
            refresh: Also read changed files again, and drop those that are gone.
        """
        found = sorted(path.resolve() for path in folder.glob("*.py") if not path.name.startswith("_"))
        if refresh:
            for path in [path for path in self.files if path.parent == folder.resolve()]:
                if path not in found or self._stamps[path] != _stamp(path):
                    self._forget(self.files.pop(path))
        for path in found:
            if path not in self.files:
                self._stamps[path] = _stamp(path)
                self.files[path] = self._read(path)
        return tuple(self.files[path] for path in found if path in self.files)


def run_file(path: Path, name: str) -> types.ModuleType:
    """Run the file as the module `name`, which it stays in `sys.modules` if it does not raise."""
    module = types.ModuleType(name)
    module.__file__ = str(path)
    # Not by an import: that would leave a __pycache__ in the user's folder, and trust it.
    code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    old = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and the like look themselves up there
    try:
        exec(code, module.__dict__)
    except BaseException:
        sys.modules.pop(name)
        if old is not None:
            sys.modules[name] = old
        raise
    return module


def syntax_reason(error: SyntaxError) -> str:
    """Return what is wrong with a file that is no Python, without the full stop."""
    return f"line {error.lineno} is no valid Python ({error.msg})"


def line_of(path: Path, error: BaseException) -> str:
    """Return `` (line 7)``: the last one of `path` that `error` came through; empty if it came through none."""
    frame, line = error.__traceback__, 0
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == str(path):
            line = frame.tb_lineno
        frame = frame.tb_next
    return f" (line {line})" if line else ""


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns
