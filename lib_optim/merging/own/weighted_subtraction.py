"""Weighted subtraction: takes B's share out of A. Formula: s1dlx/meh (MIT), weighted_subtraction."""

from torch import Tensor

from lib_optim.merging.registration import own_method

__all__ = ["weighted_subtraction"]


@own_method
def weighted_subtraction(a: Tensor, b: Tensor, alpha: float = 0.5, beta: float = 0.5) -> Tensor:
    """Return (A − s·B) / (1 − s) with s = alpha·beta: what must be mixed with a share s of B to give A.

    Raises:
        ValueError: s = 1, where nothing of A is left.
    """
    share = alpha * beta
    if abs(1 - share) < 1e-9:
        raise ValueError("alpha·beta is 1, which leaves nothing of A; keep one of them below 1")
    return (a - share * b) / (1 - share)
