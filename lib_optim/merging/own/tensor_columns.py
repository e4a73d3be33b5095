"""Tensor sum over columns. Behaviour: sd-webui-supermerger, calculation "tensor2"."""

from torch import Tensor

from lib_optim.merging.registration import own_method

__all__ = ["tensor_sum_columns"]


@own_method
def tensor_sum_columns(a: Tensor, b: Tensor, width: float = 0.5, offset: float = 0.0) -> Tensor:
    """Return A with a share `width` of its columns (second dimension) from B, from `offset` on, around the end.

    Vectors take a share of their entries, a single number is B's from a width above one half on. supermerger counts
    the columns of narrow tensors (100 and fewer) by their rows; here they are counted as what they are.
    """
    if a.dim() == 0:
        return b if width > 0.5 else a
    along = min(a.dim() - 1, 1)
    n = a.shape[along]
    width, offset = min(max(width, 0.0), 1.0), offset % 1.0
    start, end = round(offset * n), round((offset + width) * n)
    result = a.clone()
    for low, high in ((start, min(end, n)), (0, end - n)):
        if high > low:
            result.narrow(along, low, high - low).copy_(b.narrow(along, low, high - low))
    return result
