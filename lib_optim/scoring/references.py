"""Which reference image belongs to which image of a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.payload import ImageJob
from lib_optim.scoring.base import ImageContext, context_of

__all__ = ["IMAGE_SUFFIXES", "reference_for", "reference_names", "reference_problems"]

IMAGE_SUFFIXES = (".png", ".webp", ".jpg", ".jpeg", ".bmp")


def reference_names(context: ImageContext) -> tuple[str, ...]:
    """Return the file names, without suffix, that a folder may use for the image of `context`; first match wins.

    ``<payload>-<seed>``, then ``<payload>``, then ``<index>`` (from 0). Characters that file names cannot hold
    are written as ``_``.
    """
    payload = re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", context.payload)
    names: list[str] = []
    if payload and context.seed is not None:
        names.append(f"{payload}-{context.seed}")
    if payload:
        names.append(payload)
    if context.index is not None:
        names.append(str(context.index))
    return tuple(names)


def reference_for(path: Path, context: ImageContext) -> Path:
    """Return the reference image for `context`.

    Args:
        path: An image file, which serves every image; or a folder with an image per payload and seed, per
            payload or per index (see `reference_names`), or with exactly one image, which serves every image.
        context: Where the image to be judged comes from.

    Raises:
        ScorerError: There is none; names the files that were looked for.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise ScorerError(f"The reference image {path} does not exist; choose an image file or a folder of images.")
    names = reference_names(context)
    for name in names:
        for suffix in IMAGE_SUFFIXES:
            candidate = path / f"{name}{suffix}"
            if candidate.is_file():
                return candidate
    images = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in IMAGE_SUFFIXES and entry.is_file())
    if len(images) == 1:
        return images[0]
    if not images:
        raise ScorerError(f"The reference folder {path} has no images ({', '.join(IMAGE_SUFFIXES)}).")
    tried = " or ".join(f"{name}.png" for name in names) or "a single image"
    raise ScorerError(f"The reference folder {path} has no image for {context}; put {tried} there.")


def reference_problems(path: Path, jobs: Sequence[ImageJob]) -> list[str]:
    """Return one sentence per image of a trial that would have no readable reference; loads no pixels."""
    from PIL import Image, UnidentifiedImageError

    found: dict[str, None] = {}
    contexts = [context_of(job) for job in jobs if job.payload.score_weight > 0] or [ImageContext()]
    if not jobs and path.is_dir() and any(entry.suffix.lower() in IMAGE_SUFFIXES for entry in path.iterdir()):
        return []
    for context in contexts:
        try:
            reference = reference_for(path, context)
            with Image.open(reference):
                pass
        except ScorerError as error:
            found[str(error)] = None
        except (OSError, UnidentifiedImageError) as error:
            reason = "it is no image that can be read" if isinstance(error, UnidentifiedImageError) else str(error)
            found[f"The reference image {reference} can't be used: {reason}."] = None
    return list(found)
