"""Saving a merge as a checkpoint: streamed, whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from lib_optim.merging.hashing import legacy_hash, sha256_of
from lib_optim.merging.merger import Merger
from lib_optim.merging.sources import all_finite
from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import Interrupted, MergeError
from lib_optim.plan.header import DTYPE_BYTES

if TYPE_CHECKING:
    import torch

__all__ = ["save_checkpoint"]

_DTYPES = {"fp16": ("F16", "float16"), "bf16": ("BF16", "bfloat16"), "fp32": ("F32", "float32")}
_SPARE = 64 << 20  # bytes that a save leaves free on the disk


@dataclass(frozen=True)
class _Place:
    """Where a tensor goes: its dtype in the header's words, its shape, and its bytes after the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def save_checkpoint(
    merger: Merger,
    values: Mapping[str, Value],
    path: Path,
    dtype: Literal["fp16", "bf16", "fp32"],
    metadata: Mapping[str, str],
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Path:
    """Save the merge at one point of the space.

    The file holds every tensor of the base's file: merged ones from the merge, all others from the base. Floating
    tensors of the UNet, the text encoder and the VAE are stored in `dtype`; the rest (noise schedule, EMA copies,
    position ids) stays as it is in the base, since rounding it would change images. Memory: a few tensors.

    Args:
        merger: Open on the models.
        values: One value per parameter of the space.
        path: The file to write, ``.safetensors``; its folder must exist. An older file is replaced at the end.
        dtype: How the weights are stored.
        metadata: Added to the file's metadata, beside ``sd_merge_recipe`` and ``sd_merge_models`` (as AUTOMATIC1111
            writes them), ``optim.recipe`` (sd-mecha's text) and ``format``.
        progress: Called with (tensors done, tensors in all).
        cancelled: Asked before every tensor.

    Returns:
        `path`.

    Raises:
        MergeError: Not enough room on the disk (seen before anything is computed), it cannot be written, or a weight
            is not finite or too large for `dtype`. No file is left behind, an older one stays.
        Interrupted: `cancelled` said so; likewise.
    """
    if path.suffix != ".safetensors":
        raise MergeError(f"'{path.name}' does not end in .safetensors; give the checkpoint such a name.")
    if any(path.exists() and path.samefile(model) for model in merger.models):
        raise MergeError(f"{path.name} is one of the models of this merge; save under another name.")
    places, size = _layout(merger, dtype)
    header = _header(places, {**_metadata(merger, values, dtype), **metadata})
    _check_room(path, 8 + len(header) + size)
    # Not ending in .safetensors, so that nobody lists it; the same name each time, so that a killed save's leftover
    # goes with the next one.
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            _write_tensors(merger, values, file, places, progress, cancelled)
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
    return path


def _layout(merger: Merger, dtype: str) -> tuple[dict[str, _Place], int]:
    stored = merger.base_header.tensors
    kinds = {}
    for name, info in stored.items():
        weights = info.dtype.startswith(("F", "BF")) and merger.architecture.component_of(name) is not None
        kinds[name] = _DTYPES[dtype][0] if weights else info.dtype
    places: dict[str, _Place] = {}
    offset = 0
    # Wide elements first: then every tensor begins at a multiple of its element size.
    for name in sorted(stored, key=lambda n: -DTYPE_BYTES.get(kinds[n], 1)):
        info = stored[name]
        size = info.nbytes
        if kinds[name] != info.dtype:
            size = size // DTYPE_BYTES[info.dtype] * DTYPE_BYTES[kinds[name]]
        places[name] = _Place(kinds[name], info.shape, offset, offset + size)
        offset += size
    return places, offset


def _header(places: Mapping[str, _Place], metadata: Mapping[str, str]) -> bytes:
    content: dict[str, object] = {"__metadata__": dict(metadata)}
    for name, place in places.items():
        content[name] = {"dtype": place.dtype, "shape": place.shape, "data_offsets": [place.begin, place.end]}
    raw = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return raw + b" " * (-len(raw) % 8)


def _write_tensors(
    merger: Merger,
    values: Mapping[str, Value],
    file: BinaryIO,
    places: Mapping[str, _Place],
    progress: Callable[[int, int], None] | None,
    cancelled: Callable[[], bool] | None,
) -> None:
    start, done = file.tell(), 0

    def put(name: str, tensor: torch.Tensor) -> None:
        nonlocal done
        place = places[name]
        file.seek(start + place.begin)
        file.write(_bytes(name, tensor, place.dtype))
        done += 1
        if progress is not None:
            progress(done, len(places))

    merged = set(merger.keys)
    for name, tensor in merger.tensors(values, cancelled):
        put(name, tensor)
        merged.discard(name)
    if merged:
        raise MergeError(f"{len(merged)} tensors, such as '{min(merged)}', were not merged; nothing was saved.")
    for name in places.keys() - set(merger.keys):
        if cancelled is not None and cancelled():
            raise Interrupted("Saving was cancelled.")
        put(name, merger.base_tensor(name))


def _bytes(name: str, tensor: torch.Tensor, dtype: str) -> memoryview:
    import torch

    wanted = next((getattr(torch, word) for code, word in _DTYPES.values() if code == dtype), tensor.dtype)
    finite = tensor.dtype == wanted or all_finite(tensor)
    tensor = tensor.detach().to(device="cpu", dtype=wanted).contiguous()
    if finite and tensor.dtype.is_floating_point and not all_finite(tensor):
        raise MergeError(
            f"'{name}' does not fit into {str(wanted).removeprefix('torch.')}: some weights are too large; save in "
            "bf16 or fp32."
        )
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


def _metadata(merger: Merger, values: Mapping[str, Value], dtype: str) -> dict[str, str]:
    recipe = merger.recipe(values)
    digests = [sha256_of(path) for path in merger.models]
    roles = ("primary", "secondary", "tertiary")
    summary = {
        "type": "optim",
        **{f"{role}_model_hash": digest for role, digest in zip(roles, digests, strict=False)},
        "interp_method": merger.method.title,
        "multiplier": None,
        "values": merger.space.assign(values),
        "recipe": recipe.digest,
        "seed": merger.seed if merger.method.stochastic else None,
        "save_as_half": dtype == "fp16",
        "dtype": dtype,
    }
    models: dict[str, object] = {}
    for path, digest, header in zip(merger.models, digests, merger.headers, strict=True):
        with contextlib.suppress(ValueError, TypeError):
            models.update(json.loads(header.metadata.get("sd_merge_models", "{}")))  # its own ancestors
        models[digest] = {
            "name": path.name,
            "legacy_hash": legacy_hash(path),
            "sd_merge_recipe": _json_or_none(header.metadata.get("sd_merge_recipe")),
        }
    return {
        "format": "pt",
        "sd_merge_recipe": json.dumps(summary, ensure_ascii=False),
        "sd_merge_models": json.dumps(models, ensure_ascii=False),
        "optim.recipe": recipe.text,
    }


def _json_or_none(text: str | None) -> object:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows cannot open folders, and renames durably by itself
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
