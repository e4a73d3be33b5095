"""Reading the header of a safetensors file without torch and without trusting it."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_optim.plan.errors import CheckpointError

__all__ = ["DTYPE_BYTES", "CheckpointHeader", "TensorInfo", "read_header"]

DTYPE_BYTES: Mapping[str, int] = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8,
}  # fmt: skip
_MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors format itself


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of the file: `dtype` in safetensors' words ("F16"), `shape`, and its size in bytes."""

    dtype: str
    shape: tuple[int, ...]
    nbytes: int


@dataclass(frozen=True)
class CheckpointHeader:
    """What a safetensors file says about itself.

    Attributes:
        path: The file.
        tensors: Key to dtype and shape, in file order.
        metadata: The free text metadata (``__metadata__``), empty if absent.
        file_bytes: Size of the file.
    """

    path: Path
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]
    file_bytes: int

    @property
    def floating(self) -> tuple[str, ...]:
        """Names of the tensors that hold floating-point numbers, in file order."""
        return tuple(name for name, info in self.tensors.items() if info.dtype.startswith(("F", "BF")))


def read_header(path: Path) -> CheckpointHeader:
    """Read and check the header of a ``.safetensors`` file.

    Returns:
        The header, with every tensor known to lie inside the file.

    Raises:
        CheckpointError: Missing, not safetensors, truncated, or inconsistent, in one sentence.
    """
    try:
        file_bytes = path.stat().st_size
        with path.open("rb") as file:
            prefix = file.read(8)
            if len(prefix) < 8:
                raise CheckpointError(f"{path.name} is empty or truncated; download or copy it again.")
            if prefix[:4] == b"GGUF":
                raise CheckpointError(
                    f"{path.name} is quantised (GGUF), so its numbers cannot be merged; choose the .safetensors file "
                    "of this model in fp16, bf16 or fp32."
                )
            (length,) = struct.unpack("<Q", prefix)
            if length > min(_MAX_HEADER_BYTES, file_bytes - 8):
                raise CheckpointError(
                    f"{path.name} is not a whole safetensors file (its header claims {length} bytes of "
                    f"{file_bytes}); it is truncated, or another format renamed."
                )
            raw = file.read(length)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist; refresh the list and choose again.") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{path.name or path} cannot be read: {reason}.") from error
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path.name} has a broken safetensors header; get a fresh copy.") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path.name} has a broken safetensors header; get a fresh copy.")
    metadata = content.pop("__metadata__", None)
    metadata = {} if metadata is None else metadata
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise CheckpointError(f"{path.name} has broken metadata in its header; get a fresh copy.")
    data_bytes = file_bytes - 8 - length
    if not content:
        raise CheckpointError(f"{path.name} holds no tensors; choose another file.")
    tensors: dict[str, TensorInfo] = {}
    spans: list[tuple[int, int, str]] = []
    for key, entry in content.items():
        begin, tensors[key] = _tensor(path, key, entry, data_bytes)
        spans.append((begin, begin + tensors[key].nbytes, key))
    _check_layout(path, spans, data_bytes)
    return CheckpointHeader(path, tensors, metadata, file_bytes)


def _check_layout(path: Path, spans: list[tuple[int, int, str]], data_bytes: int) -> None:
    """Tensors follow one another without gaps or overlaps, to the end of the file: the format's own rule."""
    position = 0
    for begin, end, key in sorted(spans):
        if begin != position:
            raise CheckpointError(
                f"{path.name} is inconsistent: '{key}' begins at byte {begin} of the data where {position} was "
                "expected; get a fresh copy."
            )
        position = end
    if position != data_bytes:
        raise CheckpointError(
            f"{path.name} holds {data_bytes - position} bytes that belong to no tensor; get a fresh copy."
        )


def _tensor(path: Path, key: str, entry: Any, data_bytes: int) -> tuple[int, TensorInfo]:
    try:
        dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        integers = isinstance(dtype, str) and all(type(n) is int and n >= 0 for n in (*shape, begin, end))
        size = math.prod(shape) * DTYPE_BYTES[dtype] if dtype in DTYPE_BYTES else end - begin
        consistent = integers and begin <= end and size == end - begin
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path.name} describes the tensor '{key}' wrongly; get a fresh copy.") from error
    if not consistent:
        raise CheckpointError(f"{path.name} describes the tensor '{key}' wrongly; get a fresh copy.")
    if end > data_bytes:
        raise CheckpointError(
            f"{path.name} is truncated: '{key}' ends {end - data_bytes} bytes after the end of the file; "
            "download or copy it again."
        )
    return begin, TensorInfo(dtype, shape, size)
