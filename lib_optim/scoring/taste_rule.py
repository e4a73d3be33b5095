"""Which images are worth a person's time when a learned taste judges beside them.

An image is left to the taste if it is both

    certain          doubt ≤ ½ · spread          the taste knows at least three quarters of what the person's own
                                                 ratings vary by (their variance is spread²)
    not promising    expected + doubt < bar      it would hardly be in the best quarter

where `expected` and `doubt` are the taste's prediction and its standard deviation, `spread` the standard deviation of
the ratings that it was learned from, and `bar` the upper quartile: of what it expected of the images of the same
payload in this run so far, once there are `ENOUGH`, before that of the ratings that it was learned from. The shares (½,
a quarter) are judgement.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["ENOUGH", "bar_of", "certain", "promising", "worth_asking"]

ENOUGH = 8
_CERTAIN = 0.5
_TOP = 0.75


def certain(doubt: float, spread: float) -> bool:
    """Tell whether the taste knows what the person would say."""
    return doubt <= _CERTAIN * spread


def promising(expected: float, doubt: float, bar: float) -> bool:
    """Tell whether an image may be among the best."""
    return expected + doubt >= bar


def bar_of(expected: Sequence[float], ratings: Sequence[float]) -> float:
    """Return from where on an image is among the best quarter.

    Args:
        expected: What the taste expected of the images of the payload so far.
        ratings: What it was learned from, at least one.
    """
    return float(np.quantile(expected if len(expected) >= ENOUGH else ratings, _TOP))


def worth_asking(expected: float, doubt: float, before: Sequence[float], ratings: Sequence[float]) -> bool:
    """Tell whether the person is asked about an image; `before` and `ratings` as for `bar_of`."""
    spread = float(np.std(ratings))
    return not certain(doubt, spread) or promising(expected, doubt, bar_of(before, ratings))
