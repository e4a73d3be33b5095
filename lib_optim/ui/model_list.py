"""The files that a model slot offers: the host's checkpoints, and its LoRAs."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lib_optim.hosts.base import Checkpoint, Host
from lib_optim.plan.adapters import adapter_of
from lib_optim.plan.architectures import ARCHITECTURES, architecture_of
from lib_optim.plan.errors import OptimError
from lib_optim.plan.header import read_header
from lib_optim.plan.storage import quantisation_of

__all__ = ["lora_files", "model_rows"]


_NOTHING = {"architecture": "", "badge": "?", "usable": False, "bytes": 0, "lora": False, "whole": False}


def model_rows(host: Host, refresh: bool = False) -> list[dict[str, Any]]:
    """Return one row per file as JSON, LoRAs last.

    ``architecture`` is empty where it is not known: the headers of a folder of LoRAs, which may hold thousands, are
    read when one is chosen. ``usable`` is false for what cannot be merged here, and ``problem`` says why;
    only what is ``whole`` can be model A.
    """
    able = host.capabilities().architectures
    rows = [
        {"title": checkpoint.title, "path": str(checkpoint.path), **_row(checkpoint.path, able)}
        for checkpoint in host.checkpoints(refresh=refresh)
    ]
    unread = {**_NOTHING, "badge": "LoRA", "usable": True, "problem": "", "lora": True}
    rows += [{"title": lora.title, "path": str(lora.path), **unread} for lora in lora_files(host)]
    return sorted(rows, key=lambda row: row["lora"])


def lora_files(host: Host) -> Iterator[Checkpoint]:
    """Yield the files of the host's LoRA folder that it does not list as checkpoints; titles are paths in it."""
    folder = host.paths().loras
    listed = {checkpoint.path for checkpoint in host.checkpoints()}
    for path in sorted(folder.rglob("*.safetensors")) if folder is not None and folder.is_dir() else ():
        if path not in listed:
            yield Checkpoint(path.relative_to(folder).as_posix() if folder else path.name, path)


def _row(path: Path, able: tuple[str, ...]) -> dict[str, Any]:
    try:
        stat = path.stat()
        architecture, lora, whole = _kind(path, stat.st_size, stat.st_mtime_ns)
    except OptimError as error:
        return {**_NOTHING, "problem": str(error)}
    except OSError as error:
        return {**_NOTHING, "problem": f"{path.name} cannot be read ({error.strerror or error}); refresh the list."}
    row = next(row for row in ARCHITECTURES if row.id == architecture)
    usable = row.block_map is not None and row.id in able
    return {
        "architecture": row.id,
        "badge": f"LoRA · {row.title}" if lora else row.title if whole else f"{row.title}, no text encoder",
        "usable": usable,
        "problem": "" if usable else f"{row.title} cannot be merged here yet.",
        "bytes": stat.st_size,
        "lora": lora,
        "whole": whole,
    }


@functools.lru_cache(maxsize=4096)
def _kind(path: Path, size: int, mtime_ns: int) -> tuple[str, bool, bool]:
    """Return architecture, whether it is a LoRA, and whether it can be model A.

    Keyed by size and time too: a replaced file is read again.
    """
    del size, mtime_ns
    header = read_header(path)
    adapter = adapter_of(header)
    if adapter is not None:
        return adapter.architecture, True, False
    architecture = architecture_of(header, whole=False)
    if quantised := quantisation_of(header):
        raise OptimError(f"{path.name} is quantised ({quantised}) and cannot be merged.")
    return architecture.id, False, any(architecture.component_of(key) == "text_encoder" for key in header.tensors)
