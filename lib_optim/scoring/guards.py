"""Pictures that are no pictures: found in the pixels, before any judge can be fooled by them.

The thresholds are ones that no ordinary picture meets, rather than ones that catch all that is bad: that is the judges'
part.

- ``black``: no channel of any pixel is above 2 of 255; what a VAE makes of numbers that are none (NaN).
- ``blank``: the standard deviation of every channel is below 2 of 255, so that there is next to nothing to see. A black
  dot on white, of a ten-thousandth of the area, is more than that.
- ``clipped``: in 99 % of the pixels every channel is at an end of its range, 2 of 255 allowed, without any shade
  between, and a quarter of them are pure colours: black and white alone may be a drawing, or a night sky.
- ``duplicate``: two images of a payload whose seeds differ agree within 4 of 255 in each of 32 × 32 cells: the merge
  does not react to the seed any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from lib_optim.scoring.pixels import rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["BITS", "alike", "flaws", "thumbnail"]

BITS: Mapping[str, int] = {"black": 1, "blank": 2, "clipped": 4, "duplicate": 8}
"""The guards, and what each is recorded as: one bit of a number per image."""
_END = 2
_BLANK = 2.0
_CLIPPED, _COLOURED = 0.99, 0.25
_CELLS = 32
_ALIKE = 4


def flaws(image: Image.Image) -> int:
    """Return the bits of the guards that `image` trips by itself; at most one."""
    pixels = _pixels(image)
    if int(pixels.max()) <= _END:
        return BITS["black"]
    if max(float(pixels[..., channel].std()) for channel in range(3)) < _BLANK:
        return BITS["blank"]
    high = pixels >= 255 - _END
    ends = (high | (pixels <= _END)).all(axis=-1)
    coloured = ends & (high.any(axis=-1) != high.all(axis=-1))
    burnt = float(ends.mean()) >= _CLIPPED and float(coloured.mean()) >= _COLOURED
    return BITS["clipped"] if burnt else 0


def thumbnail(image: Image.Image) -> NDArray[np.int16]:
    """Return the mean colours of 32 × 32 cells of `image`, shape (32, 32, 3), 0 to 255: what `alike` compares."""
    from PIL import Image as Pillow

    small = rgb(image, "The image").resize((_CELLS, _CELLS), Pillow.Resampling.BOX)
    return np.asarray(small).astype(np.int16)


def alike(a: NDArray[np.int16], b: NDArray[np.int16]) -> bool:
    """Tell whether two thumbnails are those of the same picture, or nearly so."""
    return int(np.abs(a - b).max()) <= _ALIKE


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(rgb(image, "The image"))
