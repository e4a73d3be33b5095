"""The registry of samplers: rows of data, each building an Optuna sampler from a seed and options."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.run_plan import SamplerSpec
from lib_optim.plan.space import Space
from lib_optim.search.gfo_rows import GFO_ROWS
from lib_optim.search.optim_row import OPTIM_ROW
from lib_optim.search.optuna_rows import OPTUNA_ROWS
from lib_optim.search.own_rows import OWN_ROWS
from lib_optim.search.package_rows import PACKAGE_ROWS
from lib_optim.search.sampler_row import SamplerOption, SamplerRow

if TYPE_CHECKING:
    import optuna

__all__ = [
    "SamplerOption", "SamplerRow", "build_sampler", "fit_problems", "resolve_auto", "sampler_problems", "sampler_rows",
]  # fmt: skip


_FEW = 8
_ROWS = (OPTIM_ROW, *OPTUNA_ROWS, *OWN_ROWS, *GFO_ROWS, *PACKAGE_ROWS)


def sampler_rows() -> tuple[SamplerRow, ...]:
    """Return every sampler except ``auto``."""
    return _ROWS


def resolve_auto(spec: SamplerSpec, space: Space) -> SamplerSpec:
    """Return `spec` with ``auto`` replaced by what suits the space. It takes several objectives, too.

    Up to 8 parameters Optuna's Gaussian process, which came closest to hidden merges in real runs; above that our own
    sampler where all are numbers, else TPE with independent parameters. docs/search.md has the evidence.
    """
    if spec.id != "auto":
        return spec
    numbers = all(parameter.bound.kind in ("float", "int") for parameter in space.parameters)
    chosen = "gp" if len(space.parameters) <= _FEW else "optim" if numbers else "tpe"
    return dataclasses.replace(spec, id=chosen)


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
    problems = [Problem("sampler.id", row.missing)] if row.missing else []
    for name, given in spec.options.items():
        value: Any = given
        option = next((option for option in row.options if option.name == name), None)
        where = f"sampler.options.{name}"
        if option is None:
            known = [option.name for option in row.options]
            sentence = f"The sampler '{row.id}' has no option '{name}'.{did_you_mean(name, known)}"
            problems.append(Problem(where, sentence))
            continue
        wrong = option.problem(value)
        if wrong is not None:
            problems.append(Problem(where, f"{row.id}: {name} {wrong}"))
    return problems


def fit_problems(spec: SamplerSpec, space: Space, trials: int, axes: int = 0) -> list[Problem]:
    """Return why the sampler of `spec`, itself without problems, cannot search `space` in `trials` trials.

    Args:
        spec: Who proposes.
        space: What may be proposed.
        trials: How often.
        axes: How many objectives there are; 0 or 1: one.
    """
    row = next((row for row in _ROWS if row.id == spec.id), None)
    refusal = row.refuses(space, row.values(spec.options), trials) if row is not None else None
    problems = [] if refusal is None else [Problem("sampler", refusal)]
    if row is not None and axes > 1 and not row.several:
        able = ", ".join(row.title for row in _ROWS if row.several)
        problems.append(
            Problem(
                "sampler",
                f"The search '{row.title}' knows one goal only, and the judges name {axes}; choose another one "
                f"(Automatic, {able}), or put the judges together.",
            )
        )
    if spec.earlier and (spec.id, spec.options.get("begin")) != ("cma", "warm start"):
        problems.append(
            Problem(
                "sampler.earlier",
                "Only CMA-ES that begins with a warm start learns from earlier trials; choose that, or have them tried "
                "first.",
            )
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
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return row.build(seed, row.values(spec.options))
