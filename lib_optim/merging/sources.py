"""Checkpoint files as read-only tensors: mapped into memory once per run, never changed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.merging.mapped_file import MappedFile
from lib_optim.merging.mecha import sd_mecha
from lib_optim.plan.errors import CheckpointError
from lib_optim.plan.header import read_header

if TYPE_CHECKING:
    import torch

__all__ = ["Source", "all_finite", "largest_of"]


class Source:
    """One checkpoint, opened for merging.

    Keys are sd-mecha's (canonical) names; files that use an older name for a tensor are understood.

    Args:
        path: A ``.safetensors`` file.
        config: sd-mecha's name of the architecture.

    Raises:
        CheckpointError: Missing, truncated or no safetensors file.
    """

    def __init__(self, path: Path, config: str) -> None:
        self.path = path
        self.header = read_header(path)
        aliases = {alias: key for key, names in _config(config).aliases().items() for alias in names}
        known = _config(config).keys()
        self.names: dict[str, str] = {}
        for name in self.header.tensors:
            key = aliases.get(name, name)
            if key in known:
                self.names.setdefault(key, name)
        self._stamp = self._look()
        self._views: dict[str, torch.Tensor] = {}  # by name in the file
        self._finite: set[str] = set()
        self._file = MappedFile(path)

    def shape(self, key: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return self.header.tensors[self.names[key]].shape

    def is_floating(self, key: str) -> bool:
        """Tell whether a tensor holds floating-point numbers."""
        return self.header.tensors[self.names[key]].dtype.startswith(("F", "BF"))

    def view(self, key: str) -> torch.Tensor:
        """Return a tensor as stored, on the CPU. It shows the file's own pages: never write to it."""
        return self.stored(self.names[key])

    def stored(self, name: str) -> torch.Tensor:
        """Return `view` of a tensor by its name in the file."""
        tensor = self._views.get(name)
        if tensor is None:
            tensor = self._views[name] = self._file.tensor(name)
        return tensor

    def finite_view(self, key: str) -> torch.Tensor:
        """Return `view`, looked through once for NaN and infinity.

        Raises:
            CheckpointError: It holds some.
        """
        tensor = self.view(key)
        if key not in self._finite:
            if not all_finite(tensor):
                raise CheckpointError(
                    f"{self.path.name} holds NaN or infinity in '{key}', so it cannot be merged; use another copy of "
                    "the model, or leave that block out."
                )
            self._finite.add(key)
        return tensor

    def check_unchanged(self) -> None:
        """Raise `CheckpointError` if the file was replaced or written since it was opened."""
        if self._look() != self._stamp:
            raise CheckpointError(f"{self.path.name} was changed while it was in use; start the run again.")

    def close(self) -> None:
        """Let go of the file; it is opened again when a tensor is asked for. Idempotent."""
        self._views.clear()
        self._file.close()

    def _look(self) -> tuple[int, int]:
        try:
            status = self.path.stat()
        except OSError as error:
            raise CheckpointError(f"{self.path.name} cannot be read: {error.strerror or error}.") from error
        return status.st_size, status.st_mtime_ns


def largest_of(tensor: torch.Tensor) -> float:
    """Return the magnitude of the largest element, infinity if one is infinite or NaN; no temporary of its size."""
    import torch

    if tensor.numel() == 0 or not tensor.dtype.is_floating_point:
        return 0.0
    if tensor.element_size() == 1:
        tensor = tensor.to(torch.float16)  # 8-bit floats have no arithmetic
    low, high = (end.item() for end in torch.aminmax(tensor))  # both are NaN if anything is
    return max(abs(low), abs(high)) if math.isfinite(low) and math.isfinite(high) else math.inf


def all_finite(tensor: torch.Tensor) -> bool:
    """Tell whether `tensor` holds neither NaN nor infinity, without a temporary of its size where that is possible."""
    return math.isfinite(largest_of(tensor))


def _config(name: str) -> Any:
    return sd_mecha().extensions.model_configs.resolve(name)
