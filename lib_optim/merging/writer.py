"""Writing a checkpoint file tensor by tensor, whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lib_optim.merging.sources import all_finite
from lib_optim.plan.errors import MergeError
from lib_optim.plan.header import DTYPE_BYTES, TensorInfo

if TYPE_CHECKING:
    import torch

__all__ = ["DTYPE_CODES", "Writer", "write_file"]

DTYPE_CODES: Mapping[str, str] = {"fp16": "F16", "bf16": "BF16", "fp32": "F32"}
"""The dtypes of saved weights, in the words of a safetensors header."""

_TORCH = {"F16": "float16", "BF16": "bfloat16", "F32": "float32"}
_SPARE = 64 << 20  # bytes that a save leaves free on the disk


@dataclass(frozen=True)
class _Place:
    """Where a tensor goes: its dtype in the header's words, its shape, and its bytes after the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Writer:
    """Takes the tensors of one file, in any order. Made by `write_file`."""

    def __init__(
        self, file: BinaryIO, places: Mapping[str, _Place], progress: Callable[[int, int], None] | None
    ) -> None:
        self._file, self._places, self._progress = file, places, progress
        self._start = file.tell()
        self._done: set[str] = set()

    def put(self, name: str, tensor: torch.Tensor) -> None:
        """Write one tensor, cast to the dtype that the file shall hold.

        Raises:
            MergeError: It is too large for that dtype.
        """
        place = self._places[name]
        data = _bytes(name, tensor, place.dtype)
        if len(data) != place.end - place.begin:
            raise MergeError(
                f"'{name}' has the shape {tuple(tensor.shape)} instead of {place.shape}; nothing was saved."
            )
        self._file.seek(self._start + place.begin)
        self._file.write(data)
        self._done.add(name)
        if self._progress is not None:
            self._progress(len(self._done), len(self._places))

    def missing(self) -> list[str]:
        """Return the names that were not put yet, in the order of the file."""
        return [name for name in self._places if name not in self._done]

    def check_complete(self) -> None:
        """Raise `MergeError` if a tensor was not put."""
        missing = self.missing()
        if missing:
            raise MergeError(f"{len(missing)} tensors, such as '{missing[0]}', were not merged; nothing was saved.")


def write_file(
    path: Path,
    tensors: Mapping[str, TensorInfo],
    metadata: Mapping[str, str],
    fill: Callable[[Writer], None],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a safetensors file.

    Args:
        path: The file; its folder must exist. An older file is replaced at the end.
        tensors: What it shall hold.
        metadata: Its text metadata.
        fill: Puts every tensor.
        progress: Called with (tensors done, tensors in all).

    Raises:
        MergeError: Not enough room on the disk (seen before `fill` is called), it cannot be written, or `fill` left a
            tensor out. No file is left behind, an older one stays; likewise where `fill` raises.
    """
    places, size = _layout(tensors)
    header = _header(places, metadata)
    _check_room(path, 8 + len(header) + size)
    # Not ending in .safetensors, so that nobody lists it; the same name each time, so that a killed save's leftover
    # goes with the next one.
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            writer = Writer(file, places, progress)
            fill(writer)
            writer.check_complete()
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):
            raise MergeError(f"{path.name} cannot be written: {error.strerror or error}.") from error
        raise


def _layout(tensors: Mapping[str, TensorInfo]) -> tuple[dict[str, _Place], int]:
    places: dict[str, _Place] = {}
    offset = 0
    # Wide elements first: then every tensor begins at a multiple of its element size.
    for name in sorted(tensors, key=lambda n: -DTYPE_BYTES.get(tensors[n].dtype, 1)):
        info = tensors[name]
        places[name] = _Place(info.dtype, info.shape, offset, offset + info.nbytes)
        offset += info.nbytes
    return places, offset


def _header(places: Mapping[str, _Place], metadata: Mapping[str, str]) -> bytes:
    content: dict[str, object] = {"__metadata__": dict(metadata)}
    for name, place in places.items():
        content[name] = {"dtype": place.dtype, "shape": place.shape, "data_offsets": [place.begin, place.end]}
    raw = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return raw + b" " * (-len(raw) % 8)


def _bytes(name: str, tensor: torch.Tensor, dtype: str) -> bytes | memoryview:
    import torch

    wanted = getattr(torch, _TORCH[dtype]) if dtype in _TORCH else tensor.dtype
    finite = tensor.dtype == wanted or all_finite(tensor)
    tensor = tensor.detach().to(device="cpu", dtype=wanted).contiguous()
    if finite and tensor.dtype.is_floating_point and not all_finite(tensor):
        raise MergeError(
            f"'{name}' does not fit into {str(wanted).removeprefix('torch.')}: some weights are too large; save in "
            "bf16 or fp32."
        )
    if tensor.numel() == 0:  # the marks of v-prediction models; numpy gives no memory for them
        return b""
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def _check_room(path: Path, size: int) -> None:
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError as error:
        raise MergeError(f"{path.parent} cannot be written to: {error.strerror or error}.") from error
    if free < size + _SPARE:
        raise MergeError(
            f"{path.name} needs {size / 1e9:.2f} GB, and the disk of {path.parent} has {free / 1e9:.2f} GB free; make "
            "room or choose another folder."
        )


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows cannot open folders, and renames durably by itself
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
