"""Files of weights to tensors, without running anything that the file says, and into a network, completely."""

from __future__ import annotations

import gc
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import ScorerError

if TYPE_CHECKING:
    import torch

__all__ = ["MoreThanTensorsError", "fill", "free", "read_state_dict"]


class MoreThanTensorsError(ScorerError):
    """A pickle that weights-only loading refuses, because it holds more than tensors or is damaged."""


def read_state_dict(path: Path, title: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a ``.safetensors``, ``.pt``, ``.pth`` or ``.bin`` file, on the CPU.

    Pickled files are read with ``weights_only=True``: they can hold tensors and nothing that runs. The wrappers
    ``state_dict``, ``model`` and the prefix ``module.`` are taken off.

    Raises:
        MoreThanTensorsError: See there.
        ScorerError: It cannot be read otherwise, or holds something else than named tensors.
    """
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        data: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        kind = MoreThanTensorsError if isinstance(error, pickle.UnpicklingError) else ScorerError
        raise kind(f"{title}: {path} can't be read as a file of weights ({_first_line(error)}).") from error
    except Exception as error:
        # safetensors raises its own SafetensorError, which exists once safetensors was imported.
        raise ScorerError(f"{title}: {path} is damaged or no file of weights ({_first_line(error)}).") from error
    for wrapper in ("state_dict", "model"):
        if isinstance(data, Mapping) and isinstance(data.get(wrapper), Mapping):
            data = data[wrapper]
    if not isinstance(data, Mapping) or not data or not all(isinstance(t, torch.Tensor) for t in data.values()):
        raise ScorerError(f"{title}: {path} holds no plain set of named tensors; it is the file of something else.")
    return {str(name).removeprefix("module."): tensor for name, tensor in data.items()}


def fill(
    network: torch.nn.Module, tensors: Mapping[str, torch.Tensor], extras: str, title: str, path: Path
) -> torch.nn.Module:
    """Put `tensors` into `network`, which may be on the meta device, as float32, in memory of their own.

    What safetensors reads is the file itself, mapped into memory. Were it overwritten in place while a network still
    computes with it, the whole program would be killed.

    Args:
        network: Its parameters and persistent buffers must all be in `tensors`, in the same shapes.
        tensors: By name.
        extras: Regular expression for names that `tensors` may have beyond the network's own; all of the name.
        title: Of the scorer, for messages.
        path: Where `tensors` come from, for messages.

    Returns:
        `network`, in evaluation mode, without gradients.

    Raises:
        ScorerError: A tensor is missing, too many, or of another shape; names the first.
    """
    import torch

    wanted = network.state_dict()
    missing = [name for name in wanted if name not in tensors]
    unknown = [name for name in tensors if name not in wanted and not re.fullmatch(extras, name)]
    shapes = [name for name in wanted if name in tensors and tensors[name].shape != wanted[name].shape]
    for names, what in ((missing, "lacks"), (unknown, "has the unknown"), (shapes, "has another shape for")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ScorerError(f"{title}: {path.name} {what} '{names[0]}'{more}; it is the file of another model.")
    cast = {
        name: tensors[name].to(torch.float32 if tensors[name].is_floating_point() else tensors[name].dtype, copy=True)
        for name in wanted
    }
    broken = next((name for name, t in cast.items() if t.is_floating_point() and not torch.isfinite(t).all()), None)
    if broken is not None:
        raise ScorerError(f"{title}: '{broken}' in {path.name} is not finite; the file is damaged, get it again.")
    network.load_state_dict(cast, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def free(device: str) -> None:
    """Give memory back after the last reference to a network on `device` is gone."""
    gc.collect()
    if device.startswith("cuda"):
        import torch

        torch.cuda.empty_cache()


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")[:200]
