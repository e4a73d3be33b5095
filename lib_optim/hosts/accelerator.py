"""What an accelerator's memory has to spare beside a host that makes images in it."""

from __future__ import annotations

__all__ = ["RESERVE", "merge_device_of", "spare_bytes"]

RESERVE = 1 << 30
"""Bytes that are left alone: other programs, and images larger than those seen so far."""


def merge_device_of(device: object) -> str:
    """Return where merges belong for a model on `device`: CUDA (and ROCm) devices by name, else ``cpu``."""
    name = str(device)
    return name if name.split(":", maxsplit=1)[0] == "cuda" else "cpu"


def spare_bytes(device: str) -> int:
    """Return how many bytes are free for good: after what the images made so far needed at their peak, and `RESERVE`.

    Args:
        device: As `merge_device_of` gives it. 0 for ``cpu``.
    """
    if device == "cpu":
        return 0
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    # What torch holds between images is less than it will take again during the next.
    again = torch.cuda.max_memory_reserved(device) - torch.cuda.memory_reserved(device)
    return max(0, free - again - RESERVE)
