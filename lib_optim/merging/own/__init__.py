"""Merge methods that sd-mecha lacks, one small module each, registered with sd-mecha as ``optim_<name>``.

`lib_optim.merging.mecha.sd_mecha` registers them. To run a recipe that names one in plain sd-mecha::

    import lib_optim.merging.own
    lib_optim.merging.own.register()
"""

from __future__ import annotations

import importlib

__all__ = ["MODULES", "register"]

MODULES = (
    "add_lora", "cosine", "cosine_sum", "distribution_crossover", "euclidean", "extract", "layer_adjust",
    "multiply_difference", "noise", "sd2_config", "self_scale", "similarity", "smooth", "tensor_columns",
    "weighted_subtraction",
)  # fmt: skip


def register() -> None:
    """Register all of them; a second call changes nothing. Imports torch and sd-mecha."""
    for name in MODULES:
        importlib.import_module(f"{__name__}.{name}")
