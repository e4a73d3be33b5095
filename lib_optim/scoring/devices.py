"""On which device a scorer runs, and what to do when that is full."""

from __future__ import annotations

from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring.base import ScorerRow

__all__ = ["batch_size", "chosen_device", "out_of_memory"]

_BATCH = 8


def chosen_device(spec: ScorerSpec, row: ScorerRow) -> str:
    """Return the device that the plan names; for ``auto`` the GPU where there is one and the scorer can use it."""
    if spec.device != "auto":
        return spec.device
    if "cuda" not in row.devices:
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def batch_size(row: ScorerRow, device: str) -> int:
    """Return how many images the scorer is given at once.

    On the CPU one: a batch is hardly faster there, a close would have to wait for all of it, and a score would depend,
    in its last bits, on which images happened to wait together.
    """
    return _BATCH if row.batches and device.startswith("cuda") else 1


def out_of_memory(error: BaseException | None) -> bool:
    """Tell whether `error`, or what it was made of, is an accelerator that ran out of memory."""
    import torch

    while error is not None:
        if isinstance(error, torch.cuda.OutOfMemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False
