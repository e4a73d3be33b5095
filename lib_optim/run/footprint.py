"""What memory this program takes, noted with each trial: a run that grows is seen before it is killed for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["FOOTPRINTS", "memory_now", "row_of"]

FOOTPRINTS = "CREATE TABLE footprints (trial INTEGER PRIMARY KEY, ram REAL, vram REAL)"
"""Bytes, NULL where nobody knows; a trial that is taken up again has its last ones."""
_STATM = Path("/proc/self/statm")


def memory_now() -> dict[str, float]:
    """Return ``ram``: resident bytes of this process, and ``vram``: what it holds of the GPU; what is unknown is left
    out."""
    found = {}
    ram = _resident()
    if ram:
        found["ram"] = float(ram)
    torch = sys.modules.get("torch")  # where nobody has loaded it, nothing of ours is on a GPU
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        found["vram"] = float(torch.cuda.memory_reserved())
    return found


def row_of(trial: int, memory: Mapping[str, float]) -> tuple[int, float | None, float | None]:
    """Return the row of a trial."""
    return trial, memory.get("ram"), memory.get("vram")


def _resident() -> int:
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * int(os.sysconf("SC_PAGE_SIZE"))
    try:
        import psutil  # comes with the WebUIs and with accelerate
    except ImportError:
        return 0
    return int(psutil.Process().memory_info().rss)
