"""A taste learned from the ratings of runs: images are read again, looked at once, and remembered in the folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib_optim.plan.errors import OptimError, RunError
from lib_optim.run.folder import RunFolder, write_atomic
from lib_optim.run.ratings import Rating, ratings_of, whole_ratings
from lib_optim.run.results import read_image
from lib_optim.scoring.embeddings import Embedder, best_way, embedder
from lib_optim.scoring.taste_file import Taste, spearman
from lib_optim.scoring.taste_model import LEAST, MOST, cross_validated, fit_taste

__all__ = ["Trained", "train_taste"]

_BATCH = 8


@dataclass(frozen=True)
class Trained:
    """What came of training.

    Attributes:
        taste: The model, with its agreement.
        gone: How many rated images could not be read any more.
    """

    taste: Taste
    gone: int = 0


def train_taste(
    folders: Sequence[RunFolder],
    models: Path,
    way: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Trained:
    """Learn a taste from the ratings of the runs in `folders`.

    Args:
        folders: At least one.
        models: The scorers' models folder.
        way: How images are looked at (`embeddings.WAYS`); empty for the best that is at hand.
        progress: Told how many images of how many were looked at.

    Raises:
        RunError: Fewer than 20 images are rated.
        StoreError: A run cannot be read.
        ScorerError: The network is missing, or nothing can be learned.
    """
    pairs = whole_ratings(rating for folder in folders for rating in ratings_of(folder))[-MOST:]
    if len(pairs) < LEAST:
        raise RunError(f"{len(pairs)} images are rated; a taste can be learned from {LEAST} on.")
    eyes = embedder(way or best_way(models), models)
    identity = eyes.identity
    seen: dict[tuple[str, str], NDArray[np.float64]] = {}
    done = 0
    try:
        for folder in folders:
            own = [rating for rating, _ in pairs if rating.run == folder.name]
            for file, vector in _looked_at(folder, own, eyes, _further(progress, done, len(pairs))).items():
                seen[folder.name, file] = vector
            done += len(own)
    finally:
        eyes.unload()
    kept = [(rating, value) for rating, value in pairs if (rating.run, rating.file) in seen]
    if len(kept) < LEAST:
        raise RunError(f"Only {len(kept)} of {len(pairs)} rated images can be read; {LEAST} are needed.")
    vectors = np.stack([seen[rating.run, rating.file] for rating, _ in kept])
    values = [value for _, value in kept]
    model = fit_taste(vectors, values)
    agreement = spearman(cross_validated(vectors, values, [(r.run, r.trial) for r, _ in kept]), values)
    runs = tuple(dict.fromkeys(rating.run for rating, _ in kept))
    return Trained(Taste(model, identity, agreement, time.time(), runs), len(pairs) - len(kept))


def _further(progress: Callable[[int, int], None], done: int, total: int) -> Callable[[int], None]:
    return lambda more: progress(done + more, total)


def _looked_at(
    folder: RunFolder, ratings: Sequence[Rating], eyes: Embedder, progress: Callable[[int], None]
) -> dict[str, NDArray[np.float64]]:
    """Return the embedding of each image that can be read, by file; those looked at before are remembered."""
    from safetensors.numpy import save

    memory = folder.path / f"embeddings-{eyes.identity.way}-{eyes.identity.sha256[:12]}.safetensors"
    known = _remembered(memory)
    found, new = {r.file: known[r.file] for r in ratings if r.file in known}, False
    todo = [rating for rating in ratings if rating.file not in known]
    loaded = False
    for start in range(0, len(todo), _BATCH):
        progress(len(found))
        some: list[tuple[Rating, Any]] = []
        for rating in todo[start : start + _BATCH]:
            try:
                some.append((rating, read_image(folder, rating.file)))
            except OptimError:
                continue  # gone: the others will do
        if not some:
            continue
        if not loaded:
            eyes.load("cpu")  # the GPU may be full of the model that generates meanwhile
            loaded = True
        vectors = eyes.look([image for _, image in some], [f"The image {rating.file}" for rating, _ in some])
        for (rating, _), vector in zip(some, vectors, strict=True):
            found[rating.file], new = vector, True
    progress(len(ratings))
    if new:
        write_atomic(memory, save({**known, **found}))
    return found


def _remembered(path: Path) -> dict[str, NDArray[np.float64]]:
    from safetensors.numpy import load_file

    if not path.is_file():
        return {}
    try:
        return {name: vector.astype(np.float64) for name, vector in load_file(path).items()}
    except Exception:  # noqa: BLE001 - a damaged memory costs a second look, no more
        return {}
