"""Copies of the models' tensors in the memory of the device that merges, as far as they may be kept there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["Residents"]


class Residents:
    """Hands out stored tensors on the device that merges. Any thread.

    The CPU reads the files' own pages; nothing is copied. Another device reads through the bus, which is many times
    slower than its own memory: there tensors are kept, the first ones asked for first, up to `budget`. Every trial
    reads all tensors in the same order, so that to drop the oldest for the newest would move everything every time.
    What does not fit is kept in page-locked RAM, up to `locked_budget`, from where the bus is at its fastest, and
    copied when needed.

    Args:
        device: Where merges are computed.
        others: Bytes that something else keeps within the same budget.

    Attributes:
        away: Whether the device has a memory of its own.
        budget: Most bytes on the device, `others` included; 0 until it is known what may be had.
        locked_budget: Most bytes of page-locked RAM.
        bytes: What is kept on the device.
        locked_bytes: What is kept in page-locked RAM.
    """

    def __init__(self, device: torch.device, others: Callable[[], int] = lambda: 0) -> None:
        self.device = device
        self.away = device.type != "cpu"
        self.budget = self.locked_budget = 0
        self.bytes = self.locked_bytes = 0
        self._others = others
        self._kept: dict[tuple[int, str], torch.Tensor] = {}
        self._locked: dict[tuple[int, str], torch.Tensor] = {}
        self._lock = threading.Lock()

    def get(self, model: int, key: str, stored: torch.Tensor) -> torch.Tensor:
        """Return `stored` on the device, kept or copied for this once.

        Args:
            model: Index of the model.
            key: Which of its tensors.
            stored: The tensor, on the CPU; of the same model and key always the same values.
        """
        if not self.away:
            return stored
        place = (model, key)
        kept = self._kept.get(place)
        if kept is not None:
            return kept
        if not self._take(stored.nbytes):
            return self._through_the_bus(place, stored)
        try:
            tensor = stored.to(self.device, copy=True)
        except BaseException:
            with self._lock:
                self.bytes -= stored.nbytes
            raise
        self._kept[place] = tensor
        return tensor

    def drop(self) -> None:
        """Give all memory back and keep nothing from now on."""
        with self._lock:
            self.budget = self.bytes = self.locked_budget = self.locked_bytes = 0
            self._kept.clear()
            self._locked.clear()

    def _take(self, size: int) -> bool:
        with self._lock:
            if self.bytes + self._others() + size > self.budget:
                return False
            self.bytes += size
            return True

    def _through_the_bus(self, place: tuple[int, str], stored: torch.Tensor) -> torch.Tensor:
        locked = self._locked.get(place)
        if locked is None and self.device.type == "cuda" and self.locked_bytes + stored.nbytes <= self.locked_budget:
            locked = self._locked[place] = stored.pin_memory()
            with self._lock:
                self.locked_bytes += stored.nbytes
        return stored.to(self.device) if locked is None else locked.to(self.device, non_blocking=True)
