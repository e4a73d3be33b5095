"""A LoRA as a model: the base with the LoRA added at full strength, tensor by tensor, never held as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim.merging.lora_file import LoraFile
from lib_optim.merging.sources import Source, all_finite
from lib_optim.plan.adapters import Adapter, Fit, adapter_of, adapter_title, fit_of
from lib_optim.plan.architectures import ARCHITECTURES
from lib_optim.plan.errors import CheckpointError
from lib_optim.plan.header import read_header

if TYPE_CHECKING:
    import torch

__all__ = ["LoraSource", "open_source"]


def open_source(path: Path, config: str, base: Source | None) -> Source:
    """Open a model file: a checkpoint, or a LoRA for `base`.

    Args:
        path: A ``.safetensors`` file.
        config: sd-mecha's name of the architecture.
        base: Model A; None where `path` is model A itself.

    Raises:
        CheckpointError: Missing, truncated, a LoRA as model A, or one that does not fit it.
    """
    adapter = adapter_of(read_header(path))
    if adapter is None:
        return Source(path, config)
    if base is None:
        raise CheckpointError(
            f"{path.name} is a {adapter_title(adapter)}, which cannot be model A; choose a checkpoint as model A, and "
            "the LoRA as one of the others."
        )
    return LoraSource(path, config, adapter, base)


class LoraSource(Source):
    """A LoRA opened for merging; see `Source`, whose names, shapes and keys it takes from the base.

    Its tensors are ``base + delta`` in fp32, made anew for each key; where the LoRA has nothing, they are the base's
    own, as stored.

    Args:
        path: The LoRA.
        config: sd-mecha's name of the architecture.
        adapter: What `path` holds.
        base: Model A. It must stay open as long as this.

    Attributes:
        adapter: What the file holds.
        fit: Where it acts.

    Raises:
        CheckpointError: Nothing of it fits the base, or something has another size there.
    """

    def __init__(self, path: Path, config: str, adapter: Adapter, base: Source) -> None:
        self.adapter, self.base = adapter, base
        self.fit: Fit = fit_of(adapter, {key: base.shape(key) for key in base.names})
        architecture = next(row.id for row in ARCHITECTURES if row.mecha_config == config)
        for problem in self.fit.problems(base.path.name, architecture):
            raise CheckpointError(problem)
        super().__init__(path, config)  # keeps watch on the file; none of its own names is one of the config
        self.names = base.names
        self._keys = {name: key for key, name in base.names.items()}
        self._lora = LoraFile(path, adapter)
        self._last: tuple[str, torch.Tensor] | None = None  # a merge asks several times for the tensor it is at

    def shape(self, key: str) -> tuple[int, ...]:
        """Return the shape of a tensor, which is the base's."""
        return self.base.shape(key)

    def is_floating(self, key: str) -> bool:
        """Tell whether a tensor holds floating-point numbers."""
        return self.base.is_floating(key)

    def view(self, key: str) -> torch.Tensor:
        """Return base plus LoRA in fp32, or the base's tensor as stored where the LoRA has nothing; do not write."""
        import torch

        if key not in self.fit.targets:
            return self.base.view(key)
        last = self._last
        if last is not None and last[0] == key:
            return last[1]
        with torch.inference_mode(False), torch.no_grad():
            delta = self._lora.delta(key, self.shape(key), lambda: self.base.view(key))
            tensor = self.base.view(key).to(torch.float32)
            total = tensor if delta is None else tensor + delta
        self._last = (key, total)
        return total

    def stored(self, name: str) -> torch.Tensor:
        """Return `view` by the tensor's name in the base's file."""
        return self.view(self._keys[name])

    def finite_view(self, key: str) -> torch.Tensor:
        """Return `view`, looked through for NaN and infinity.

        Raises:
            CheckpointError: The base or the LoRA holds some.
        """
        self.base.finite_view(key)
        tensor = self.view(key)
        if key in self.fit.targets and not all_finite(tensor):
            raise CheckpointError(
                f"{self.path.name} gives NaN or infinity in '{key}', so it cannot be merged; use another copy of it, "
                "or leave that block out."
            )
        return tensor

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        self._last = None
        if hasattr(self, "_lora"):
            self._lora.close()
        super().close()
