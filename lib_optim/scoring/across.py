"""Consistency and diversity: how alike, or how different, the images of one payload of a trial are.

    consistency of an image = mean of its likeness to each other image of its payload in the same trial
    diversity of an image   = 1 − that

The mean over a payload's images is then the mean over all its pairs. `features` has the likeness.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.payload import ImageJob
from lib_optim.scoring.base import ImageContext, Progress, image_label, refuse_options
from lib_optim.scoring.features import features, likeness

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["AcrossScorer", "build_consistency", "build_diversity", "check"]


class AcrossScorer:
    """See the module. Needs no weights and no device.

    Args:
        title: For messages.
        alike: Whether alike images are good; else different ones are.
    """

    def __init__(self, title: str, alike: bool) -> None:
        self._title, self._alike = title, alike

    def load(self, device: str, progress: Progress | None = None) -> None:
        """Do nothing: there is nothing to load."""

    def score(
        self,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        contexts: Sequence[ImageContext] | None = None,
    ) -> list[float]:
        """Return how alike each image is to the others, or how different from them, in [0, 1].

        Raises:
            ScorerError: There is but one, or one cannot be used.
        """
        found = [features(image, image_label(i, contexts)) for i, image in enumerate(images)]
        if len(found) == 1:
            raise ScorerError(
                f"{self._title} compares the images of a payload, and {image_label(0, contexts)} is the only one left; "
                "let the payload make more, or skip fewer."
            )
        means = []
        for i, one in enumerate(found):
            others = [likeness(one, other) for j, other in enumerate(found) if j != i]
            means.append(math.fsum(others) / len(others))
        return [mean if self._alike else 1.0 - mean for mean in means]

    def unload(self) -> None:
        """Do nothing."""


def build_consistency(options: Mapping[str, Any], models_dir: Any) -> AcrossScorer:
    """Return the scorer that rewards alike images; it has no options.

    Raises:
        ScorerError: An option was given.
    """
    del models_dir
    refuse_options("consistency", options)
    return AcrossScorer("Consistency", alike=True)


def build_diversity(options: Mapping[str, Any], models_dir: Any) -> AcrossScorer:
    """Return the scorer that rewards different images; it has no options.

    Raises:
        ScorerError: An option was given.
    """
    del models_dir
    refuse_options("diversity", options)
    return AcrossScorer("Diversity", alike=False)


def check(options: Mapping[str, Any], models_dir: Path, jobs: Sequence[ImageJob]) -> list[tuple[str, str]]:
    """Return which payloads make too few images to compare, for the plan check."""
    del options, models_dir
    counts = Counter(job.payload.name for job in jobs if job.payload.score_weight > 0)
    sentence = (
        "The payload '{}' makes one image, and consistency and diversity compare several; set its images to 2 or more, "
        "or its score weight to 0."
    )
    return [("images", sentence.format(name)) for name, count in counts.items() if count < 2]
