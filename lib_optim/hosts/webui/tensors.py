"""Finding a module's parameter by its dotted name, afresh each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import HostChanged

if TYPE_CHECKING:
    import torch

__all__ = ["is_alive", "parameter"]


def parameter(root: Any, name: str) -> torch.Tensor:
    """Return the parameter `name` of the module `root`.

    Raises:
        HostChanged: There is none of that name any more.
    """
    node = root
    *path, leaf = name.split(".")
    for part in path:
        node = node._modules.get(part) if node is not None else None
    tensor: torch.Tensor | None = node._parameters.get(leaf) if node is not None else None
    if tensor is None:
        raise HostChanged(f"The loaded model has no tensor {name} any more; it was rebuilt, so resume the run.")
    return tensor


def is_alive(root: Any) -> bool:
    """Tell whether the module `root` still holds data (hosts move models that they drop to the device `meta`)."""
    first = next(iter(root.parameters()), None)
    return first is not None and not first.is_meta
