"""Small valid files of each kind."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

__all__ = ["a_lora", "a_pickle", "a_picture", "a_taste", "short_checkpoint"]

_INFOTEXT = "a fox\nSteps: 2, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64"


def a_lora() -> bytes:
    """Return a LoRA of one module."""
    import torch
    from safetensors.torch import save

    name = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    ends = {"lora_down.weight": torch.ones(4, 32), "lora_up.weight": torch.ones(32, 4), "alpha": torch.tensor(4.0)}
    return bytes(
        save({f"{name}.{end}": tensor for end, tensor in ends.items()}, metadata={"ss_base_model_version": "sd_v1"})
    )


def a_pickle() -> bytes:
    """Return a file of weights as torch writes it."""
    import torch

    file = io.BytesIO()
    torch.save({"state_dict": {"a": torch.ones(3), "b": torch.zeros(2, 2)}}, file)
    return file.getvalue()


def a_picture(kind: str) -> bytes:
    """Return a picture with an infotext, as far as the format has a place for it."""
    from PIL import Image, PngImagePlugin

    image, file = Image.new("RGB", (16, 16), (90, 60, 30)), io.BytesIO()
    more: dict[str, Any] = {}
    if kind == "PNG":
        more["pnginfo"] = PngImagePlugin.PngInfo()
        more["pnginfo"].add_text("parameters", _INFOTEXT, zip=True)
    else:
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + _INFOTEXT.encode("utf-16-be")
        more["exif"] = exif
    image.save(file, kind, **more)
    return file.getvalue()


def a_taste(folder: Path) -> bytes:
    """Return a saved taste."""
    import numpy as np

    from lib_optim.scoring.embeddings import Identity
    from lib_optim.scoring.taste_file import Taste, write_taste
    from lib_optim.scoring.taste_model import TasteModel

    model = TasteModel(np.zeros(4), np.ones((2, 4)), 1.0, np.ones((3, 2)), np.array([1.0, 5.0, 9.0]), 1.0, 1.0, 0.5)
    path = folder / "sample.safetensors"
    write_taste(Taste(model, Identity("own", "0" * 64), 0.5, 1.0, ("x",)), path)
    return path.read_bytes()


def short_checkpoint(path: Path) -> bytes:
    """Return a checkpoint's header with all its tensors, each empty: what says the architecture, in a few kilobytes."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    for name, row in header.items():
        if name != "__metadata__":
            row |= {"shape": [0, *row["shape"][1:]], "data_offsets": [0, 0]}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text
