"""Consistency and diversity: how alike, or how different, the images of one payload of a trial are.

    consistency of an image = mean of its likeness to each other image of its payload in the same trial
    diversity of an image   = 1 − that

The mean over a payload's images is then the mean over all its pairs. `likeness` has the ways to tell it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.payload import ImageJob
from lib_optim.scoring.base import ImageContext, OptionsCheck, Progress, image_label
from lib_optim.scoring.likeness import Likeness, likeness_by, likeness_problems

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["AcrossScorer", "builder", "checker"]


class AcrossScorer:
    """See the module.

    Args:
        title: For messages.
        alike: Whether alike images are good; else different ones are.
        likeness: How to tell.
    """

    def __init__(self, title: str, alike: bool, likeness: Likeness) -> None:
        self._title, self._alike, self._likeness = title, alike, likeness

    def load(self, device: str, progress: Progress | None = None) -> None:
        """Load what tells how alike images are.

        Raises:
            ScorerError: Its weights are missing or of something else.
        """
        self._likeness.load(device, progress)

    def score(
        self,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        contexts: Sequence[ImageContext] | None = None,
    ) -> list[float]:
        """Return how alike each image is to the others, or how different from them.

        Raises:
            ScorerError: There is but one, or one cannot be used.
        """
        found = [self._likeness.look(image, image_label(i, contexts)) for i, image in enumerate(images)]
        if len(found) == 1:
            raise ScorerError(
                f"{self._title} compares the images of a payload, and {image_label(0, contexts)} is the only one left; "
                "let the payload make more, or skip fewer."
            )
        count = len(found)
        pairs = {(i, j): self._likeness.alike(found[i], found[j]) for i in range(count) for j in range(i + 1, count)}
        means = []
        for i in range(count):
            others = [pairs[min(i, j), max(i, j)] for j in range(count) if j != i]
            means.append(math.fsum(others) / len(others))
        return [mean if self._alike else 1.0 - mean for mean in means]

    def unload(self) -> None:
        """Free the memory."""
        self._likeness.unload()


def builder(title: str, alike: bool) -> Callable[..., AcrossScorer]:
    """Return the `build` of a row: options ``by`` and ``folder``."""

    def build(options: Mapping[str, Any], models_dir: Any) -> AcrossScorer:
        return AcrossScorer(title, alike, likeness_by(*_way(options, title), Path(models_dir)))

    return build


def checker(title: str) -> OptionsCheck:
    """Return the `check` of a row: payloads that make too few images to compare, and missing weights."""

    def check(options: Mapping[str, Any], models_dir: Path, jobs: Sequence[ImageJob]) -> list[tuple[str, str]]:
        counts = Counter(job.payload.name for job in jobs if job.payload.score_weight > 0)
        sentence = (
            "The payload '{}' makes one image, and {} compares several; set its images to 2 or more, or its score "
            "weight to 0."
        )
        few = [("images", sentence.format(name, title)) for name, count in counts.items() if count < 2]
        return few + likeness_problems(*_way(options, title), models_dir)

    return check


def _way(options: Mapping[str, Any], title: str) -> tuple[str, str, str]:
    return str(options.get("by") or "simple"), title, str(options.get("folder") or "")
