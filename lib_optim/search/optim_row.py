"""Our own model-based sampler as a data row; what it does is in optim_sampler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lib_optim.search.sampler_row import Package, SamplerOption, SamplerRow

if TYPE_CHECKING:
    import optuna

__all__ = ["OPTIM_ROW"]


def _optim(seed: int, options: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
    from lib_optim.search.optim_sampler import OptimSampler

    return OptimSampler(
        seed,
        n_startup_trials=options["n_startup_trials"],
        exploration=options["exploration"],
        smooth=options["smooth"],
    )


OPTIM_ROW = SamplerRow(
    "optim", "Optim", "Our own: a Gaussian process that expects few blocks to matter and neighbours to be alike",
    (
        SamplerOption("n_startup_trials", int, 10, 1, 1000, "Finished trials, presets included, before the model",
                      "Trials before the model"),
        SamplerOption("exploration", float, 1.0, 0.0, 3.0, "How boldly it tries what it does not know", "Boldness"),
        SamplerOption("smooth", bool, True, None, None, "Expect neighbouring blocks to want similar values",
                      "Neighbours alike"),
    ),
    _optim, needs=(Package("scipy", "scipy"),), family="Optim", several=True,
)  # fmt: skip
