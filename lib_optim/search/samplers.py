"""The registry of samplers: rows of data, each building an Optuna sampler from a seed and options."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.run_plan import SamplerSpec
from lib_optim.plan.space import Space

if TYPE_CHECKING:
    import optuna

__all__ = ["SamplerOption", "SamplerRow", "build_sampler", "resolve_auto", "sampler_problems", "sampler_rows"]


@dataclass(frozen=True)
class SamplerOption:
    """One option: its `type`, default, least and greatest value (None for switches), and one line of help."""

    name: str
    type: type
    default: Any
    low: float | None
    high: float | None
    help: str


@dataclass(frozen=True)
class SamplerRow:
    """One sampler. `build` takes a seed and all options, and imports what it needs."""

    id: str
    title: str
    note: str
    options: tuple[SamplerOption, ...]
    build: Callable[[int, Mapping[str, Any]], optuna.samplers.BaseSampler]


def _tpe(seed: int, options: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
    from optuna.samplers import TPESampler

    return TPESampler(
        seed=seed,
        n_startup_trials=options["n_startup_trials"],
        n_ei_candidates=options["n_ei_candidates"],
        multivariate=options["multivariate"],
        constant_liar=False,
    )


def _gp(seed: int, options: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
    import optuna
    from optuna.samplers import GPSampler

    # The objective is deterministic: prompts and seeds are the same in every trial.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return GPSampler(seed=seed, n_startup_trials=options["n_startup_trials"], deterministic_objective=True)


def _random(seed: int, options: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
    from optuna.samplers import RandomSampler

    del options
    return RandomSampler(seed=seed)


def _optim(seed: int, options: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
    from lib_optim.search.optim_sampler import OptimSampler

    return OptimSampler(
        seed=seed,
        n_startup_trials=options["n_startup_trials"],
        exploration=options["exploration"],
        smooth=options["smooth"],
    )


_STARTUP = SamplerOption("n_startup_trials", int, 10, 1, 1000, "Finished trials, presets included, before the model")

_ROWS = (
    SamplerRow(
        "optim", "Optim", "Our own: a Gaussian process that expects few blocks to matter and neighbours to be alike",
        (
            _STARTUP,
            SamplerOption("exploration", float, 1.0, 0.0, 3.0, "How boldly it tries what it does not know"),
            SamplerOption("smooth", bool, True, None, None, "Expect neighbouring blocks to want similar values"),
        ),
        _optim,
    ),
    SamplerRow(
        "tpe", "TPE", "Tree-structured Parzen estimator (Bergstra et al. 2011); takes any kind of parameter",
        (
            _STARTUP,
            SamplerOption("n_ei_candidates", int, 24, 1, 1000, "Candidates drawn per suggestion"),
            SamplerOption("multivariate", bool, False, None, None, "Model all parameters jointly"),
        ),
        _tpe,
    ),
    SamplerRow(
        "gp", "Gaussian process", "Optuna's GP with log expected improvement; for few parameters", (_STARTUP,), _gp
    ),
    SamplerRow("random", "Random", "Uniform draws: the yardstick", (), _random),
)  # fmt: skip


def sampler_rows() -> tuple[SamplerRow, ...]:
    """Return every sampler except ``auto``."""
    return _ROWS


def resolve_auto(spec: SamplerSpec, space: Space) -> SamplerSpec:
    """Return `spec` with ``auto`` replaced by what suits the space.

    Numbers alone: our own sampler. With choices or switches: up to 8 parameters the Gaussian process, which needed
    the fewest trials there, above that TPE with independent parameters. docs/search.md has the evidence.
    """
    if spec.id != "auto":
        return spec
    if all(parameter.bound.kind in ("float", "int") for parameter in space.parameters):
        chosen = "optim"
    else:
        chosen = "gp" if len(space.parameters) <= 8 else "tpe"
    return SamplerSpec(chosen, spec.options, spec.presets)


def sampler_problems(spec: SamplerSpec) -> list[Problem]:
    """Return what is wrong with `spec`, a sentence each."""
    if spec.id == "auto":
        return [
            Problem(
                f"sampler.options.{name}", f"The sampler 'auto' has no option '{name}'; choose a sampler to set it."
            )
            for name in spec.options
        ]
    row = next((row for row in _ROWS if row.id == spec.id), None)
    if row is None:
        ids = ["auto", *(row.id for row in _ROWS)]
        return [Problem("sampler.id", f"There is no sampler '{spec.id}'.{did_you_mean(spec.id, ids)}")]
    problems = []
    for name, given in spec.options.items():
        value: Any = given
        option = next((option for option in row.options if option.name == name), None)
        where = f"sampler.options.{name}"
        if option is None:
            known = [option.name for option in row.options]
            problems.append(
                Problem(where, f"The sampler '{row.id}' has no option '{name}'.{did_you_mean(name, known)}")
            )
        elif type(given) is not option.type:
            problems.append(Problem(where, f"{row.id}: {name} must be of type {option.type.__name__}, not {value!r}."))
        elif option.low is not None and option.high is not None and not option.low <= value <= option.high:
            problems.append(
                Problem(where, f"{row.id}: {name} must lie between {option.low:g} and {option.high:g}, not {value}.")
            )
    return problems


def build_sampler(spec: SamplerSpec, seed: int) -> optuna.samplers.BaseSampler:
    """Build the sampler of `spec`, which must not be ``auto``.

    Raises:
        PlanError: Unknown sampler or option, or a value out of range.
    """
    problems = sampler_problems(spec)
    if problems:
        raise PlanError(problems)
    row = next(row for row in _ROWS if row.id == spec.id)
    return row.build(seed, {option.name: spec.options.get(option.name, option.default) for option in row.options})
