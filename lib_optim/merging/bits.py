"""What `torch.equal` does not tell: 0.0 equals -0.0 there, and yet they are other bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["has_negative_zero", "same_bits"]


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Tell whether two tensors have one dtype, one shape and the same bits."""
    import torch

    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(_words(a), _words(b))


def has_negative_zero(tensor: torch.Tensor) -> bool:
    """Tell whether an element of a floating tensor is -0.0."""
    import torch

    words = _words(tensor)
    # The sign bit alone, which is the least integer of its width: nothing else is as small.
    return words.numel() > 0 and int(torch.amin(words)) == torch.iinfo(words.dtype).min


def _words(tensor: torch.Tensor) -> torch.Tensor:
    import torch

    return tensor.view({1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()])
