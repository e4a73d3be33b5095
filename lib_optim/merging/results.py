"""What a merge method gave: looked at once, then handed on, at best straight into the memory that it is for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from lib_optim.merging.sinks import PlacedSink
from lib_optim.merging.sources import largest_of
from lib_optim.plan.errors import MergeError

if TYPE_CHECKING:
    import torch

__all__ = ["PRECISIONS", "Results", "torch_dtype"]

PRECISIONS = ("fp16", "bf16", "fp32")


def torch_dtype(precision: str) -> torch.dtype:
    """Return torch's name of a precision."""
    import torch

    return {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}[precision]


class Results:
    """Looks at the tensors of one merge and rounds them.

    Args:
        precision: What they are rounded to.
        shape: Key to the shape that its tensor must have.
        failed: (key, reason) to the error to raise.
    """

    def __init__(
        self, precision: str, shape: Callable[[str], tuple[int, ...]], failed: Callable[[str, str], MergeError]
    ) -> None:
        self._precision, self._shape, self._failed = precision, shape, failed

    def checked(self, key: str, tensor: torch.Tensor) -> torch.Tensor:
        """Return a result in the shape of the base's tensor, known to be finite, and rounded.

        Raises:
            MergeError: It has another size, or holds NaN, infinity or what the precision cannot hold.
        """
        tensor, _ = self._looked_at(key, tensor)
        return self._rounded(tensor)

    def put(self, key: str, name: str, tensor: torch.Tensor, live: PlacedSink) -> None:
        """Give a result to `live`, without a pass over it beside the look and the copy where that is possible.

        Raises:
            MergeError: As `checked`, or the sink refused it.
        """
        tensor, largest = self._looked_at(key, tensor)
        place = live.place(name)
        if (
            place is None
            or place.dtype not in map(torch_dtype, PRECISIONS)
            or not tensor.is_floating_point()
            or not _fits(largest, place.dtype)
        ):
            live.write(name, self._rounded(tensor))
            return
        with live.guard():
            # What is rounded to its own dtype anyway need not be rounded first.
            direct = self._precision == "fp32" or place.dtype == torch_dtype(self._precision)
            place.copy_(tensor if direct else self._rounded(tensor))

    def _looked_at(self, key: str, tensor: torch.Tensor) -> tuple[torch.Tensor, float]:
        shape = self._shape(key)
        if tuple(tensor.shape) != shape:
            if tensor.numel() != math.prod(shape):
                raise self._failed(key, f"the result has the shape {tuple(tensor.shape)} instead of {shape}")
            tensor = tensor.reshape(shape)  # some methods make a row of one from a single number
        largest = largest_of(tensor)
        if not math.isfinite(largest):
            raise self._failed(key, "the result holds NaN or infinity; narrow the bounds or choose another method")
        if not _fits(largest, torch_dtype(self._precision)):
            raise self._failed(key, f"the result is too large for {self._precision}; save in another precision")
        return tensor, largest

    def _rounded(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor if self._precision == "fp32" else tensor.to(torch_dtype(self._precision)).to(tensor.dtype)


def _fits(largest: float, dtype: torch.dtype) -> bool:
    """Tell whether a tensor is finite in `dtype`, by its largest magnitude: rounding keeps the order."""
    import torch

    if largest <= torch.finfo(dtype).max:
        return True
    return bool(torch.tensor(largest, dtype=torch.float32).to(dtype).isfinite())  # a little more is rounded down
