"""A model's folder as model hubs have it: ``config.json``, ``preprocessor_config.json`` and the weights beside them.

The first says the shape of the network, the second how pictures are prepared. Nothing of them is guessed: what is
missing or unknown is refused, because a wrong guess would give scores all the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.pixels import rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lib_optim.scoring.vit import Sizes, VisionTransformer

__all__ = ["CONFIG", "PREPARATION", "WEIGHTS", "Preparation", "load_network", "missing_files", "read_preparation"]

CONFIG, PREPARATION = "config.json", "preprocessor_config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_FAMILIES = ("vit", "beit", "dinov2")
_MOST_SIDE = 2048


@dataclass(frozen=True)
class Preparation:
    """How pictures become the network's input.

    Attributes:
        shorter: Side of the shorter edge after resizing, the shape kept; None: both sides become `side`.
        side: Of the square input, in pixels; the middle is cut out where the shape was kept.
        resample: Pillow's number of the interpolation.
        factor: Pixels from 0 to 255 are multiplied by it.
        mean, std: Of each channel; taken off and divided by.
    """

    shorter: int | None
    side: int
    resample: int
    factor: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def pixels(self, image: Image.Image, label: str) -> NDArray[np.float32]:
        """Return `image` prepared, float32, shape (3, side, side).

        Raises:
            ScorerError: It has no pixels, or is too thin.
        """
        picture, side = rgb(image, label), self.side
        method = Image.Resampling(self.resample)
        if self.shorter is None:
            picture = picture.resize((side, side), method) if picture.size != (side, side) else picture
        else:
            short, long = min(picture.size), max(picture.size)
            if long > 64 * short:
                raise ScorerError(f"{label} is {image.width} × {image.height}, too thin for a square crop.")
            longer = int(self.shorter * long / short)
            size = (self.shorter, longer) if picture.width <= picture.height else (longer, self.shorter)
            picture = picture.resize(size, method) if picture.size != size else picture
            left, top = (picture.width - side) // 2, (picture.height - side) // 2
            picture = picture.crop((left, top, left + side, top + side))
        values = np.asarray(picture, dtype=np.uint8).astype(np.float32) * np.float32(self.factor)
        values = (values - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(values.transpose(2, 0, 1))


def missing_files(folder: Path) -> list[str]:
    """Return the names of the files that a model's folder lacks."""
    missing = [name for name in (CONFIG, PREPARATION) if not (folder / name).is_file()]
    return missing if _weights(folder) is not None else [*missing, WEIGHTS[0]]


def load_network(folder: Path, title: str, embedding: bool = False) -> tuple[VisionTransformer, tuple[str, ...]]:
    """Return the network in `folder`, on the CPU, and the names of its classes.

    Args:
        folder: With the files.
        title: Of the scorer, for messages.
        embedding: Leave a classifier out.

    Raises:
        ScorerError: A file is missing, damaged, or of another kind of network.
    """
    import torch

    from lib_optim.scoring.state_dicts import fill, read_state_dict
    from lib_optim.scoring.vit import EXTRAS, VisionTransformer, own_names

    path = _weights(folder)
    if path is None:
        raise ScorerError(f"{title} needs {' or '.join(WEIGHTS)} in {folder}; put it there.")
    config = _json(folder / CONFIG, title)
    labels = () if embedding else _labels(config, title, folder)
    with torch.device("meta"):
        network = VisionTransformer(_sizes(config, len(labels), title, folder))
    tensors = own_names(read_state_dict(path, title))
    extras = EXTRAS + (r"|classifier\..*" if embedding else "")
    fill(network, tensors, extras, title, path)
    return network, labels


def read_preparation(folder: Path, title: str) -> Preparation:
    """Return what ``preprocessor_config.json`` says.

    Raises:
        ScorerError: It is missing, or says something that Optim does not know.
    """
    path = folder / PREPARATION
    data = _json(path, title)
    try:
        return _prepared(data)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"it does not say {error}" if isinstance(error, KeyError) else str(error)
        raise ScorerError(f"{title}: {path} can't be used, because {reason}; get it again with its model.") from error


