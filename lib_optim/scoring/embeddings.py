"""What a learned taste sees of an image: one vector, by one of two ways; `WAYS` names them.

packaged    what ships with Optim, no download: the small network of the demo scorer (128 numbers) beside colours, edges
            and layout (`features`, 385 numbers), each of the two of length 1. The network was trained on the demo
            checkpoints' pictures: of others it sees shapes and colours rather than things.
clip        OpenAI's CLIP ViT-L/14 (768 numbers, of length 1), one network for all scorers that use it

A vector means something only beside others of the same network: `Identity` says which one made it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.base import Progress
from lib_optim.scoring.clip.head_rows import CLIP_FOLDER
from lib_optim.scoring.clip.sources import OPENAI_L14, ClipSource
from lib_optim.scoring.demo import WEIGHTS
from lib_optim.scoring.features import features
from lib_optim.scoring.weights import find, missing_sentence

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["WAYS", "Embedder", "Identity", "best_way", "embedder", "embedding_problem"]

WAYS = {"packaged": "what ships with Optim", "clip": "CLIP ViT-L/14"}
_TITLE = "My taste"
_RECIPE = "1"  # of `packaged`: counts up when its numbers change


@dataclass(frozen=True)
class Identity:
    """Which network made a vector: the way, and the SHA-256 of its weights' file."""

    way: str
    sha256: str

    def __str__(self) -> str:
        return f"{WAYS.get(self.way, self.way)} ({self.sha256[:10]})"


class Embedder(Protocol):
    """One of the ways. `load` comes first."""

    @property
    def identity(self) -> Identity:
        """Which one. Reads the weights' file the first time.

        Raises:
            ScorerError: They are missing.
        """

    def load(self, device: str, progress: Progress | None = None) -> None:
        """Read weights.

        Raises:
            ScorerError: They are missing, damaged, or another network's.
        """

    def look(self, images: Sequence[Image.Image], labels: Sequence[str]) -> NDArray[np.float64]:
        """Return a vector per image, (n, d).

        Raises:
            ScorerError: Not loaded, or an image cannot be used; names it by its label.
        """

    def unload(self) -> None:
        """Free the memory. Idempotent."""


def best_way(models: Path) -> str:
    """Return ``clip`` if its weights are among the scorers' models, else ``packaged``."""
    return "clip" if find(OPENAI_L14.file, models / CLIP_FOLDER) is not None else "packaged"


def embedding_problem(way: str, models: Path) -> str:
    """Return what is missing for `way`, one sentence, or an empty text."""
    if way not in WAYS:
        return f"{_TITLE} looks at images by {' or '.join(WAYS)}, not by '{way}'."
    if way == "clip" and find(OPENAI_L14.file, models / CLIP_FOLDER) is None:
        return missing_sentence(_TITLE, OPENAI_L14.file, models / CLIP_FOLDER)
    return ""


def embedder(way: str, models: Path) -> Embedder:
    """Return the one called `way`; `models` is the scorers' models folder, where CLIP is looked for.

    Raises:
        ScorerError: There is no such way.
    """
    if way not in WAYS:
        raise ScorerError(embedding_problem(way, models))
    return _Packaged() if way == "packaged" else _Clip(models)


class _Packaged:
    def __init__(self) -> None:
        self._weights: dict[str, Any] | None = None

    @property
    def identity(self) -> Identity:
        return Identity("packaged", hashlib.sha256(_RECIPE.encode() + WEIGHTS.read_bytes()).hexdigest())

    def load(self, device: str, progress: Progress | None = None) -> None:
        # A network of 0.1 MB: on the CPU, whatever the device, so that its numbers are the same everywhere.
        from safetensors.torch import load_file

        del device, progress
        self._weights = {name: tensor.float() for name, tensor in load_file(str(WEIGHTS)).items()}

    def look(self, images: Sequence[Image.Image], labels: Sequence[str]) -> NDArray[np.float64]:
        import torch

        from lib_optim.scoring.demo import embedding, pixels_of

        if self._weights is None:
            raise ScorerError(f"{_TITLE} was asked to look before it was loaded.")
        found = []
        for image, label in zip(images, labels, strict=True):
            simple = features(image, label)
            with torch.inference_mode():
                seen = embedding(self._weights, torch.from_numpy(pixels_of(image, label))[None])[0].double().numpy()
            plain = (simple.colours.ravel() / 3**0.5, simple.edges, simple.layout.ravel() / 100 / 8)
            found.append(np.concatenate([_unit(seen), _unit(np.concatenate(plain))]))
        return np.stack(found)

    def unload(self) -> None:
        self._weights = None


class _Clip:
    def __init__(self, models: Path) -> None:
        self._models = models
        self._lease: Any = None

    @property
    def identity(self) -> Identity:
        path = find(OPENAI_L14.file, self._models / CLIP_FOLDER)
        if path is None:
            raise ScorerError(embedding_problem("clip", self._models))
        return Identity("clip", _sha256(path))

    @property
    def network(self) -> Any:
        return self._lease.backbone.network if self._lease is not None else None

    def load(self, device: str, progress: Progress | None = None) -> None:
        from lib_optim.scoring.clip.backbone import borrow

        self.unload()
        source = ClipSource(OPENAI_L14.model, OPENAI_L14.file, self._models / CLIP_FOLDER)
        self._lease = borrow(source, device, _TITLE, progress)

    def look(self, images: Sequence[Image.Image], labels: Sequence[str]) -> NDArray[np.float64]:
        from lib_optim.scoring.clip.views import CROPPED

        if self._lease is None:
            raise ScorerError(f"{_TITLE} was asked to look before it was loaded.")
        seen = self._lease.backbone.images(images, labels, CROPPED)
        return np.stack([_unit(vector) for vector in seen.double().numpy()])

    def unload(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.end()


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12))


_hashes: dict[tuple[str, int, int], str] = {}


def _sha256(path: Path) -> str:
    """A file of 1.7 GB takes seconds: once per file and process."""
    status = path.stat()
    key = (str(path.resolve()), status.st_size, status.st_mtime_ns)
    if key not in _hashes:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(1 << 22):
                digest.update(chunk)
        _hashes[key] = digest.hexdigest()
    return _hashes[key]
