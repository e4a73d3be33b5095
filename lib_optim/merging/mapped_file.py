"""A safetensors file mapped into memory, which can be let go of and taken up again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import CheckpointError

if TYPE_CHECKING:
    import torch

__all__ = ["MappedFile"]


class MappedFile:
    """Hands out the tensors of a file; they show the file's own pages and must never be written to.

    Args:
        path: A ``.safetensors`` file; opened at once, so that what cannot be read is known early.

    Raises:
        CheckpointError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Any = None
        self._opened()

    def tensor(self, name: str) -> torch.Tensor:
        """Return a tensor, on the CPU; opens the file again if it was closed.

        Raises:
            CheckpointError: It cannot be read.
        """
        file = self._opened()
        try:
            tensor: torch.Tensor = file.get_tensor(name)
        except Exception as error:
            raise CheckpointError(f"{self.path.name} cannot be read at '{name}': {error}.") from error
        return tensor

    def close(self) -> None:
        """Let go of the file (Windows locks it while it is mapped). Idempotent."""
        if self._file is not None:
            self._file.__exit__(None, None, None)
            self._file = None

    def _opened(self) -> Any:
        if self._file is None:
            from safetensors import safe_open

            try:
                self._file = safe_open(str(self.path), framework="pt", device="cpu").__enter__()
            except Exception as error:  # the library's own error type is not public in every release
                raise CheckpointError(f"{self.path.name} cannot be opened: {error}.") from error
        return self._file
