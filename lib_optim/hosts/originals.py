"""The bits that a model had before the first write, so that it gets them back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.hosts.digest import tensor_digest
from lib_optim.plan.errors import HostChanged, HostError

if TYPE_CHECKING:
    import torch

__all__ = ["Originals", "same_bits"]


class Originals:
    """Original values of live tensors, by checkpoint key.

    `watch` notes one number per key and keeps no tensor. `capture`, called before a key's first write, keeps either
    nothing more (the live value is the file's value cast to the live dtype, compared bit for bit) or a copy in RAM.

    Args:
        read: Returns a copy of a key's live value, in checkpoint layout and the live dtype.
        digest: Returns the digest of a key's live value.
        file: The base's safetensors file.
    """

    def __init__(self, read: Callable[[str], torch.Tensor], digest: Callable[[str], int], file: Path) -> None:
        self._read = read
        self._digest = digest
        self._path = file
        self._file: Any = None
        self._opened: AbstractContextManager[Any] | None = None
        self._file_keys: frozenset[str] = frozenset()
        self._digests: dict[str, int] = {}
        self._copies: dict[str, torch.Tensor] = {}
        self._in_file: dict[str, torch.dtype] = {}
        self._views: dict[str, torch.Tensor] = {}  # of the file's pages

    def watch(self, keys: Iterable[str]) -> None:
        """Note the digests of the live values of `keys` as the original ones."""
        for key in keys:
            self._digests[key] = self._digest(key)

    def copied_bytes(self) -> int:
        """Return how many bytes of originals are held in RAM."""
        return sum(copy.numel() * copy.element_size() for copy in self._copies.values())

    def capture(self, key: str) -> None:
        """Make sure that the original of `key` can be brought back. Call before its first write.

        Raises:
            HostChanged: The live value is no longer the original one.
        """
        if key in self._copies or key in self._in_file:
            return
        live = self._read(key)
        if key in self._digests and tensor_digest(live) != self._digests[key]:
            raise _changed(key)
        self._digests.setdefault(key, tensor_digest(live))
        if self._file_has(key, live):
            self._in_file[key] = live.dtype
        else:
            self._copies[key] = live.cpu()

    def is_file(self, key: str) -> bool:
        """Tell whether the original of a captured key is what the file holds, cast to the live dtype."""
        return key in self._in_file

    def value(self, key: str) -> torch.Tensor:
        """Return the original of a captured key, in checkpoint layout; its cast to the live dtype has the bits."""
        if key in self._copies:
            return self._copies[key]
        return self._tensor(key).to(self._in_file[key])

    def check(self, keys: Iterable[str]) -> None:
        """Compare live values with the originals by digest.

        Raises:
            HostChanged: One differs; names it.
        """
        for key in keys:
            if key in self._digests and self._digest(key) != self._digests[key]:
                raise _changed(key)

    def close(self) -> None:
        """Let go of copies and the file. Idempotent."""
        if self._opened is not None:
            self._opened.__exit__(None, None, None)
        self._file = self._opened = None
        self._digests, self._copies, self._in_file, self._views = {}, {}, {}, {}

    def _file_has(self, key: str, live: torch.Tensor) -> bool:
        self._open()
        if key not in self._file_keys:
            return False
        stored = self._tensor(key)
        return stored.shape == live.shape and same_bits(stored.to(live.dtype), live.cpu())

    def _tensor(self, key: str) -> torch.Tensor:
        self._open()
        tensor = self._views.get(key)
        if tensor is None:  # each asking leaves some bytes behind in safetensors, in every trial for every key
            tensor = self._views[key] = self._file.get_tensor(key)
        return tensor

    def _open(self) -> None:
        if self._file is not None:
            return
        from safetensors import safe_open

        try:
            self._opened = safe_open(str(self._path), framework="pt", device="cpu")
            self._file = self._opened.__enter__()
        except Exception as error:
            self._opened = None
            raise HostError(
                f"{self._path.name} cannot be read ({error}); put the file back and start again."
            ) from error
        self._file_keys = frozenset(self._file.keys())


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Tell whether two tensors of one dtype and shape have the same bits (so NaN equals itself, 0.0 not -0.0)."""
    import torch

    words = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[a.element_size()]
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(_flat(a).view(words), _flat(b).view(words))


def _flat(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().contiguous().reshape(-1)


def _changed(key: str) -> HostChanged:
    return HostChanged(
        f"Somebody else changed the loaded model ({key} is not what it was when the run began); reload the checkpoint, "
        "then resume the run."
    )
