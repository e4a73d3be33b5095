"""The ways to tell how alike two pictures are, for the scorers that compare: `WAYS` names them.

simple      colours, edges and layout (`features`); no weights
clip        cosine of the embeddings of OpenAI's CLIP ViT-L/14 (CLIP-I), one network for all scorers that use it
embedding   cosine of the embeddings of a ViT or DINOv2 (Oquab et al. 2023): what is shown, whatever its place
lpips       1 − the distance of LPIPS (`lpips`): what it looks like, place by place
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.base import Progress
from lib_optim.scoring.clip.head_rows import CLIP_FOLDER
from lib_optim.scoring.features import features, likeness
from lib_optim.scoring.likeness_networks import (
    CLIP,
    ClipLikeness,
    EmbeddingLikeness,
    LpipsLikeness,
    lpips_missing,
    missing,
)
from lib_optim.scoring.lpips_files import LPIPS_FILES
from lib_optim.scoring.vit_files import missing_files
from lib_optim.scoring.weights import find

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["WAYS", "Likeness", "likeness_by", "likeness_problems"]

WAYS = ("simple", "clip", "embedding", "lpips")


class Likeness(Protocol):
    """One of them. `load` comes first; what `look` returns is kept by its caller and given to `alike`."""

    def load(self, device: str, progress: Progress | None = None) -> None:
        """Read weights, if it has any.

        Raises:
            ScorerError: They are missing, damaged, or another network's.
        """

    def look(self, image: Image.Image, label: str) -> Any:
        """Return what is compared of an image.

        Raises:
            ScorerError: The image cannot be used.
        """

    def alike(self, one: Any, other: Any) -> float:
        """Return how alike two are: 1 for equal ones."""

    def unload(self) -> None:
        """Free the memory. Idempotent."""


def likeness_by(way: str, title: str, folder: str, models: Path) -> Likeness:
    """Return the one called `way`.

    Args:
        way: One of `WAYS`.
        title: Of the scorer, for messages.
        folder: With the weights; for ``clip`` it may be empty.
        models: The scorers' models folder, where CLIP is looked for.

    Raises:
        ScorerError: It needs a folder and has none, or there is no such way.
    """
    if way == "simple":
        return _Simple()
    if way not in WAYS:
        raise ScorerError(f"{title} compares by {', '.join(WAYS)}, not by '{way}'.")
    if way == "clip":
        return ClipLikeness(title, _clip_folder(folder, models))
    if not folder.strip():
        raise ScorerError(_no_folder(title, way))
    return EmbeddingLikeness(title, Path(folder)) if way == "embedding" else LpipsLikeness(title, Path(folder))


def likeness_problems(way: str, title: str, folder: str, models: Path) -> list[tuple[str, str]]:
    """Return what is missing for `way`, as option and sentence, for the plan check."""
    if way not in WAYS or way == "simple":
        return []
    if way == "clip":
        place = _clip_folder(folder, models)
        return [] if find(CLIP.file, place) else [("folder", missing(title, CLIP.file.name, place, CLIP.file.url))]
    if not folder.strip():
        return [("folder", _no_folder(title, way))]
    place = Path(folder)
    lacking = missing_files(place) if way == "embedding" else lpips_missing(place)
    return [("folder", missing(title, name, place)) for name in lacking]


class _Simple:
    def load(self, device: str, progress: Progress | None = None) -> None:
        pass

    def look(self, image: Image.Image, label: str) -> Any:
        return features(image, label)

    def alike(self, one: Any, other: Any) -> float:
        return likeness(one, other)

    def unload(self) -> None:
        pass


def _clip_folder(folder: str, models: Path) -> Path:
    return Path(folder.strip()) if folder.strip() else models / CLIP_FOLDER


def _no_folder(title: str, way: str) -> str:
    what = "a ViT or DINOv2 with its three files" if way == "embedding" else " and ".join(LPIPS_FILES["alex"])
    return f"{title} by {way} needs weights; set the option 'folder' to a folder with {what}."
