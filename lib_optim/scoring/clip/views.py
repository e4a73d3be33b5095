"""How a picture is brought to the square that a CLIP network sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.pixels import CLIP_MEAN, CLIP_STD, clip_pixels, rgb

if TYPE_CHECKING:
    import torch

__all__ = ["CROPPED", "HALF", "PADDED", "View", "padded_pixels"]

HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class View:
    """What happens to a picture before the network.

    Attributes:
        fit: ``crop`` fits the shorter side and cuts the centre out, as CLIP does; ``whole`` fits the longer side and
            fills up with black; ``squash`` fits both, whatever becomes of the proportions.
        mean: Per channel, subtracted.
        std: Per channel, divided by.
    """

    fit: str = "crop"
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD

    def pixels(self, image: Image.Image, size: int, label: str) -> torch.Tensor:
        """Return float32 pixels of shape (3, size, size).

        Raises:
            ScorerError: As `pixels.rgb`, or the picture is too thin; names it by `label`.
        """
        import torch

        if self.fit == "whole":
            return padded_pixels(image, size, label, self.mean, self.std)
        if self.fit == "squash":
            image = rgb(image, label).resize((size, size), Image.Resampling.BICUBIC)
        return torch.from_numpy(clip_pixels(image, size, label, self.mean, self.std))


CROPPED = View()
PADDED = View("whole")


def padded_pixels(
    image: Image.Image,
    size: int,
    label: str,
    mean: tuple[float, float, float] = CLIP_MEAN,
    std: tuple[float, float, float] = CLIP_STD,
) -> torch.Tensor:
    """Return the whole picture, its longer side resized to `size`, with black bars (HPSv2's ``ResizeMaxSize``).

    The resize works on numbers, not on bytes, as theirs does: bicubic, antialiased as torchvision has done by default
    since 0.17, neither rounded nor clipped. (Theirs gives no bars where the longer side is `size`, and then fails.)

    Returns:
        float32, shape (3, size, size).

    Raises:
        ScorerError: As `pixels.rgb`, or the picture is so thin that nothing of it would be left.
    """
    import torch

    picture = rgb(image, label)
    width, height = picture.size
    scale = size / float(max(height, width))
    new = (round(height * scale), round(width * scale))
    if min(new) < 1:
        raise ScorerError(f"{label} is {width} × {height}, too thin to be seen as a square of {size} pixels.")
    values = torch.from_numpy(np.asarray(picture, dtype=np.uint8).transpose(2, 0, 1).copy()).float() / 255
    if scale != 1.0:
        values = torch.nn.functional.interpolate(
            values[None], size=new, mode="bicubic", align_corners=False, antialias=True
        )[0]
    down, across = size - new[0], size - new[1]
    values = torch.nn.functional.pad(values, (across // 2, across - across // 2, down // 2, down - down // 2))
    return (values - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
