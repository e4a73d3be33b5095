"""Background blackness: how black the picture is around its edges.

    score = 1 − mean of min(ΔE, 100) / 100 over the frame        in [0, 1]; 1 for a black frame, 0 for a white one

The frame is the outer tenth on each side, where a subject rarely is. ΔE is the CIE 1976 difference to black (CIELAB
under D65), for which white is 100; brighter colours than that are cut. Linear, so that a search has a slope everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lib_optim.scoring.base import ImageContext, Progress, image_label, refuse_options
from lib_optim.scoring.pixels import unit_pixels
from lib_optim.scoring.similarity import to_lab

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["BackgroundScorer", "blackness", "build"]

_SHARE = 0.1


class BackgroundScorer:
    """See the module. Needs no weights and no device."""

    def load(self, device: str, progress: Progress | None = None) -> None:
        """Do nothing: there is nothing to load."""

    def score(
        self,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        contexts: Sequence[ImageContext] | None = None,
    ) -> list[float]:
        """Return how black the frame of each image is, in [0, 1]."""
        return [blackness(unit_pixels(image, image_label(i, contexts))) for i, image in enumerate(images)]

    def unload(self) -> None:
        """Do nothing."""


def build(options: Mapping[str, Any], models_dir: Any) -> BackgroundScorer:
    """Return the scorer; it has no options.

    Raises:
        ScorerError: An option was given.
    """
    del models_dir
    refuse_options("background", options)
    return BackgroundScorer()


def blackness(pixels: NDArray[np.float32]) -> float:
    """Return the score of `pixels`, shape (height, width, 3) in [0, 1], sRGB-encoded."""
    height, width = pixels.shape[:2]
    across, down = max(1, round(width * _SHARE)), max(1, round(height * _SHARE))
    frame = np.ones((height, width), dtype=bool)
    frame[down : height - down, across : width - across] = False
    lab = to_lab(pixels[frame].astype(np.float64))
    return float(1.0 - np.minimum(np.sqrt((lab**2).sum(axis=-1)), 100.0).mean() / 100.0)
