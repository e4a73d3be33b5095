"""SHA-256 of checkpoint files, computed once per file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from pathlib import Path

from lib_optim.plan.errors import CheckpointError

__all__ = ["legacy_hash", "sha256_of"]

_CHUNK = 1 << 22
_WRITES = 60.0  # seconds that nobody takes to write a cache
_known: dict[str, tuple[int, int, str]] = {}
_lock = threading.Lock()


def sha256_of(path: Path, cache: Path | None = None) -> str:
    """Return the SHA-256 of the whole file, lower-case hex.

    Args:
        path: The file.
        cache: JSON file that remembers digests by path, size and time of change; made if absent, ignored if broken.
            Within the process they are remembered in any case.

    Raises:
        CheckpointError: The file is missing or cannot be read.
    """
    name = str(path.resolve())
    try:
        status = path.stat()
        stamp = (status.st_size, status.st_mtime_ns)
        with _lock:
            found = _known.get(name) or (_read(cache).get(name) if cache is not None else None)
        if found is None or found[:2] != stamp:
            found = (*stamp, _hash(path))
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read: {error.strerror or error}.") from error
    with _lock:
        _known[name] = found
        if cache is not None:
            _remember(cache, name, found)
    return found[2]


def legacy_hash(path: Path) -> str:
    """Return the short hash that old versions of AUTOMATIC1111 showed: 8 hex digits of 64 KiB at 1 MiB.

    Raises:
        CheckpointError: The file is missing or cannot be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(0x100000)
            return hashlib.sha256(file.read(0x10000)).hexdigest()[:8]
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read: {error.strerror or error}.") from error


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(view[:count])
    return digest.hexdigest()


def _read(cache: Path) -> dict[str, tuple[int, int, str]]:
    try:
        content = json.loads(cache.read_text(encoding="utf-8"))
        return {str(name): (int(size), int(time), str(digest)) for name, (size, time, digest) in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _remember(cache: Path, name: str, found: tuple[int, int, str]) -> None:
    entries = _read(cache)
    if entries.get(name) == found:
        return
    entries[name] = found
    part = cache.with_name(f"{cache.name}.{os.getpid()}.part")  # several programs may write at once
    with contextlib.suppress(OSError):  # without the cache the next start is slower, that is all
        cache.parent.mkdir(parents=True, exist_ok=True)
        _sweep(cache)
        part.write_text(json.dumps(entries, indent=1), encoding="utf-8")
        part.replace(cache)


def _sweep(cache: Path) -> None:
    """Remove what programs left that were killed while they wrote."""
    for left in cache.parent.glob(f"{cache.name}.*.part"):
        if time.time() - left.stat().st_mtime > _WRITES:
            left.unlink()
