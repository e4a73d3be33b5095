"""The smoothing of "smooth add". Behaviour: sd-webui-supermerger, calculation "smoothAdd"."""

import torch
from torch import Tensor

from lib_optim.merging.registration import own_method

__all__ = ["smooth"]


@own_method
def smooth(a: Tensor) -> Tensor:
    """Return a difference after a median filter of size 3 and a Gaussian filter of sigma 1, over all dimensions.

    Outliers and single sharp changes go, broad ones stay. Edges are mirrored; the Gaussian reaches 4 entries. Runs on
    the CPU: seconds per large tensor.
    """
    from scipy import ndimage

    if a.dim() == 0:
        return a
    filtered = ndimage.gaussian_filter(ndimage.median_filter(a.numpy(force=True), size=3), sigma=1)
    return torch.from_numpy(filtered).to(device=a.device, dtype=a.dtype)
