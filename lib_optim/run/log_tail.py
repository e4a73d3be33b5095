"""The end of a run's ``log.txt``, entry by entry."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lib_optim.plan.errors import StoreError

__all__ = ["LogEntry", "log_tail"]

_MOST_BYTES = 256_000
_HEAD = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:,\d+)? (DEBUG|INFO|WARNING|ERROR|CRITICAL) ([\w.]+): (.*)")


@dataclass(frozen=True)
class LogEntry:
    """What was logged at once.

    Attributes:
        time: Local time, ``2026-01-31 12:00:00``.
        level: ``INFO``, ``WARNING``, ``ERROR`` ...
        source: The module that spoke.
        text: Its first line.
        more: The lines that follow, such as a traceback; empty if none do.
    """

    time: str
    level: str
    source: str
    text: str
    more: str = ""

    def to_json(self) -> dict[str, str]:
        """Return the entry as the page reads it."""
        return {"time": self.time, "level": self.level, "source": self.source, "text": self.text, "more": self.more}


def log_tail(path: Path, most: int = 200) -> list[LogEntry]:
    """Return the last entries of a log, oldest first; none if there is no log yet.

    Args:
        path: The file. Only its last 256 kB are read: a run of weeks must not make the page slow.
        most: How many entries at most.

    Raises:
        StoreError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _MOST_BYTES))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{path.name} cannot be read ({error.strerror or error}).") from error
    entries: list[LogEntry] = []
    more: list[str] = []
    for line in reversed(text.splitlines()):
        head = _HEAD.fullmatch(line)
        if head is None:
            more.append(line)
            continue
        entries.append(LogEntry(head[1], head[2], head[3], head[4], "\n".join(reversed(more))))
        more = []
        if len(entries) == most:
            break
    return entries[::-1]
