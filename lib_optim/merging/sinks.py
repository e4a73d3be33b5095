"""Where a merge goes, and what is said of it afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch

__all__ = ["MergeReport", "PlacedSink", "WeightSink"]


class WeightSink(Protocol):
    """Where a merge goes. `hosts.base.LiveWeights` is one."""

    def keys(self) -> Iterable[str]:
        """Return the checkpoint keys that can be written."""

    def write(self, key: str, tensor: torch.Tensor) -> None:
        """Take the value of `key`; the memory of `tensor` is used again after the call."""

    def digests(self) -> Mapping[str, int]:
        """Return one digest per key written, of what it holds now."""


@runtime_checkable
class PlacedSink(WeightSink, Protocol):
    """A sink whose memory can be written in place, which saves a pass over it."""

    def place(self, key: str) -> torch.Tensor | None:
        """Return contiguous memory for the value of `key`, whose dtype rounds it; None if there is none."""

    def guard(self) -> AbstractContextManager[object]:
        """Return the context in which a thread may write there."""

    def is_original(self, key: str) -> bool:
        """Tell whether `key` is known to hold what the base's file holds."""


@dataclass(frozen=True)
class MergeReport:
    """What a merge did; every key of the base's file is in exactly one of `written`, `base`, `refused` and `kept`.

    Attributes:
        written: Keys that were merged and written.
        base: Keys that were left alone, so that they keep the base's value: outside the guide, not floating, or
            missing in another model.
        refused: Merged keys that the sink does not have; nothing was written for them.
        digests: The sink's digest per written key.
        seconds: Wall time.
        bytes: Size of the written tensors as stored in the base's file.
        slow: Empty, or why `sd_mecha.merge` did the work instead of the compiled recipe.
        kept: Merged keys that hold the result already: the models agree about them, or nothing changed since the last
            `write` into the same sink.
    """

    written: tuple[str, ...]
    base: tuple[str, ...]
    refused: tuple[str, ...]
    digests: Mapping[str, int]
    seconds: float
    bytes: int
    slow: str = ""
    kept: tuple[str, ...] = ()
