"""Technical quality: sharpness, noise, contrast, clipping, colour and seams, from the pixels alone.

A guard more than a taste: it tells a finished picture from a blank, washed-out, noisy, blurred or overcooked one.

    score = gate · wholeness · sharpness^.35 · cleanness^.25 · contrast^.20 · exposure^.10 · colour^.10        in [0, 1]

A weighted geometric mean, because one ruined property ruins a picture whatever the others are. With the luma L
(Rec. 601, [0, 1]) and its standard deviation s:

    gate       1 − exp(−(s / .01)²): a constant picture is exactly 0, a nearly constant one nearly 0
    wholeness  1 / (1 + (j / .05)²) with j the strongest seam: a step of L between two columns (or rows) that is larger
               than the steps on both sides of it, by j, in half of all rows (columns); less what rounding to 8 bits
               makes of a slope. Tiles that do not fit and two pictures side by side have one
    sharpness  edge steepness: over the pixels with the steepest 2 % of gradients, the range of L within 3×3
               divided by its range within 9×9. 1 for a one-pixel step, about .3 after a Gaussian blur of 3
               pixels, whatever the contrast (unlike the variance of the Laplacian, Pertuz et al. 2013)
    cleanness  1 / (1 + (n / .02)⁴) with n the noise level: Immerkær's 1996 mask, whose answer to flat and
               linearly shaded areas is 0, but with the median of its answers (Donoho 1994) in place of the mean,
               so that edges do not count as noise
    contrast   1 − exp(−(s / .1)²): photographs have s of about .2
    exposure   1 − c² with c the share of pixels that are black or white in every channel (2/255 tolerance)
    colour     1 up to a colourfulness M (Hasler & Süsstrunk 2003) of 82, "highly colourful", then
               1 / (1 + ((M − 82) / 60)²). Grey pictures lose nothing: a prompt may ask for them.

The weights and the constants are judgement. No random number, no state: same pixels, same score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lib_optim.scoring.base import ImageContext, Progress, image_label, refuse_options
from lib_optim.scoring.pixels import unit_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["TechnicalScorer", "build", "technical_factors", "technical_quality"]

WEIGHTS = {"sharpness": 0.35, "cleanness": 0.25, "contrast": 0.20, "exposure": 0.10, "colour": 0.10}


class TechnicalScorer:
    """See the module. Needs no weights and no device."""

    def load(self, device: str, progress: Progress | None = None) -> None:
        """Do nothing: there is nothing to load."""

    def score(
        self,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        contexts: Sequence[ImageContext] | None = None,
    ) -> list[float]:
        """Return the technical quality of each image, in [0, 1]."""
        labels = [image_label(i, contexts) for i in range(len(images))]
        return [technical_quality(unit_pixels(image, label)) for image, label in zip(images, labels, strict=True)]

    def unload(self) -> None:
        """Do nothing."""


def build(options: Mapping[str, Any], models_dir: Any) -> TechnicalScorer:
    """Return the scorer; it has no options.

    Raises:
        ScorerError: An option was given.
    """
    del models_dir
    refuse_options("technical", options)
    return TechnicalScorer()


def technical_quality(pixels: NDArray[np.float32]) -> float:
    """Return the score of `pixels`, shape (height, width, 3) in [0, 1], sRGB-encoded."""
    factors = technical_factors(pixels)
    value = factors["gate"] * factors["wholeness"]
    for name, weight in WEIGHTS.items():
        value *= factors[name] ** weight
    return float(value)


def technical_factors(pixels: NDArray[np.float32]) -> dict[str, float]:
    """Return each factor, all in [0, 1], before it is raised to its weight; ``gate`` and ``wholeness`` have none."""
    values = pixels.astype(np.float64)
    luma = values @ np.array([0.299, 0.587, 0.114])
    spread = float(luma.std()) if np.ptp(luma) > 0 else 0.0
    clipped = float((np.all(values <= 2 / 255, axis=-1) | np.all(values >= 253 / 255, axis=-1)).mean())
    colourful = max(_colourfulness(values) - 82.0, 0.0)
    return {
        "gate": 1.0 - float(np.exp(-((spread / 0.01) ** 2))),
        "wholeness": 1.0 / (1.0 + (max(_seam(luma), _seam(luma.T)) / 0.05) ** 2),
        "sharpness": _sharpness(luma),
        "cleanness": float(1.0 / (1.0 + (_noise(luma) / 0.02) ** 4)),
        "contrast": 1.0 - float(np.exp(-((spread / 0.1) ** 2))),
        "exposure": 1.0 - clipped**2,
        "colour": 1.0 / (1.0 + (colourful / 60.0) ** 2),
    }


def _sharpness(luma: NDArray[np.float64]) -> float:
    padded = np.pad(luma, 1, mode="edge")
    across = padded[1:-1, 2:] - padded[1:-1, :-2]
    down = padded[2:, 1:-1] - padded[:-2, 1:-1]
    steepness = np.hypot(across, down)
    steepest = (steepness >= np.quantile(steepness, 0.98)) & (steepness > 0)
    if not steepest.any():
        return 0.0
    near, wide = _range_within(luma, 1)[steepest], _range_within(luma, 4)[steepest]
    return float((near / wide).mean())


def _seam(luma: NDArray[np.float64]) -> float:
    """How far the strongest step between two neighbouring columns stands out, in units of L; 0 if none does."""
    if luma.shape[1] < 4:
        return 0.0
    steps = np.abs(np.diff(luma, axis=1))
    alone = steps[:, 1:-1] - np.maximum(steps[:, :-2], steps[:, 2:])
    return max(float(np.median(alone, axis=0).max()) - 1.5 / 255, 0.0)


def _range_within(luma: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    """Highest minus lowest value within the square of `radius` around each pixel."""
    high = low = luma
    for axis in (0, 1):
        pad = [(radius, radius) if axis == a else (0, 0) for a in (0, 1)]
        highs, lows = np.pad(high, pad, mode="edge"), np.pad(low, pad, mode="edge")
        length = luma.shape[axis]
        shifted = [slice(i, i + length) for i in range(2 * radius + 1)]
        high = np.maximum.reduce([highs[s] if axis == 0 else highs[:, s] for s in shifted])
        low = np.minimum.reduce([lows[s] if axis == 0 else lows[:, s] for s in shifted])
    return high - low


def _noise(luma: NDArray[np.float64]) -> float:
    """Noise level in units of L: 6 is the norm of the mask, .6745 turns a median into a standard deviation."""
    p = np.pad(luma, 1, mode="reflect") if min(luma.shape) > 1 else np.pad(luma, 1, mode="edge")
    rows = p[:, :-2] - 2 * p[:, 1:-1] + p[:, 2:]
    answer = rows[:-2] - 2 * rows[1:-1] + rows[2:]
    return float(np.median(np.abs(answer)) / (6 * 0.6745))


def _colourfulness(values: NDArray[np.float64]) -> float:
    red, green, blue = (255.0 * values[..., i] for i in range(3))
    rg, yb = red - green, (red + green) / 2 - blue
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))
