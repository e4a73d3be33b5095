"""A LoRA or LyCORIS file, opened: what it adds to each tensor of a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim.merging.lora import bias_delta, weight_delta
from lib_optim.merging.mapped_file import MappedFile
from lib_optim.plan.adapters import Adapter, adapter_of, changes
from lib_optim.plan.errors import CheckpointError
from lib_optim.plan.header import read_header
from lib_optim.plan.lora_names import LoraTarget

if TYPE_CHECKING:
    import torch

__all__ = ["LoraFile"]

Weight = Callable[[], "torch.Tensor"]


class LoraFile:
    """An adapter, mapped into memory.

    Args:
        path: A ``.safetensors`` file.
        adapter: What it holds, if that is known already.

    Raises:
        CheckpointError: Missing, truncated, no adapter, or of a kind that cannot be merged.
    """

    def __init__(self, path: Path, adapter: Adapter | None = None) -> None:
        found = adapter or adapter_of(read_header(path))
        if found is None:
            raise CheckpointError(f"{path.name} is no LoRA; choose another file.")
        self.path, self.adapter = path, found
        self._file = MappedFile(path)

    def delta(self, key: str, shape: tuple[int, ...], weight: Weight) -> torch.Tensor | None:
        """Return what the LoRA adds to a tensor at full strength.

        Args:
            key: sd-mecha's name of the tensor.
            shape: Of the tensor.
            weight: Gives the tensor itself; IA3 scales it.

        Returns:
            fp32, of that shape; None where it adds nothing.

        Raises:
            CheckpointError: The LoRA's tensors do not fit each other or `shape`.
        """
        import torch

        pairs = changes(self.adapter, key)
        if not pairs:
            return None
        if len(pairs) == 1 and pairs[0][1].part is None:
            return self._part(*pairs[0], shape, weight)
        total = torch.zeros(shape, dtype=torch.float32)
        rows = shape[0] // 3
        for module, target in pairs:
            place = total if target.part is None else total[target.part * rows : (target.part + 1) * rows]
            place += self._part(module, target, tuple(place.shape), weight)
        return total

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        self._file.close()

    def _part(self, module: str, target: LoraTarget, shape: tuple[int, ...], weight: Weight) -> torch.Tensor:
        import torch

        def own() -> torch.Tensor:
            tensor = weight().to(torch.float32)
            if target.part is not None:
                tensor = tensor[target.part * shape[0] : (target.part + 1) * shape[0]]
            return tensor.T if target.transposed else tensor

        try:
            names = self.adapter.modules[module]
            ends = {end: self._file.tensor(name).to(torch.float32) for end, name in names.items()}
            delta = bias_delta(ends) if target.bias else weight_delta(ends, own, math.prod(shape))
            return delta.reshape(shape[::-1]).T if target.transposed else delta.reshape(shape)
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise CheckpointError(
                f"{self.path.name} cannot be used at '{module}': {reason}; get a fresh copy, or a LoRA for this kind "
                "of model."
            ) from error
