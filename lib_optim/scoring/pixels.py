"""From a picture of any mode to the numbers that scorers compute with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lib_optim.plan.errors import ScorerError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CLIP_MEAN", "CLIP_STD", "clip_pixels", "rgb", "unit_pixels"]

# Mean and standard deviation of CLIP's training images (openai/CLIP, clip.py), also used by BLIP and ImageReward.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def rgb(image: Image.Image, label: str) -> Image.Image:
    """Return `image` in mode RGB. Transparency is dropped, 16-bit grey is scaled to 8 bits.

    Args:
        image: Any size and mode but floating point.
        label: How messages name it.

    Raises:
        ScorerError: It has no pixels, or floating-point pixels, whose range nothing tells.
    """
    if image.width == 0 or image.height == 0:
        raise ScorerError(f"{label} has no pixels ({image.width} × {image.height}) and can't be scored.")
    if image.mode == "F":
        raise ScorerError(f"{label} has floating-point pixels (mode F); convert it to RGB before it is scored.")
    if image.mode.startswith("I"):
        values = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
        return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8), "L").convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def unit_pixels(image: Image.Image, label: str) -> NDArray[np.float32]:
    """Return `image` as float32 array of shape (height, width, 3) in [0, 1], sRGB-encoded.

    Raises:
        ScorerError: As `rgb`.
    """
    return np.asarray(rgb(image, label), dtype=np.float32) / np.float32(255)


def clip_pixels(
    image: Image.Image,
    size: int,
    label: str,
    mean: tuple[float, float, float] = CLIP_MEAN,
    std: tuple[float, float, float] = CLIP_STD,
) -> NDArray[np.float32]:
    """Return what CLIP and BLIP see: shorter side resized to `size`, centre crop, normalised.

    Step for step what torchvision's ``Resize(size, BICUBIC)``, ``CenterCrop(size)``, ``ToTensor`` and
    ``Normalize`` do to a PIL image, truncation of the longer side and rounding of the crop included.

    Returns:
        float32, shape (3, size, size).

    Raises:
        ScorerError: As `rgb`, or the picture is so thin that its resized form would not fit in memory.
    """
    picture = rgb(image, label)
    width, height = picture.size
    short, long = min(width, height), max(width, height)
    if long > 64 * short:
        raise ScorerError(f"{label} is {width} × {height}, too thin for a square crop; nothing of it would be seen.")
    if short != size:
        longer = int(size * long / short)
        new = (size, longer) if width <= height else (longer, size)
        picture = picture.resize(new, Image.Resampling.BICUBIC)
    left, top = round((picture.width - size) / 2.0), round((picture.height - size) / 2.0)
    picture = picture.crop((left, top, left + size, top + size))
    values = np.asarray(picture, dtype=np.uint8).astype(np.float32) / np.float32(255)
    values = (values - np.array(mean, np.float32)) / np.array(std, np.float32)
    return np.ascontiguousarray(values.transpose(2, 0, 1))
