"""Comparing images and weights: the same to the bit, where the machine itself can repeat an image."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib_optim.hosts.base import GeneratedImage
from lib_optim.hosts.digest import tensor_digest
from lib_optim.selftest.background import Failed

if TYPE_CHECKING:
    import numpy as np
    import torch

__all__ = ["Comparison", "Picture", "distance", "fingerprint", "picture"]


@dataclass(frozen=True)
class Picture:
    """An image reduced to what comparisons need. `pixels`: uint8, height x width x 3."""

    digest: str
    pixels: np.ndarray
    infotext: str


def picture(generated: GeneratedImage) -> Picture:
    """Return the pixels of `generated` with their hash."""
    import numpy as np

    pixels = np.asarray(generated.image.convert("RGB"))
    return Picture(hashlib.sha256(pixels.tobytes()).hexdigest()[:12], pixels, generated.infotext)


def distance(a: Picture, b: Picture) -> float:
    """Return the mean absolute difference of two images in levels, 0 to 255; 255 where their sizes differ."""
    if a.digest == b.digest:
        return 0.0
    if a.pixels.shape != b.pixels.shape:
        return 255.0
    return float(abs(a.pixels.astype("int16") - b.pixels.astype("int16")).mean())


def fingerprint(tensors: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """Return one digest per tensor."""
    return {name: tensor_digest(tensor) for name, tensor in tensors.items()}


class Comparison:
    """What a check may find, as `Failed`.

    Attributes:
        floor: How far two images of the same request lie apart here (`distance`); 0 where the machine is exact, and
            then "the same" means to the bit.
    """

    floor: float = 0.0

    def expect(self, holds: bool, otherwise: str) -> None:
        """Raise `Failed` with the sentence `otherwise` unless it holds."""
        if not holds:
            raise Failed(otherwise)

    def same(self, seen: Picture, wanted: Picture, what: str) -> None:
        """Raise `Failed` unless both images are the same (to the bit, where the machine is exact)."""
        gap = distance(seen, wanted)
        if gap > 3 * self.floor:
            raise Failed(f"{what}: the images differ by {gap:.2f} levels ({seen.digest}, {wanted.digest})")

    def differ(self, seen: Picture, other: Picture, what: str) -> None:
        """Raise `Failed` if both images are the same."""
        if distance(seen, other) <= 3 * self.floor:
            raise Failed(f"{what}: the images are the same ({seen.digest})")

    def unchanged(self, seen: dict[str, int], wanted: dict[str, int], what: str) -> None:
        """Raise `Failed` unless both fingerprints are equal."""
        changed = [name for name in {*seen, *wanted} if seen.get(name) != wanted.get(name)]
        if changed:
            raise Failed(f"{what}: {len(changed)} of {len(wanted)} tensors differ, one is {min(changed)}")
