"""Similarity to a reference picture: half colour difference, half structure.

    score = ½ · (1 − ΔE / 100) + ½ · structure        1 for equal pictures, about .3 for unrelated ones, never below −.5

ΔE is the root mean square CIE 1976 colour difference (CIELAB under D65 from sRGB, IEC 61966-2-1), where black
to white is 100; clipped to 100. `structure` is SSIM of the CIELAB lightness (Wang et al. 2004: Gaussian window of
standard deviation 1.5, 11 taps, K = .01 and .03) on up to five scales (each half the size of the one before), averaged
with the weights of MS-SSIM (Wang et al. 2003: .0448, .2856, .3001, .2363, .1333, normalised over the scales that
fit). MS-SSIM multiplies its scales, which is 0, and flat, as soon as one is negative; the mean keeps a slope that a
search can follow from far away. The colour term falls linearly with distance, so it stays sensitive near the optimum.

Both pictures are compared at the size of the judged one, but at most 256 pixels on the longer side; a reference of
another shape is cropped around its centre.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.payload import ImageJob
from lib_optim.scoring.base import ImageContext, Progress, image_label
from lib_optim.scoring.pixels import rgb
from lib_optim.scoring.references import reference_for, reference_problems

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SimilarityScorer", "build", "check", "similarity", "to_lab"]

LONGEST = 256
_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_TAPS = 11
_REMEMBERED = 64


class SimilarityScorer:
    """See the module.

    Args:
        reference: One image file, or a folder (see `references.reference_for`).
    """

    def __init__(self, reference: Path) -> None:
        self._reference = reference
        self._known: dict[tuple[Path, tuple[int, int]], NDArray[np.float64]] = {}

    def load(self, device: str, progress: Progress | None = None) -> None:
        """Check that there is something to compare with.

        Raises:
            ScorerError: The reference path does not exist.
        """
        if not self._reference.exists():
            reference_for(self._reference, ImageContext())

    def score(
        self,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        contexts: Sequence[ImageContext] | None = None,
    ) -> list[float]:
        """Return the similarity of each image to its reference, in [-0.5, 1].

        Raises:
            ScorerError: An image has no reference, or one of the two cannot be read.
        """
        scores: list[float] = []
        for i, image in enumerate(images):
            label = image_label(i, contexts)
            picture = rgb(image, label)
            size = _compared_size(picture.size)
            reference = self._lab(reference_for(self._reference, contexts[i] if contexts else ImageContext()), size)
            scores.append(_compare(to_lab(_resized(picture, size)), reference))
        return scores

    def unload(self) -> None:
        """Forget the references that were read, so that changed files are read anew."""
        self._known.clear()

    def _lab(self, path: Path, size: tuple[int, int]) -> NDArray[np.float64]:
        if (path, size) not in self._known:
            try:
                with Image.open(path) as opened:
                    pixels = _resized(rgb(opened, f"The reference image {path}"), size)
            except (OSError, SyntaxError) as error:
                raise ScorerError(f"The reference image {path} can't be read: {error}.") from error
            if len(self._known) >= _REMEMBERED:
                self._known.pop(next(iter(self._known)))
            self._known[path, size] = to_lab(pixels)
        return self._known[path, size]


def build(options: Mapping[str, Any], models_dir: Any) -> SimilarityScorer:
    """Return the scorer for the option ``reference``.

    Raises:
        ScorerError: The option is missing.
    """
    del models_dir
    reference = str(options.get("reference", "")).strip()
    if not reference:
        raise ScorerError("The scorer 'similarity' needs a reference image, or a folder with one per image; choose it.")
    return SimilarityScorer(Path(reference))


def check(options: Mapping[str, Any], models_dir: Path, jobs: Sequence[ImageJob]) -> list[tuple[str, str]]:
    """Return what is wrong with the references, for the plan check."""
    del models_dir
    reference = str(options.get("reference", "")).strip()
    return [("reference", text) for text in reference_problems(Path(reference), jobs)] if reference else []


def similarity(image: Image.Image, reference: Image.Image) -> float:
    """Return the similarity of two pictures of any size and mode, in [-0.5, 1]."""
    picture = rgb(image, "the image")
    size = _compared_size(picture.size)
    return _compare(to_lab(_resized(picture, size)), to_lab(_resized(rgb(reference, "the reference"), size)))


def _compared_size(size: tuple[int, int]) -> tuple[int, int]:
    shrink = min(1.0, LONGEST / max(size))
    return max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))


def _resized(picture: Image.Image, size: tuple[int, int]) -> NDArray[np.float64]:
    fitted = ImageOps.fit(picture, size, Image.Resampling.LANCZOS) if picture.size != size else picture
    return np.asarray(fitted, dtype=np.float64) / 255.0


def to_lab(encoded: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sRGB in [0, 1] as CIELAB (D65), shape (…, 3): L in [0, 100], a and b in about [-110, 110]."""
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    xyz = (linear @ to_xyz.T) / to_xyz.sum(axis=1)
    knee = 6 / 29
    f = np.where(xyz > knee**3, np.cbrt(xyz), xyz / (3 * knee**2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def _compare(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    delta = float(np.sqrt(((one - other) ** 2).sum(axis=-1).mean()))
    structure = _structure(one[..., 0] / 100.0, other[..., 0] / 100.0)
    return 0.5 * (1.0 - min(delta, 100.0) / 100.0) + 0.5 * structure


def _structure(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    total = weights = 0.0
    for weight in _SCALES:
        total += weight * _ssim(one, other)
        weights += weight
        if min(one.shape) < 2 * _TAPS:
            break
        one, other = _halved(one), _halved(other)
    return total / weights


def _ssim(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    mean1, mean2 = _blurred(one), _blurred(other)
    var1 = _blurred(one * one) - mean1 * mean1
    var2 = _blurred(other * other) - mean2 * mean2
    both = _blurred(one * other) - mean1 * mean2
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean1 * mean2 + c1) * (2 * both + c2)
    return float((top / ((mean1 * mean1 + mean2 * mean2 + c1) * (var1 + var2 + c2))).mean())


def _blurred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian window, with the border repeated so that pictures smaller than it work too."""
    reach = _TAPS // 2
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * 1.5**2))
    kernel /= kernel.sum()
    height, width = values.shape
    tall = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    down = sum(k * tall[i : i + height] for i, k in enumerate(kernel))
    wide = np.pad(down, ((0, 0), (reach, reach)), mode="edge")
    return np.asarray(sum(k * wide[:, i : i + width] for i, k in enumerate(kernel)))


def _halved(values: NDArray[np.float64]) -> NDArray[np.float64]:
    height, width = (n // 2 * 2 for n in values.shape)
    even = values[:height, :width]
    return (even[0::2, 0::2] + even[1::2, 0::2] + even[0::2, 1::2] + even[1::2, 1::2]) / 4
