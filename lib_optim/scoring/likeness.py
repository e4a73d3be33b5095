"""The ways to tell how alike two pictures are, for the scorers that compare: `WAYS` names them.

simple      colours, edges and layout (`features`); no weights
embedding   cosine of the embeddings of a ViT or DINOv2 (Oquab et al. 2023): what is shown, whatever its place
lpips       1 − the distance of LPIPS (`lpips`): what it looks like, place by place
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.base import Progress
from lib_optim.scoring.features import features, likeness
from lib_optim.scoring.lpips_files import LPIPS_FILES
from lib_optim.scoring.pixels import rgb
from lib_optim.scoring.vit_files import load_network, missing_files, read_preparation

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["WAYS", "Likeness", "likeness_by", "likeness_problems"]

WAYS = ("simple", "embedding", "lpips")
_SIDE = 256  # of what LPIPS compares


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


def likeness_by(way: str, title: str, folder: str) -> Likeness:
    """Return the one called `way`.

    Args:
        way: One of `WAYS`.
        title: Of the scorer, for messages.
        folder: With the weights.

    Raises:
        ScorerError: It needs a folder and has none, or there is no such way.
    """
    if way == "simple":
        return _Simple()
    if way not in WAYS:
        raise ScorerError(f"{title} compares by {', '.join(WAYS)}, not by '{way}'.")
    if not folder.strip():
        raise ScorerError(_no_folder(title, way))
    return _Embedding(title, Path(folder)) if way == "embedding" else _Lpips(title, Path(folder))


def likeness_problems(way: str, title: str, folder: str) -> list[tuple[str, str]]:
    """Return what is missing for `way`, as option and sentence, for the plan check."""
    if way not in WAYS or way == "simple":
        return []
    if not folder.strip():
        return [("folder", _no_folder(title, way))]
    place = Path(folder)
    if way == "embedding":
        missing = missing_files(place)
    else:
        missing = [] if _pair(place) else list(LPIPS_FILES["alex"])
    return [("folder", _missing(title, name, place)) for name in missing]


class _Simple:
    def load(self, device: str, progress: Progress | None = None) -> None:
        pass

    def look(self, image: Image.Image, label: str) -> Any:
        return features(image, label)

    def alike(self, one: Any, other: Any) -> float:
        return likeness(one, other)

    def unload(self) -> None:
        pass


class _Embedding:
    def __init__(self, title: str, folder: Path) -> None:
        self._title, self._folder = title, folder
        self._network: Any = None
        self._device = "cpu"

    def load(self, device: str, progress: Progress | None = None) -> None:
        missing = missing_files(self._folder)
        if missing:
            raise ScorerError(_missing(self._title, missing[0], self._folder))
        if progress is not None:
            progress(f"{self._title}: loading {self._folder.name}.")
        self._preparation = read_preparation(self._folder, self._title)
        network, _ = load_network(self._folder, self._title, embedding=True)
        self._network, self._device = network.to(device), device

    def look(self, image: Image.Image, label: str) -> Any:
        import torch

        if self._network is None:
            raise ScorerError(f"{self._title} was asked for a score before it was loaded.")
        pixels = torch.from_numpy(self._preparation.pixels(image, label))[None].to(self._device)
        with torch.inference_mode():
            return torch.nn.functional.normalize(self._network(pixels)[0].double(), dim=0)

    def alike(self, one: Any, other: Any) -> float:
        return float(one @ other)

    def unload(self) -> None:
        if self._network is not None:
            from lib_optim.scoring.state_dicts import free

            self._network = None
            free(self._device)


class _Lpips:
    def __init__(self, title: str, folder: Path) -> None:
        self._title, self._folder = title, folder
        self._network: Any = None
        self._device = "cpu"

    def load(self, device: str, progress: Progress | None = None) -> None:
        import torch

        from lib_optim.scoring.lpips import EXTRAS, TRUNKS, Lpips, head_names
        from lib_optim.scoring.state_dicts import fill, read_state_dict

        name = _pair(self._folder)
        if not name:
            raise ScorerError(_missing(self._title, LPIPS_FILES["alex"][0], self._folder))
        trunk, head = (self._folder / file for file in LPIPS_FILES[name])
        if progress is not None:
            progress(f"{self._title}: loading {trunk.name}.")
        tensors = {**read_state_dict(trunk, self._title), **head_names(read_state_dict(head, self._title))}
        with torch.device("meta"):
            network = Lpips(TRUNKS[name])
        fill(network, tensors, EXTRAS, self._title, trunk)
        self._network, self._device = network.to(device), device

    def look(self, image: Image.Image, label: str) -> Any:
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
        import torch

        with torch.inference_mode():
            return 1.0 - float(self._network.distance(one, other)[0])

    def unload(self) -> None:
        if self._network is not None:
            from lib_optim.scoring.state_dicts import free

            self._network = None
            free(self._device)


def _pair(folder: Path) -> str:
    found = (name for name, files in LPIPS_FILES.items() if all((folder / file).is_file() for file in files))
    return next(found, "")


def _no_folder(title: str, way: str) -> str:
    what = "a ViT or DINOv2 with its three files" if way == "embedding" else " and ".join(LPIPS_FILES["alex"])
    return f"{title} by {way} needs weights; set the option 'folder' to a folder with {what}."


def _missing(title: str, name: str, folder: Path) -> str:
    return f"{title} needs the file {name}, which is not in {folder}; docs/scorers.md says where to get it."
