"""Similarity to a reference picture by the ways of `likeness`, or by default pixel by pixel (`similarity`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.payload import ImageJob
from lib_optim.scoring import similarity
from lib_optim.scoring.base import ImageContext, Progress, Scorer, image_label
from lib_optim.scoring.likeness import WAYS, Likeness, likeness_by, likeness_problems
from lib_optim.scoring.references import reference_for

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["PIXELS", "WAYS_AND_PIXELS", "ResemblingScorer", "build", "check"]

PIXELS = "pixels"
WAYS_AND_PIXELS = (PIXELS, *WAYS)
_TITLE = "Similarity"
_REMEMBERED = 64


class ResemblingScorer:
    """See the module.

    Args:
        reference: One image file, or a folder (see `references.reference_for`).
        likeness: How to tell.
    """

    def __init__(self, reference: Path, likeness: Likeness) -> None:
        self._reference, self._likeness = reference, likeness
        self._known: dict[Path, Any] = {}

    def load(self, device: str, progress: Progress | None = None) -> None:
        """Check that there is something to compare with, and load what compares.

        Raises:
            ScorerError: The reference path does not exist; weights are missing or of something else.
        """
        if not self._reference.exists():
            reference_for(self._reference, ImageContext())
        self._likeness.load(device, progress)

    def score(
        self,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        contexts: Sequence[ImageContext] | None = None,
    ) -> list[float]:
        """Return how alike each image is to its reference; 1 for equal ones.

        Raises:
            ScorerError: Not loaded, an image has no reference, or one of the two cannot be used.
        """
        scores: list[float] = []
        for i, image in enumerate(images):
            seen = self._likeness.look(image, image_label(i, contexts))
            path = reference_for(self._reference, contexts[i] if contexts else ImageContext())
            scores.append(self._likeness.alike(seen, self._looked_at(path)))
        return scores

    def unload(self) -> None:
        """Free the memory, and forget the references that were read."""
        self._known.clear()
        self._likeness.unload()

    def _looked_at(self, path: Path) -> Any:
        from PIL import Image

        if path not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.pop(next(iter(self._known)))
            try:
                with Image.open(path) as opened:
                    self._known[path] = self._likeness.look(opened, f"The reference image {path}")
            except (OSError, SyntaxError) as error:
                raise ScorerError(f"The reference image {path} can't be read: {error}.") from error
        return self._known[path]


def build(options: Mapping[str, Any], models_dir: Any) -> Scorer:
    """Return the scorer for the options ``reference``, ``by`` and ``folder``.

    Raises:
        ScorerError: An option is missing or unknown.
    """
    way = str(options.get("by") or PIXELS)
    pixels = similarity.build(options, models_dir)
    if way == PIXELS:
        return pixels
    reference = Path(str(options["reference"]).strip())
    return ResemblingScorer(reference, likeness_by(way, _TITLE, str(options.get("folder") or ""), Path(models_dir)))


def check(options: Mapping[str, Any], models_dir: Path, jobs: Sequence[ImageJob]) -> list[tuple[str, str]]:
    """Return what is wrong with references and weights, for the plan check."""
    found = similarity.check(options, models_dir, jobs)
    way, folder = str(options.get("by") or PIXELS), str(options.get("folder") or "")
    return found + likeness_problems(way, _TITLE, folder, models_dir)
