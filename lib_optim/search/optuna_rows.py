"""Optuna's own samplers as data rows. Options that Optuna 5 announces to remove are not offered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lib_optim.plan.space import Space
from lib_optim.search.sampler_row import Package, SamplerOption, SamplerRow

if TYPE_CHECKING:
    import optuna

__all__ = ["OPTUNA_ROWS"]

# "undx" and "spx" make a child of three parents.
_CROSSOVERS = ("uniform", "blxalpha", "sbx", "vsbx", "spx", "undx")
_MOST_PARENTS = 3


def _tpe(seed: int, options: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
    from lib_optim.search.optuna_samplers import StageTPESampler

    # Nobody else asks while a trial runs, so there is nothing to lie about (constant_liar).
    return StageTPESampler(
        seed=seed,
        n_startup_trials=options["n_startup_trials"],
        n_ei_candidates=options["n_ei_candidates"],
        multivariate=options["multivariate"] or options["group"],
        group=options["group"],
        constant_liar=False,
    )


def _gp(seed: int, options: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
    from optuna.samplers import GPSampler

    return GPSampler(
        seed=seed,
        n_startup_trials=options["n_startup_trials"],
        deterministic_objective=options["deterministic_objective"],
        warn_independent_sampling=False,
    )


def _random(seed: int, options: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
    from optuna.samplers import RandomSampler

    del options
    return RandomSampler(seed=seed)


def _genetic(kind: str) -> Callable[[int, Mapping[str, Any]], optuna.samplers.BaseSampler]:
    def build(seed: int, options: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
        from lib_optim.search import optuna_samplers as ours

        made = ours.NSGAII if kind == "nsgaii" else ours.NSGAIII
        return made(
            seed=seed,
            population_size=options["population_size"],
            mutation_prob=options["mutation_prob"] or None,
            crossover=ours.crossover(options["crossover"], options["swapping_prob"]),
            crossover_prob=options["crossover_prob"],
            swapping_prob=options["swapping_prob"],
        )

    return build


def _botorch(seed: int, options: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
    import optuna
    from optuna_integration import botorch

    candidates = {
        "log EI": botorch.logei_candidates_func,
        "qEI": botorch.qei_candidates_func,
        "qNEI": botorch.qnei_candidates_func,
        "qKG": botorch.qkg_candidates_func,
    }
    sampler: optuna.samplers.BaseSampler = botorch.BoTorchSampler(
        candidates_func=candidates[options["acquisition"]],
        n_startup_trials=options["n_startup_trials"],
        independent_sampler=optuna.samplers.RandomSampler(seed=seed),
        seed=seed,
    )
    return sampler


def _one_generation(space: Space, options: Mapping[str, Any], trials: int) -> str | None:
    del space
    if options["population_size"] >= trials:
        return (
            f"A population of {options['population_size']} needs more than the {trials} trials of this run: all of "
            "them would be random; choose a smaller population or more trials."
        )
    if options["crossover"] in ("spx", "undx") and options["population_size"] < _MOST_PARENTS:
        return f"The crossover {options['crossover']} needs a population of at least {_MOST_PARENTS}."
    return None


_STARTUP = SamplerOption(
    "n_startup_trials", int, 10, 1, 1000, "Finished trials, presets and starts included, before the model takes over",
    "Trials before the model",
)  # fmt: skip

_GENETIC = (
    SamplerOption("population_size", int, 12, 2, 1000, "Trials per generation; the first one is random", "Population"),
    SamplerOption(
        "crossover", str, "uniform", None, None, "How two parents make a child; Optuna's documentation has each one",
        "Crossover", _CROSSOVERS,
    ),
    SamplerOption("crossover_prob", float, 0.9, 0.0, 1.0, "Share of children that have several parents",
                  "Crossover probability"),
    SamplerOption("swapping_prob", float, 0.5, 0.0, 1.0, "Uniform crossover: chance of each parameter to swap",
                  "Swapping probability"),
    SamplerOption("mutation_prob", float, 0.0, 0.0, 1.0, "Chance of each parameter to be drawn anew; 0: one of all",
                  "Mutation probability"),
)  # fmt: skip

OPTUNA_ROWS = (
    SamplerRow(
        "tpe", "TPE", "Tree-structured Parzen estimator (Bergstra et al. 2011); takes any kind of parameter",
        (
            _STARTUP,
            SamplerOption("n_ei_candidates", int, 24, 1, 1000, "Candidates drawn per suggestion", "Candidates"),
            SamplerOption("multivariate", bool, False, None, None, "Model all parameters jointly", "Joint model"),
            SamplerOption("group", bool, False, None, None,
                          "A joint model for each stage of the network (IN, M, OUT, text encoder …) by itself",
                          "Joint model per stage"),
        ),
        _tpe, several=True,
    ),
    SamplerRow(
        "gp", "Gaussian process", "Optuna's GP with log expected improvement; for few parameters",
        (
            _STARTUP,
            SamplerOption("deterministic_objective", bool, True, None, None,
                          "Trust every score to the last digit; off: estimate the noise (a human judge)",
                          "Scores have no noise"),
        ),
        _gp, several=True,
    ),
    SamplerRow("random", "Random", "Uniform draws: the yardstick", (), _random, several=True),
    SamplerRow(
        "nsgaii", "NSGA-II", "Genetic algorithm (Deb et al. 2002); slow, for any kind of parameter",
        _GENETIC, _genetic("nsgaii"), refuses=_one_generation, several=True,
    ),
    SamplerRow(
        "nsgaiii", "NSGA-III", "Genetic algorithm with reference points (Deb and Jain 2014); slow, takes any parameter",
        _GENETIC, _genetic("nsgaiii"), refuses=_one_generation, several=True,
    ),
    SamplerRow(
        "botorch", "BoTorch", "Gaussian process with Monte Carlo acquisition (Balandat et al. 2020); heavy",
        (
            _STARTUP,
            SamplerOption("acquisition", str, "log EI", None, None, "What the next trial should promise", "Acquisition",
                          ("log EI", "qEI", "qNEI", "qKG")),
        ),
        _botorch, needs=(Package("optuna_integration", "optuna-integration"), Package("botorch", '"botorch<0.10"')),
    ),
)  # fmt: skip
