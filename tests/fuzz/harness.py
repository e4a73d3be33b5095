"""One input at a time: watched for time, memory, errors that are none of ours, and files where none belong."""

from __future__ import annotations

import contextlib
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_optim.plan.errors import OptimError, PlanError

__all__ = ["LONGEST", "Finding", "Watch", "sentence_problem"]

LONGEST = 10.0
"""Seconds for one input, on a machine that others use too."""
MOST_MEMORY = 1 << 30
"""Bytes by which the process may grow over one input."""
_LONGEST_SENTENCE = 3000
_FORBIDDEN = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "socket.connect",
              "pickle.find_class", "ctypes.dlopen", "os.putenv", "webbrowser.open")  # fmt: skip
_CHANGING = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree",
             "os.chmod", "os.chown", "shutil.move", "shutil.copyfile")  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """What went wrong with an input: `kind` in a word, and the last lines of the trace."""

    kind: str
    text: str


class TooLongError(BaseException):
    """The input took more than `LONGEST`. No Exception, so that nobody takes it for one of theirs."""


class Watch:
    """Feeds inputs, and looks at what the interpreter's audit events tell of files, programs and sockets.

    Args:
        folder: The one folder below which files may be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder.resolve())
        self._on = False
        self._seen: list[str] = []
        sys.addaudithook(self._audit)  # there is no way to take it off again: `_on` does

    def feed(self, function: Callable[[], Any]) -> Finding | None:
        """Call `function`; None if it returned, or refused with a sentence."""
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._seen.clear()
        try:
            with self._watching(), _limited():
                function()
        except PlanError as error:
            if trouble := next(filter(None, (sentence_problem(p.sentence) for p in error.problems)), ""):
                return Finding("sentence", trouble)
        except OptimError as error:
            if trouble := sentence_problem(str(error)):
                return Finding("sentence", trouble)
        except TooLongError:
            return Finding("hang", f"more than {LONGEST:g} s\n{traceback.format_exc(limit=-8)}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            return Finding(type(error).__name__, traceback.format_exc(limit=-6))
        if self._seen:
            return Finding("forbidden", "; ".join(dict.fromkeys(self._seen)))
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        return Finding("memory", f"{grown / 1e6:.0f} MB more") if grown > MOST_MEMORY else None

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        self._on = True
        try:
            yield
        finally:
            self._on = False

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool(flags & 0o1103)
            if writes and not self._inside(path):
                self._seen.append(f"writes {path!r}")
        elif event in _CHANGING:
            relative = event in ("os.remove", "os.rmdir") and arguments[1] != -1  # to a folder that rmtree was given
            if not relative and not self._inside(arguments[0]):
                self._seen.append(f"{event} {arguments[0]!r}")
        elif event in _FORBIDDEN:
            self._seen.append(f"{event} {arguments!r}"[:200])

    def _inside(self, path: object) -> bool:
        if isinstance(path, int):
            return True  # a descriptor that is open already
        text = path.decode("utf-8", "replace") if isinstance(path, bytes) else str(path)
        if text == "/dev/null" or "__pycache__" in text:
            return True
        return str(Path(text).absolute()).startswith(self._folder)


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: object) -> None:
        raise TooLongError

    old = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def sentence_problem(text: str) -> str:
    """Return why `text` is nothing to show to a user; empty if it is."""
    if not text.strip():
        return "the sentence is empty"
    if "Traceback" in text or 'File "' in text:
        return f"a trace: {text[:300]}"
    if len(text) > _LONGEST_SENTENCE:
        return f"{len(text)} characters: {text[:200]!r}"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return f"half a character: {text[:200]!r}"
    if "\0" in text:
        return f"a zero byte: {text[:200]!r}"
    return ""
