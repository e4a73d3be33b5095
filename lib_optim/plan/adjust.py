"""Layer adjust: eight numbers that change detail, contrast and colour through six small tensors of the UNet.

The names are the field's (supermerger, model mixer); `lib_optim.merging.layer_adjust` has the formula.
"""

from __future__ import annotations

from collections.abc import Mapping

from lib_optim.plan.bounds import Bound
from lib_optim.plan.methods import MethodParameter

__all__ = ["ADJUSTMENTS", "LATENTS", "TITLES"]

LATENTS: Mapping[str, str] = {"sd1": "sd1", "sd2": "sd1", "sdxl": "sdxl"}
"""Architecture to the latent space whose four channels the colours are written for; others cannot be adjusted."""

_DETAIL = Bound("float", -6.0, 6.0)
_COLOUR = Bound("float", -10.0, 10.0)


def _one(name: str, bound: Bound, block: str) -> MethodParameter:
    return MethodParameter(name, "float", 0.0, bound, blocks=(block,))


ADJUSTMENTS: tuple[MethodParameter, ...] = (
    _one("detail_in", _DETAIL, "IN00"),
    _one("detail_out", _DETAIL, "FINAL"),
    _one("detail_out2", _DETAIL, "FINAL"),
    _one("contrast", _COLOUR, "FINAL"),
    _one("brightness", _COLOUR, "FINAL"),
    _one("cyan_red", _COLOUR, "FINAL"),
    _one("magenta_green", _COLOUR, "FINAL"),
    _one("yellow_blue", _COLOUR, "FINAL"),
)
"""In the order in which the field writes them: IN, OUT, OUT2, CONT, BRI, COL1, COL2, COL3. 0 changes nothing."""

TITLES: Mapping[str, str] = {
    "detail_in": "Detail and noise, at the first layer",
    "detail_out": "Detail and noise, at the last layer",
    "detail_out2": "Detail and noise, at the very end",
    "contrast": "Contrast and detail",
    "brightness": "Dark to bright",
    "cyan_red": "Cyan to red",
    "magenta_green": "Magenta to green",
    "yellow_blue": "Yellow to blue",
}
"""One line per number, for the page."""
