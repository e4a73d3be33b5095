"""Self: one model times a number. Behaviour: sd-webui-supermerger, calculation "self"; sd-webui-model-mixer, "Self"."""

from typing import Any

from torch import Tensor

from lib_optim.merging.registration import own_method

__all__ = ["KEPT", "self_scale"]

KEPT = ("to_out", "proj_out", "norm")
"""Words in the names of tensors that stay: scaling them would change the brightness of everything after them."""


@own_method
def self_scale(a: Tensor, alpha: float = 1.0, **kwargs: Any) -> Tensor:
    """Return A·alpha, but output projections and norms as they are."""
    return a if any(word in kwargs["key"] for word in KEPT) else a * alpha
