"""Our own samplers as data rows: CMA-ES, sequences, the grid, hill climbing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lib_optim.plan.space import Space
from lib_optim.search.cube import is_unordered
from lib_optim.search.sampler_row import Package, SamplerOption, SamplerRow
from lib_optim.search.sequences import grid_size

if TYPE_CHECKING:
    import optuna

__all__ = ["OWN_ROWS", "unordered"]

_SMALLEST_POPULATION = 4


def _cma(seed: int, options: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
    from lib_optim.search.cma import CmaSampler

    return CmaSampler(seed, options)


def _qmc(seed: int, options: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
    from lib_optim.search.sequence_samplers import QmcSampler

    return QmcSampler(seed, options)


def _grid(seed: int, options: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
    from lib_optim.search.sequence_samplers import GridSampler

    return GridSampler(seed, options)


def _hill(seed: int, options: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
    from lib_optim.search.hill_climbing import HillClimbingSampler

    return HillClimbingSampler(seed, options)


def unordered(space: Space, options: Mapping[str, Any], trials: int) -> str | None:
    """Return why a sampler that needs an order cannot search `space`."""
    del options, trials
    names = [parameter.name for parameter in space.parameters if is_unordered(parameter.bound)]
    if not names:
        return None
    return (
        f"This search needs parameters that can be ordered, and {', '.join(names)} is a choice of words; fix it or "
        "choose TPE."
    )


def _cma_refuses(space: Space, options: Mapping[str, Any], trials: int) -> str | None:
    if 0 < options["population"] < _SMALLEST_POPULATION:
        return f"CMA-ES needs a population of at least {_SMALLEST_POPULATION}, or 0 to choose it by itself."
    return unordered(space, options, trials)


def _grid_refuses(space: Space, options: Mapping[str, Any], trials: int) -> str | None:
    size = grid_size(space.parameters, options["levels"])
    if size >= trials:
        return None
    return (
        f"The grid has {size} points, fewer than the {trials} trials of this run; take more values per parameter or "
        f"at most {size} trials."
    )


OWN_ROWS = (
    SamplerRow(
        "cma", "CMA-ES", "Evolution strategy (Hansen 2016) that learns scale and direction; for many numbers",
        (
            SamplerOption("variant", str, "separable", None, None,
                          "separable: few trials suffice; full: learns how parameters depend on each other; margin: "
                          "for steps, whole numbers and switches; adaptive: full with adaptive learning rate",
                          "Variant", ("separable", "full", "margin", "adaptive")),
            SamplerOption("begin", str, "best", None, None,
                          "Where it begins: at the best of starts and presets, in the middle of all ranges, or with a "
                          "distribution made of the best tenth of them (warm start)",
                          "Begin at", ("best", "middle", "warm start")),
            SamplerOption("sigma", float, 0.25, 0.001, 1.0, "First step size, as a share of each range", "Step size"),
            SamplerOption("population", int, 0, 0, 1000, "Trials per generation; 0: chosen by the number of parameters",
                          "Population"),
            SamplerOption("restarts", str, "none", None, None,
                          "When it has converged: nothing; begin anew with a larger population (IPOP), or with large "
                          "and small ones in turn (BIPOP)",
                          "Restarts", ("none", "IPOP", "BIPOP")),
            SamplerOption("growth", int, 2, 2, 10, "Factor of the population at each restart", "Growth at a restart"),
        ),
        _cma, needs=(Package("cmaes", "cmaes"),), refuses=_cma_refuses, family="Optim",
    ),
    SamplerRow(
        "hill", "Hill climbing", "Changes a few parameters of the best merge so far; steps adapt to success",
        (
            SamplerOption("step", float, 0.15, 0.005, 0.5, "Size of a change, as a share of the range", "Step"),
            SamplerOption("change", float, 0.5, 0.01, 1.0, "Share of the parameters that change in one trial",
                          "Share that changes"),
            SamplerOption("adapt", bool, True, None, None, "Larger steps after a success, smaller ones after none",
                          "Adapt the step"),
        ),
        _hill, family="Optim",
    ),
    SamplerRow(
        "qmc", "Quasi-random", "Even coverage by a Sobol or Halton sequence: better than random to look around",
        (
            SamplerOption("sequence", str, "sobol", None, None, "Which sequence", "Sequence", ("sobol", "halton")),
            SamplerOption("scramble", bool, True, None, None, "Another sequence for every seed", "Scramble"),
        ),
        _qmc, family="Optim", several=True,
    ),
    SamplerRow(
        "grid", "Grid", "Every combination of some values per parameter, in a scattered order; for two or three",
        (SamplerOption("levels", int, 5, 2, 1001, "Values per parameter, both ends included", "Values per parameter"),),
        _grid, refuses=_grid_refuses, family="Optim", several=True,
    ),
)  # fmt: skip
