"""Pictures with known properties for the scorers' tests."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

__all__ = ["MODES", "SIZES", "noisy", "of_mode", "scene"]

MODES = ("RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "YCbCr", "I;16", "I")
SIZES = ((1, 1), (2, 1), (3, 5), (7, 64), (63, 65), (224, 224), (300, 200))


def scene(width: int = 64, height: int | None = None, seed: int = 0) -> Image.Image:
    """Return coloured discs with hard edges on a shaded ground: sharp, clean, with contrast."""
    height = height or width
    drawn = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), tuple(int(v) for v in drawn.integers(60, 200, 3)))
    canvas = ImageDraw.Draw(image)
    side = max(width, height)
    for _ in range(25):
        x, y = drawn.integers(0, width), drawn.integers(0, height)
        r = int(drawn.integers(side // 16 + 1, side // 4 + 2))
        canvas.ellipse([x - r, y - r, x + r, y + r], fill=tuple(int(v) for v in drawn.integers(20, 230, 3)))
    shade = np.linspace(-30, 30, height)[:, None, None]
    return Image.fromarray(np.clip(np.asarray(image).astype(float) + shade, 0, 255).astype(np.uint8))


def noisy(image: Image.Image, deviation: float, seed: int = 0) -> Image.Image:
    """Return `image` with Gaussian noise of `deviation` 8-bit steps."""
    pixels = np.asarray(image).astype(float)
    noise = np.random.default_rng(seed).normal(0, deviation, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def of_mode(image: Image.Image, mode: str) -> Image.Image:
    """Return `image` in `mode`."""
    if mode in {"I;16", "I"}:
        grey = np.asarray(image.convert("L"))
        kind = np.uint16 if mode == "I;16" else np.int32
        return Image.fromarray(grey.astype(kind) * kind(257))
    return image.convert(mode)
