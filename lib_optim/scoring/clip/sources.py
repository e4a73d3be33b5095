"""Which CLIP a scorer stands on, and where its weights are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.base import OptionRow, Progress, WeightFile
from lib_optim.scoring.weights import find, missing_sentence, obtain, weights_folder

__all__ = [
    "DOWNLOAD",
    "FOLDER",
    "OPENAI_B16",
    "OPENAI_B32",
    "OPENAI_L14",
    "OPENAI_L14_336",
    "ClipSource",
    "Published",
    "chosen_file",
    "file_problems",
    "locate",
]

FOLDER = OptionRow("folder", "Folder with the weight files (empty: the scorers' models folder)", "path", "")
DOWNLOAD = OptionRow("download", "Download missing weights", "bool", False)
_HUB = "https://huggingface.co/openai"


@dataclass(frozen=True)
class Published:
    """Published CLIP weights. `model` is open_clip's name, with ``-quickgelu`` where they were trained so."""

    model: str
    file: WeightFile


@dataclass(frozen=True)
class ClipSource:
    """A CLIP that can be loaded.

    Attributes:
        model: open_clip's name of the architecture; see `openclip.architecture`.
        file: A file; or a row that is looked for in `folder`, and downloaded to it if that is allowed.
        folder: See `file`.
        download: Whether a missing row may be downloaded.
    """

    model: str
    file: Path | WeightFile
    folder: Path
    download: bool = False


# Copies in transformers' layout, which need no TorchScript. The SHA-256 of the first is the one that ten public lists
# of downloads agree on, its size too; of the others none was found, and a download is held against the server's.
OPENAI_L14 = Published(
    "ViT-L-14-quickgelu",
    WeightFile(
        "clip-vit-large-patch14.safetensors",
        f"{_HUB}/clip-vit-large-patch14/resolve/32bd64288804d66eefd0ccbe215aa642df71cc41/model.safetensors",
        1_710_540_580,
        "a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb",
        ("clip-vit-large-patch14.bin", "ViT-L-14-openai.safetensors"),
    ),
)
OPENAI_L14_336 = Published(
    "ViT-L-14-336-quickgelu",
    WeightFile(
        "clip-vit-large-patch14-336.bin",
        f"{_HUB}/clip-vit-large-patch14-336/resolve/main/pytorch_model.bin",
        1_712_000_000,
        "",
        ("clip-vit-large-patch14-336.safetensors", "ViT-L-14-336-openai.safetensors"),
    ),
)
OPENAI_B32 = Published(
    "ViT-B-32-quickgelu",
    WeightFile(
        "clip-vit-base-patch32.bin",
        f"{_HUB}/clip-vit-base-patch32/resolve/main/pytorch_model.bin",
        605_000_000,
        "",
        ("clip-vit-base-patch32.safetensors", "ViT-B-32-openai.safetensors"),
    ),
)
OPENAI_B16 = Published(
    "ViT-B-16-quickgelu",
    WeightFile(
        "clip-vit-base-patch16.bin",
        f"{_HUB}/clip-vit-base-patch16/resolve/main/pytorch_model.bin",
        599_000_000,
        "",
        ("clip-vit-base-patch16.safetensors", "ViT-B-16-openai.safetensors"),
    ),
)


def chosen_file(option: str, options: Mapping[str, Any], published: WeightFile) -> Path | WeightFile:
    """Return the file that the option names, or the published row if it names none."""
    given = str(options.get(option, "") or "").strip()
    return Path(given) if given else published


def locate(title: str, file: Path | WeightFile, folder: Path, download: bool, progress: Progress | None = None) -> Path:
    """Return where `file` is; downloads a row if that is allowed.

    Raises:
        ScorerError: It is not there, and cannot or may not be had.
    """
    if isinstance(file, WeightFile):
        return obtain(title, file, folder, download, progress)
    if file.is_file():
        return file
    raise ScorerError(f"{title}: the weights file {file} does not exist; check the path.")


def file_problems(
    title: str,
    published: Mapping[str, tuple[WeightFile, str]],
    options: Mapping[str, Any],
    models_dir: Path,
) -> list[tuple[str, str]]:
    """Return a sentence per missing file that may not be downloaded.

    Args:
        title: Of the scorer.
        published: Option that names a file of one's own -> the published row, and its folder in `models_dir`.
        options: The scorer's.
        models_dir: Where scorers' weights are kept.
    """
    if options.get("download", False):
        return []
    found = []
    for option, (row, name) in published.items():
        file = chosen_file(option, options, row)
        folder = weights_folder(name, options, models_dir)
        if isinstance(file, WeightFile) and find(file, folder) is None:
            found.append((option, missing_sentence(title, file, folder)))
    return found
