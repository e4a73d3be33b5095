"""The published heads: the tensors that their files have, and what they compute, written out in numpy.

Names and shapes were read from the published files of LAION v1, v2, Chad and WD-aes, and for CityAesthetics and
waifu-scorer from their authors' code.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Tensors = dict[str, np.ndarray]


def linear_shapes(width: int) -> dict[str, tuple[int, ...]]:
    return {"weight": (1, width), "bias": (1,)}


def _layers(places: tuple[int, ...], widths: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for place, wide, narrow in zip(places, widths, widths[1:], strict=False):
        shapes[f"layers.{place}.weight"], shapes[f"layers.{place}.bias"] = (narrow, wide), (narrow,)
    return shapes


def mlp_shapes(width: int) -> dict[str, tuple[int, ...]]:
    return _layers((0, 2, 4, 6, 7), (width, 1024, 128, 64, 16, 1))


def relu_shapes(width: int) -> dict[str, tuple[int, ...]]:
    return _layers((0, 3, 6, 9, 11), (width, 1024, 128, 64, 16, 1))


def waifu_shapes(width: int) -> dict[str, tuple[int, ...]]:
    shapes = _layers((0, 4, 8, 12, 16, 18), (width, 2048, 512, 256, 128, 32, 1))
    for place, size in ((2, 2048), (6, 512), (10, 256), (14, 128)):
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"layers.{place}.{part}"] = (size,)
        shapes[f"layers.{place}.num_batches_tracked"] = ()
    return shapes


def wd_aes_shapes(width: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (wide, narrow) in enumerate(((width, 256), (256, 128), (128, 1)), 1):
        shapes[f"fc{i}.weight"], shapes[f"fc{i}.bias"] = (narrow, wide), (narrow,)
    return shapes


def city_shapes(width: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    matrices = {
        "up.0": (1024, width),
        **{f"up.1.long.{i}": (1024, 1024) for i in (0, 2, 4)},
        "down.0": (128, 1024),
        "down.1": (64, 128),
        "down.4": (32, 64),
        "down.5": (1, 32),
    }
    for name, shape in matrices.items():
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]
    return shapes


def _at(t: Tensors, name: str, x: np.ndarray) -> np.ndarray:
    return t[f"{name}.weight"] @ x + t[f"{name}.bias"]


def _leaky(x: np.ndarray, slope: float) -> np.ndarray:
    return np.where(x > 0, x, slope * x)


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x)


def linear(t: Tensors, x: np.ndarray) -> float:
    return float((t["weight"] @ _unit(x) + t["bias"])[0])


def mlp(t: Tensors, x: np.ndarray) -> float:
    x = _unit(x)
    for place in (0, 2, 4, 6, 7):
        x = _at(t, f"layers.{place}", x)
    return float(x[0])


def relu(t: Tensors, x: np.ndarray) -> float:
    x = _unit(x)
    for place in (0, 3, 6, 9):
        x = np.maximum(_at(t, f"layers.{place}", x), 0)
    return float(_at(t, "layers.11", x)[0])


def waifu(t: Tensors, x: np.ndarray) -> float:
    x = _unit(x)
    for place in (0, 4, 8, 12):
        x = np.maximum(_at(t, f"layers.{place}", x), 0)
        norm = f"layers.{place + 2}"
        x = (x - t[f"{norm}.running_mean"]) / np.sqrt(t[f"{norm}.running_var"] + 1e-5)
        x = x * t[f"{norm}.weight"] + t[f"{norm}.bias"]
    x = np.maximum(_at(t, "layers.16", x), 0)
    return float(np.clip(_at(t, "layers.18", x)[0], 0, 10))


def wd_aes(t: Tensors, x: np.ndarray) -> float:
    x = np.maximum(_at(t, "fc1", _unit(x)), 0)
    x = np.maximum(_at(t, "fc2", x), 0)
    return float(1 / (1 + np.exp(-_at(t, "fc3", x)[0])))


def city(t: Tensors, x: np.ndarray) -> float:
    x = _at(t, "up.0", x)
    y = _leaky(_at(t, "up.1.long.0", x), 0.1)
    y = _leaky(_at(t, "up.1.long.2", y), 0.1)
    x = np.maximum(_at(t, "up.1.long.4", y) + x, 0)
    x = _leaky(_at(t, "down.1", _at(t, "down.0", x)), 0.01)
    return float((np.tanh(_at(t, "down.5", _at(t, "down.4", x))[0]) + 1) / 2)


# Scorer -> the open_clip name below it, the tensors of its file, what it computes, and options that choose it.
HEADS: dict[str, tuple[str, Callable[[int], dict[str, tuple[int, ...]]], Callable[[Tensors, np.ndarray], float]]] = {
    "laion1": ("ViT-L-14", linear_shapes, linear),
    "laion2": ("ViT-L-14", mlp_shapes, mlp),
    "chad": ("ViT-L-14", mlp_shapes, mlp),
    "waifu": ("ViT-L-14", waifu_shapes, waifu),
    "cityaesthetics": ("ViT-L-14-336", city_shapes, city),
    "wdaes": ("ViT-B-32", wd_aes_shapes, wd_aes),
}
