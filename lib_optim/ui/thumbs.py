"""Small versions of a run's images, for a page that shows hundreds of them. Kept in memory, a few megabytes."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from pathlib import Path

from PIL import Image

from lib_optim.plan.errors import StoreError

__all__ = ["Thumbs"]

SIDE = 320
"""Pixels of the longer side."""
MOST_BYTES = 24_000_000
_AT_ONCE = 2  # threads that may read pictures: the program has an image of its own to make


class Thumbs:
    """Makes JPEG thumbnails, and keeps the last ones. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._turn = threading.Semaphore(_AT_ONCE)
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._size = 0

    def of(self, path: Path) -> bytes:
        """Return the thumbnail of a picture.

        Raises:
            StoreError: It cannot be read.
        """
        try:
            key = (str(path), path.stat().st_mtime_ns)
            with self._guard:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
            with self._turn:
                made = _small(path)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise StoreError(f"The picture {path.name} can't be read: {error}.") from error
        with self._guard:
            if key not in self._kept:
                self._kept[key] = made
                self._size += len(made)
            while self._size > MOST_BYTES:
                self._size -= len(self._kept.popitem(last=False)[1])
        return made


def _small(path: Path) -> bytes:
    buffer = io.BytesIO()
    with Image.open(path) as picture:
        small = picture.convert("RGB")
        small.thumbnail((SIDE, SIDE), reducing_gap=2.0)
        small.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()
