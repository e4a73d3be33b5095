"""Pictures for the documentation: OPTIM_SCREENSHOTS=docs/screenshots has the browser tests write them."""

from __future__ import annotations

import io
import os
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator

__all__ = ["MOST_BYTES", "shot", "small_jpeg"]

MOST_BYTES = 60_000
_WIDEST = 900


def shot(target: Locator, name: str) -> None:
    """Keep a picture of an element, if it is asked for."""
    folder = os.environ.get("OPTIM_SCREENSHOTS")
    if folder:
        (Path(folder) / f"{name}.jpg").write_bytes(small_jpeg(target.screenshot(animations="disabled")))


def small_jpeg(png: bytes) -> bytes:
    """Return a picture of at most `MOST_BYTES`: a repository keeps every version of it."""
    with Image.open(io.BytesIO(png)) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((_WIDEST, 4 * _WIDEST))
    quality = 88
    while True:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= MOST_BYTES:
            return buffer.getvalue()
        quality -= 8
        if quality < 50:
            picture = picture.resize((picture.width * 4 // 5, picture.height * 4 // 5))
            quality = 80
