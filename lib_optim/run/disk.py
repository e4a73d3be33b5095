"""What a run may take of the disk: its images stay within a budget, and some room is always left."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lib_optim.plan.run_plan import DiskSpec

__all__ = ["SPARE_BYTES", "DiskGuard", "folder_bytes"]

SPARE_BYTES = 100_000_000
"""Left free on the disk, whatever a run would like to write."""


class DiskGuard:
    """Says before each trial whether there is room for it.

    Args:
        images: Folder of the run's images.
        spec: Its budget.
    """

    def __init__(self, images: Path, spec: DiskSpec) -> None:
        self._images = images
        self._step = int(spec.gigabytes * 1e9)
        self._allowed = self._step

    def problem(self) -> str:
        """Return why no trial should begin, in one sentence, or an empty string."""
        free = shutil.disk_usage(self._images).free
        if free < SPARE_BYTES:
            return (
                f"The disk of the run has {free / 1e6:.0f} MB free; free some room and continue, or stop: what is "
                "finished is kept."
            )
        if self._step and (used := folder_bytes(self._images)) >= self._allowed:
            return (
                f"The images of this run take {used / 1e9:.2g} GB, which is its disk budget; continue to let it take "
                f"{self._step / 1e9:g} GB more, or stop: what is finished is kept."
            )
        return ""

    def allow_more(self) -> None:
        """Let the images take as much again as the budget says: the user has seen the sentence and goes on."""
        if self._step and folder_bytes(self._images) >= self._allowed:
            self._allowed = folder_bytes(self._images) + self._step


def folder_bytes(folder: Path) -> int:
    """Return the size of the files in `folder`, not of folders in it; 0 if there is none."""
    try:
        with os.scandir(folder) as entries:
            return sum(entry.stat(follow_symlinks=False).st_size for entry in entries if entry.is_file())
    except FileNotFoundError:
        return 0
