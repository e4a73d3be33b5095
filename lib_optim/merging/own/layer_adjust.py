"""The merge method ``optim_layer_adjust``: detail, contrast and colour through six small tensors of the UNet.

Formula of supermerger (its "adjust" field; model mixer has the same), for the tensors below
``model.diffusion_model.``, of the merged model::

    input_blocks.0.0.weight · (1 − .01·detail_in)        input_blocks.0.0.bias · (1 + .02·detail_in)
    out.0.weight · (1 − .01·detail_out)                  out.0.bias · (1 + .02·detail_out)
    out.2.weight · (1 − .01·detail_out2)
    out.2.bias + .02·[contrast, brightness·r0 + cyan_red·r1 + magenta_green·r2 + yellow_blue·r3]

The rows r0 … r3 say how the last three of the four latent channels make brightness and colours; SD1 and SD2 have the
same, SDXL others.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lib_optim.merging.registration import own_method

__all__ = ["COLOURS", "TENSORS", "layer_adjust"]

_UNET = "model.diffusion_model."

TENSORS: Mapping[str, tuple[tuple[str, float], ...]] = {
    f"{_UNET}input_blocks.0.0.weight": (("detail_in", -0.01),),
    f"{_UNET}input_blocks.0.0.bias": (("detail_in", 0.02),),
    f"{_UNET}out.0.weight": (("detail_out", -0.01),),
    f"{_UNET}out.0.bias": (("detail_out", 0.02),),
    f"{_UNET}out.2.weight": (("detail_out2", -0.01),),
    f"{_UNET}out.2.bias": (
        ("contrast", 0.02), ("brightness", 0.02), ("cyan_red", 0.02), ("magenta_green", 0.02), ("yellow_blue", 0.02),
    ),
}  # fmt: skip
"""The tensors that are adjusted, by what, and by how much per unit."""

COLOURS: Mapping[str, Mapping[str, tuple[float, float, float]]] = {
    "sd1": {
        "brightness": (-1.0, 1 / 3, 2 / 3), "cyan_red": (1.0, 1.0, 0.0),
        "magenta_green": (0.0, -1.0, -1.0), "yellow_blue": (1.0, 0.0, 1.0),
    },
    "sdxl": {
        "brightness": (0.0, 0.0, 1.0), "cyan_red": (1.0, 0.0, 0.0),
        "magenta_green": (-1.0, -1.0, 0.0), "yellow_blue": (-1.0, 1.0, 0.0),
    },
}  # fmt: skip
"""Latent space to what each colour adds to the last three latent channels."""


@own_method
def layer_adjust(  # noqa: PLR0913 - eight numbers it is
    a: Tensor,
    *,
    detail_in: float = 0.0,
    detail_out: float = 0.0,
    detail_out2: float = 0.0,
    contrast: float = 0.0,
    brightness: float = 0.0,
    cyan_red: float = 0.0,
    magenta_green: float = 0.0,
    yellow_blue: float = 0.0,
    latents: str = "sd1",
    **kwargs: Any,
) -> Tensor:
    """Adjust one tensor of a model; tensors that are none of the six, and numbers that are 0, change no bit.

    Args:
        a: The tensor, of any shape; ``out.2.bias`` has 4 elements.
        latents: ``sd1`` (SD1 and SD2) or ``sdxl``.
        kwargs: sd-mecha's; ``key`` names the tensor.
    """
    given = {
        "detail_in": detail_in, "detail_out": detail_out, "detail_out2": detail_out2, "contrast": contrast,
        "brightness": brightness, "cyan_red": cyan_red, "magenta_green": magenta_green, "yellow_blue": yellow_blue,
    }  # fmt: skip
    parts = [(name, share * given[name]) for name, share in TENSORS.get(kwargs["key"], ()) if given[name]]
    if not parts:
        return a
    if not kwargs["key"].endswith("out.2.bias"):
        return a * (1.0 + parts[0][1])
    rows = {"contrast": (1.0, 0.0, 0.0, 0.0), **{name: (0.0, *row) for name, row in COLOURS[latents].items()}}
    shift = [sum(amount * rows[name][channel] for name, amount in parts) for channel in range(4)]
    return a + torch.tensor(shift, dtype=torch.float64).to(device=a.device, dtype=a.dtype)