def _prepared(data: Mapping[str, Any]) -> Preparation:
    if not (data.get("do_resize", True) and data.get("do_rescale", True) and data["do_normalize"]):
        raise ValueError("a picture is not resized, rescaled and normalised")
    size = data["size"]
    cropped = bool(data.get("do_center_crop", False))
    side = _side(data["crop_size"] if cropped else size)
    keeps = isinstance(size, Mapping) and set(size) == {"shortest_edge"}
    if cropped and not keeps and _side(size) != side:
        raise ValueError("a picture that lost its shape is cropped")
    shorter = int(size["shortest_edge"]) if keeps else None
    if keeps and (not cropped or shorter is None or shorter < side):
        raise ValueError("pictures that keep their shape are not cropped to a square")
    mean, std = (tuple(float(v) for v in data[name]) for name in ("image_mean", "image_std"))
    if len(mean) != 3 or len(std) != 3 or not all(v > 0 for v in std):
        raise ValueError("mean and deviation are not of three channels")
    method = Image.Resampling(int(data["resample"]))
    return Preparation(shorter, side, int(method), float(data.get("rescale_factor", 1 / 255)), mean, std)


def _weights(folder: Path) -> Path | None:
    return next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)


def _json(path: Path, title: str) -> Mapping[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ScorerError(f"{title} needs {path.name} of its model in {path.parent}; put it there.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ScorerError(f"{title}: {path} can't be read as JSON; get it again with its model.") from error
    if not isinstance(data, Mapping):
        raise ScorerError(f"{title}: {path} is no JSON object; get it again with its model.")
    return data


def _side(size: Any) -> int:
    if isinstance(size, Mapping):
        if "shortest_edge" in size:
            size = size["shortest_edge"]
        elif size["height"] != size["width"]:
            raise ValueError(f"its input is {size['width']} × {size['height']}, which is no square")
        else:
            size = size["height"]
    if not 1 <= int(size) <= _MOST_SIDE:
        raise ValueError(f"an input of {size} pixels is out of range")
    return int(size)


def _labels(config: Mapping[str, Any], title: str, folder: Path) -> tuple[str, ...]:
    names = config.get("id2label")
    if not isinstance(names, Mapping) or sorted(names) != sorted(str(i) for i in range(len(names))) or len(names) < 2:
        raise ScorerError(f"{title}: {folder / CONFIG} names no classes (id2label); it is not that of a classifier.")
    return tuple(str(names[str(i)]) for i in range(len(names)))


def _sizes(config: Mapping[str, Any], classes: int, title: str, folder: Path) -> Sizes:
    from lib_optim.scoring.vit import Sizes

    family = config.get("model_type")
    if family not in _FAMILIES:
        raise ScorerError(
            f"{title}: {folder / CONFIG} is of a network of the type {family}; Optim knows {', '.join(_FAMILIES)}."
        )
    unknown = {
        "hidden_act": config.get("hidden_act", "gelu") != "gelu",
        "num_channels": config.get("num_channels", 3) != 3,
        "use_swiglu_ffn": bool(config.get("use_swiglu_ffn", False)),
        "use_shared_relative_position_bias": bool(config.get("use_shared_relative_position_bias", False)),
        "a classifier on DINOv2": family == "dinov2" and classes > 0,
    }
    for name, found in unknown.items():
        if found:
            raise ScorerError(f"{title}: {folder / CONFIG} asks for {name}, which Optim does not know.")
    beit = family == "beit"
    try:
        width = int(config["hidden_size"])
        ratio = int(width * config["mlp_ratio"]) if family == "dinov2" else int(config["intermediate_size"])
        return Sizes(
            image=int(config["image_size"]), patch=int(config["patch_size"]), width=width,
            depth=int(config["num_hidden_layers"]), heads=int(config["num_attention_heads"]), hidden=ratio,
            eps=float(config["layer_norm_eps"]), classes=classes,
            positions=bool(config.get("use_absolute_position_embeddings", False)) if beit else True,
            query_bias=True if beit else bool(config.get("qkv_bias", True)),
            key_bias=False if beit else bool(config.get("qkv_bias", True)),
            value_bias=True if beit else bool(config.get("qkv_bias", True)),
            scales=float(config["layer_scale_init_value"]) > 0 if beit else family == "dinov2",
            relative=beit and bool(config["use_relative_position_bias"]),
            mean=beit and bool(config["use_mean_pooling"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        reason = f"does not say {error}" if isinstance(error, KeyError) else f"can't be used ({error})"
        raise ScorerError(f"{title}: {folder / CONFIG} {reason}; get it again with its model.") from error
