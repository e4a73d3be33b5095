"""Merge methods for tests of the space: like sd-mecha's, but rows of data only."""

from __future__ import annotations

from lib_optim.plan.bounds import Bound
from lib_optim.plan.methods import MergeMethod, MethodParameter

__all__ = ["BARE", "MANY", "NEEDY", "WEIGHTED"]

_ALPHA = MethodParameter("alpha", "float", 0.5, Bound("float", 0.0, 1.0))

WEIGHTED = MergeMethod("weighted_sum", "Weighted sum", "A·(1−alpha) + B·alpha", 2, 2, (_ALPHA,))
MANY = MergeMethod(
    "many",
    "Many parameters",
    "",
    2,
    None,
    (
        _ALPHA,
        MethodParameter("beta", "float", 0.3, Bound("float", 0.0, 2.0)),
        MethodParameter("cos_eps", "float", 1e-6, Bound("float", 1e-8, 1e-2, None, True), searched=False),
        MethodParameter("rank", "int", 8, Bound("int", 1.0, 64.0), searched=False),
        MethodParameter("vote", "bool", False, Bound("bool"), searched=False),
        MethodParameter("mode", "str", "a", Bound("choice", choices=("a", "b")), searched=False),
    ),
)
NEEDY = MergeMethod(
    "needy", "Needy", "", 2, 2, (_ALPHA, MethodParameter("k", "float", None, Bound("float", 0.0, 1.0), searched=False))
)
BARE = MergeMethod("n_average", "Average", "(A + B + …) / n", 2, None, ())
