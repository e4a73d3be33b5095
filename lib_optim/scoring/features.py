"""How alike two pictures are by colours, edges and layout, without weights and without looking pixel by pixel.

    likeness = (colours + edges + layout) / 3        in [0, 1]; 1 for equal pictures

Each picture is brought to 64 × 64 pixels, whatever its shape, and to CIELAB (D65):

    colours  Bhattacharyya's coefficient of the histograms of L, a and b (16 bins each over [0, 100] and [−80, 80], each
             pixel shared between its two nearest bins, so that small changes count), mean of the three
    edges    cosine of histograms of oriented gradients of L (Dalal & Triggs 2005: 9 unsigned directions, 4 × 4 cells,
             pixels weighted by the length of their gradient), with a constant of 1 added to both as one more number, so
             that two pictures without edges are alike
    layout   1 − ΔE / 100 of 8 × 8 mean colours, ΔE the root mean square CIE 1976 difference, cut at 100

The three terms, their numbers and their equal shares are judgement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lib_optim.scoring.pixels import rgb
from lib_optim.scoring.similarity import to_lab

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Features", "features", "likeness"]

_SIDE, _BINS, _DIRECTIONS, _CELLS, _MEANS = 64, 16, 9, 4, 8
_RANGES = ((0.0, 100.0), (-80.0, 80.0), (-80.0, 80.0))


@dataclass(frozen=True)
class Features:
    """Of one picture: square roots of histograms (3, 16), gradients of length 1 (145,), mean colours (8, 8, 3)."""

    colours: NDArray[np.float64]
    edges: NDArray[np.float64]
    layout: NDArray[np.float64]


def features(image: Image.Image, label: str) -> Features:
    """Return the features of `image`, of any size and mode.

    Raises:
        ScorerError: It has no pixels, or floating-point ones.
    """
    small = rgb(image, label).resize((_SIDE, _SIDE), Image.Resampling.BOX, reducing_gap=None)
    lab = to_lab(np.asarray(small, dtype=np.float64) / 255.0)
    step = _SIDE // _MEANS
    layout = lab.reshape(_MEANS, step, _MEANS, step, 3).mean(axis=(1, 3))
    colours = np.stack([_histogram(lab[..., i], *_RANGES[i]) for i in range(3)])
    return Features(np.sqrt(colours), _edges(lab[..., 0]), layout)


def likeness(one: Features, other: Features) -> float:
    """Return how alike two pictures are, in [0, 1]."""
    colours = float((one.colours * other.colours).sum(axis=1).mean())
    edges = float(one.edges @ other.edges)
    difference = float(np.sqrt(((one.layout - other.layout) ** 2).sum(axis=-1).mean()))
    return (min(colours, 1.0) + min(edges, 1.0) + 1.0 - min(difference, 100.0) / 100.0) / 3.0


def _histogram(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    place = (np.clip(values.ravel(), low, high) - low) / (high - low) * (_BINS - 1)
    below = np.minimum(place.astype(np.int64), _BINS - 2)
    share = place - below
    found = np.bincount(below, 1 - share, _BINS) + np.bincount(below + 1, share, _BINS)
    return np.asarray(found / found.sum())


def _edges(lightness: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.pad(lightness, 1, mode="edge")
    across, down = padded[1:-1, 2:] - padded[1:-1, :-2], padded[2:, 1:-1] - padded[:-2, 1:-1]
    length = np.hypot(across, down)
    place = (np.arctan2(down, across) % np.pi) / np.pi * _DIRECTIONS
    below = place.astype(np.int64) % _DIRECTIONS
    share = place - np.floor(place)
    step = _SIDE // _CELLS
    rows, columns = np.indices(lightness.shape) // step
    cell = (rows * _CELLS + columns) * _DIRECTIONS
    size = _CELLS * _CELLS * _DIRECTIONS
    found = np.bincount((cell + below).ravel(), (length * (1 - share)).ravel(), size)
    found = found + np.bincount((cell + (below + 1) % _DIRECTIONS).ravel(), (length * share).ravel(), size)
    whole = np.append(found / (step * step), 1.0)
    return np.asarray(whole / np.linalg.norm(whole))
