"""Tensors of constants: what a merge computes once per run and then keeps, as far as there is room."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["Constants", "free_memory"]


class Constants:
    """Keeps fp32 tensors by (number of the constant, key), up to a number of bytes. Any thread.

    What is kept stays: every trial reads all keys in the same order, so that to drop the oldest for the newest would
    compute everything every time.

    Args:
        budget: Most bytes.
        others: Bytes that something else keeps within the same budget.
    """

    def __init__(self, budget: int, others: Callable[[], int] = lambda: 0) -> None:
        self.budget = budget
        self.bytes = 0
        self._others = others
        self._kept: dict[tuple[int, str], torch.Tensor | None] = {}
        self._lock = threading.Lock()

    def get(self, number: int, key: str, size: int, compute: Callable[[], torch.Tensor]) -> torch.Tensor | None:
        """Return a constant's tensor, computed the first time; None where there is no room for it.

        Args:
            number: Which constant.
            key: Which tensor.
            size: Its number of elements.
            compute: Returns it, as a tensor that nobody else holds.
        """
        place = (number, key)
        with self._lock:
            if place in self._kept:
                return self._kept[place]
            if self.bytes + self._others() + 4 * size > self.budget:
                self._kept[place] = None
                return None
            self.bytes += 4 * size
        try:
            tensor = compute()
        except BaseException:
            with self._lock:
                self.bytes -= 4 * size
            raise
        self._kept[place] = tensor
        return tensor

    def drop(self) -> None:
        """Give all memory back; what is needed again is computed again."""
        with self._lock:
            self._kept.clear()
            self.bytes = 0


def free_memory() -> int:
    """Return how many bytes of RAM are free for use; 0 where that cannot be told."""
    try:
        import psutil
    except ImportError:
        return 0
    return int(psutil.virtual_memory().available)
