"""The networks that tell how alike two pictures are, for `likeness`: CLIP, a ViT or DINOv2, LPIPS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.base import Progress
from lib_optim.scoring.clip.sources import OPENAI_L14, ClipSource
from lib_optim.scoring.lpips_files import LPIPS_FILES
from lib_optim.scoring.pixels import rgb
from lib_optim.scoring.vit_files import load_network, missing_files, read_preparation
from lib_optim.scoring.weights import find

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["CLIP", "ClipLikeness", "EmbeddingLikeness", "LpipsLikeness", "lpips_missing", "missing"]

CLIP = OPENAI_L14
_SIDE = 256  # of what LPIPS compares


class ClipLikeness:
    """See the module.

    Args:
        title: Of the scorer, for messages.
        folder: With OpenAI's ViT-L/14.
    """

    def __init__(self, title: str, folder: Path) -> None:
        self._title, self._folder = title, folder
        self._lease: Any = None

    def load(self, device: str, progress: Progress | None = None) -> None:
        """See `likeness.Likeness`."""
        from lib_optim.scoring.clip.backbone import borrow

        if find(CLIP.file, self._folder) is None:
            raise ScorerError(missing(self._title, CLIP.file.name, self._folder, CLIP.file.url))
        self._lease = borrow(ClipSource(CLIP.model, CLIP.file, self._folder), device, self._title, progress)

    def look(self, image: Image.Image, label: str) -> Any:
        """See `likeness.Likeness`."""
        import torch

        from lib_optim.scoring.clip.views import CROPPED

        if self._lease is None:
            raise ScorerError(f"{self._title} was asked for a score before it was loaded.")
        seen = self._lease.backbone.images([image], [label], CROPPED)[0]
        return torch.nn.functional.normalize(seen.double(), dim=0)

    def alike(self, one: Any, other: Any) -> float:
        """See `likeness.Likeness`."""
        return float(one @ other)

    def unload(self) -> None:
        """See `likeness.Likeness`."""
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.end()


class EmbeddingLikeness:
    """See the module.

    Args:
        title: Of the scorer, for messages.
        folder: With the three files of a ViT or DINOv2.
    """

    def __init__(self, title: str, folder: Path) -> None:
        self._title, self._folder = title, folder
        self._network: Any = None
        self._device = "cpu"

    def load(self, device: str, progress: Progress | None = None) -> None:
        """See `likeness.Likeness`."""
        lacking = missing_files(self._folder)
        if lacking:
            raise ScorerError(missing(self._title, lacking[0], self._folder))
        if progress is not None:
            progress(f"{self._title}: loading {self._folder.name}.")
        self._preparation = read_preparation(self._folder, self._title)
        network, _ = load_network(self._folder, self._title, embedding=True)
        self._network, self._device = network.to(device), device

    def look(self, image: Image.Image, label: str) -> Any:
        """See `likeness.Likeness`."""
        import torch

        if self._network is None:
            raise ScorerError(f"{self._title} was asked for a score before it was loaded.")
        pixels = torch.from_numpy(self._preparation.pixels(image, label))[None].to(self._device)
        with torch.inference_mode():
            return torch.nn.functional.normalize(self._network(pixels)[0].double(), dim=0)

    def alike(self, one: Any, other: Any) -> float:
        """See `likeness.Likeness`."""
        return float(one @ other)

    def unload(self) -> None:
        """See `likeness.Likeness`."""
        if self._network is not None:
            from lib_optim.scoring.state_dicts import free

            self._network = None
            free(self._device)


class LpipsLikeness:
    """See the module.

    Args:
        title: Of the scorer, for messages.
        folder: With trunk and head.
    """

    def __init__(self, title: str, folder: Path) -> None:
        self._title, self._folder = title, folder
        self._network: Any = None
        self._device = "cpu"

    def load(self, device: str, progress: Progress | None = None) -> None:
        """See `likeness.Likeness`."""
        import torch

        from lib_optim.scoring.lpips import EXTRAS, TRUNKS, Lpips, head_names
        from lib_optim.scoring.state_dicts import fill, read_state_dict

        lacking = lpips_missing(self._folder)
        if lacking:
            raise ScorerError(missing(self._title, lacking[0], self._folder))
        name = _pair(self._folder)
        trunk, head = (self._folder / file for file in LPIPS_FILES[name])
        if progress is not None:
            progress(f"{self._title}: loading {trunk.name}.")
        tensors = {**read_state_dict(trunk, self._title), **head_names(read_state_dict(head, self._title))}
        with torch.device("meta"):
            network = Lpips(TRUNKS[name])
        fill(network, tensors, EXTRAS, self._title, trunk)
        self._network, self._device = network.to(device), device

    def look(self, image: Image.Image, label: str) -> Any:
        """See `likeness.Likeness`."""
        import numpy as np
        import torch
        from PIL import Image as Pillow

        if self._network is None:
            raise ScorerError(f"{self._title} was asked for a score before it was loaded.")
        small = rgb(image, label).resize((_SIDE, _SIDE), Pillow.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.asarray(small, dtype=np.float32) / np.float32(255)).permute(2, 0, 1)[None]
        with torch.inference_mode():
            return self._network(pixels.contiguous().to(self._device))

    def alike(self, one: Any, other: Any) -> float:
        """See `likeness.Likeness`."""
        import torch

        with torch.inference_mode():
            return 1.0 - float(self._network.distance(one, other)[0])

    def unload(self) -> None:
        """See `likeness.Likeness`."""
        if self._network is not None:
            from lib_optim.scoring.state_dicts import free

            self._network = None
            free(self._device)


def lpips_missing(folder: Path) -> list[str]:
    """Return which files of LPIPS `folder` lacks, of AlexNet's if it has no trunk's both."""
    return [] if _pair(folder) else [name for name in LPIPS_FILES["alex"] if not (folder / name).is_file()]


def _pair(folder: Path) -> str:
    found = (name for name, files in LPIPS_FILES.items() if all((folder / file).is_file() for file in files))
    return next(found, "")


def missing(title: str, name: str, folder: Path, url: str = "") -> str:
    """Return the sentence for a file that is not there."""
    where = f"get it from {url} and put it there" if url else "docs/scorers.md says where to get it"
    return f"{title} needs the file {name}, which is not in {folder}: {where}."
