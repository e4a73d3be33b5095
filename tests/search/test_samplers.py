"""The registry of samplers: every option does something, and what is no option is refused."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import pytest

from lib_optim.plan.errors import PlanError
from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from lib_optim.plan.run_plan import SamplerSpec
from lib_optim.plan.space import space_of
from lib_optim.search.sampler_row import Package
from lib_optim.search.samplers import build_sampler, fit_problems, resolve_auto, sampler_problems, sampler_rows
from lib_optim.search.study import Search
from tests.plan.methods import WEIGHTED
from tests.search.test_study import SD1, history, make_space, mixed_space, new

ROWS = sampler_rows()
OPTIONS = [(row.id, option.name) for row in ROWS for option in row.options]
# A value that differs from the default enough to show after 16 finished trials.
OTHER: dict[str, Any] = {
    "n_startup_trials": 40, "n_ei_candidates": 2, "multivariate": True, "group": True, "deterministic_objective": False,
    "population_size": 5, "crossover": "blxalpha", "crossover_prob": 0.0, "swapping_prob": 0.0, "mutation_prob": 1.0,
    "variant": "full", "begin": "middle", "sigma": 0.02, "population": 12, "step": 0.01, "change": 1.0, "adapt": False,
    "sequence": "halton", "scramble": False, "levels": 3, "acquisition": "qEI",
    "exploration": 0.0, "smooth": False,
}  # fmt: skip
LATER = {("cma", "restarts"), ("cma", "growth")}  # have no effect before CMA-ES has converged; see test_cma.py
# Those that replay their own questions differ only from the first question on: see test_gfo.py.
# Those of other packages are in test_packages.py.
ELSEWHERE = ("gfo_", "bayes_opt", "hyperopt_")
HERE = [row.id for row in ROWS if not row.missing and not row.id.startswith(ELSEWHERE)]


def option_of(sampler: str, name: str) -> Any:
    return next(option for row in ROWS if row.id == sampler for option in row.options if option.name == name)


def test_the_rows() -> None:
    ids = [row.id for row in ROWS]
    assert ids[:4] == ["optim", "tpe", "gp", "random"]
    assert {"cma", "qmc", "grid", "hill", "nsgaii", "nsgaiii", "botorch"} <= set(ids)
    assert len(set(ids)) == len(ids)
    for row in ROWS:
        assert row.title
        assert row.note
        assert all(option.problem(option.default) is None for option in row.options)
        assert all(option.help and option.title for option in row.options)
        assert all(type(option.default) is option.type for option in row.options)


def told(search: Search, sampler: str, count: int = 16) -> None:
    """Four trials of others, then the sampler's own, the fifth of which failed."""
    for trial in history(make_space(3), count):
        origin = f"preset: {trial.number}" if trial.number < 4 else f"sampler: {sampler}"
        failed = {"state": "failed", "value": None} if trial.number == 8 else {}
        search.add(dataclasses.replace(trial, origin=origin, **failed))


def proposals(sampler: str, options: dict[str, Any]) -> list[Any]:
    search = new(make_space(3), sampler, **options)
    told(search, sampler)
    return [search.suggest(number).values for number in (16, 17, 18)]


@pytest.mark.parametrize(("sampler", "name"), [pair for pair in OPTIONS if pair not in LATER and pair[0] in HERE])
def test_every_option_has_an_effect(sampler: str, name: str) -> None:
    assert proposals(sampler, {}) != proposals(sampler, {name: OTHER[name]})


@pytest.mark.parametrize(
    ("sampler", "name", "choice"),
    [(row.id, option.name, choice) for row in ROWS for option in row.options for choice in option.choices
     if row.id in HERE and (row.id, option.name) not in LATER and choice != option.default],
)  # fmt: skip
def test_every_choice_differs_from_the_default(sampler: str, name: str, choice: str) -> None:
    if choice == "margin":
        pytest.skip("differs only where there are steps: test_cma.py")
    assert proposals(sampler, {}) != proposals(sampler, {name: choice})


@pytest.mark.parametrize(("sampler", "name"), OPTIONS)
def test_every_option_refuses_other_types_and_values_out_of_range(sampler: str, name: str) -> None:
    row = next(row for row in ROWS if row.id == sampler)
    option = option_of(sampler, name)
    bad: list[Any] = [None, [1], "five"]
    bad += {bool: [1, 0], str: [1], int: [True, 1.5], float: [True]}[option.type]
    bad += [] if option.low is None else [option.low - 1, option.high + 1]
    for value in bad:
        problem = sampler_problems(SamplerSpec(sampler, {name: value}))[-1]
        assert problem.where == f"sampler.options.{name}"
        assert name in str(problem)
        with pytest.raises(PlanError):
            build_sampler(SamplerSpec(sampler, {name: value}), 0)
    good = [True, False] if option.type is bool else list(option.choices) or [option.low, option.high]
    for value in good:
        assert option.problem(value) is None
        if not row.missing:
            assert sampler_problems(SamplerSpec(sampler, {name: value})) == []
            build_sampler(SamplerSpec(sampler, {name: value}), 0)


def test_a_package_that_is_not_there_is_named_with_the_command_that_installs_it() -> None:
    gone = dataclasses.replace(ROWS[1], needs=(Package("no_such_module", "no-such-package"),))
    assert gone.missing == ("The search 'TPE' needs no-such-package; install with: pip install no-such-package")
    assert ROWS[1].missing == ""


@pytest.mark.parametrize(
    ("sampler", "options", "trials", "sentence"),
    [
        ("grid", {"levels": 2}, 9, "The grid has 8 points, fewer than the 9 trials of this run; take more values"),
        ("nsgaii", {"population_size": 30}, 30, "A population of 30 needs more than the 30 trials of this run"),
        ("nsgaiii", {"population_size": 2, "crossover": "spx"}, 30, "The crossover spx needs a population of at least"),
        ("cma", {"population": 2}, 30, "CMA-ES needs a population of at least 4"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_run_is_refused(
    sampler: str, options: dict[str, Any], trials: int, sentence: str
) -> None:
    [problem] = fit_problems(SamplerSpec(sampler, options), make_space(3), trials)
    assert str(problem).startswith(sentence)
    assert fit_problems(SamplerSpec(sampler), make_space(3), 40) == []


def test_a_choice_of_words_is_refused_where_order_is_needed() -> None:
    from lib_optim.plan.bounds import parse_bound

    parameter = dataclasses.replace(make_space(1).parameters[0], bound=parse_bound('{"a", "b", "c"}'))
    space = dataclasses.replace(make_space(1), parameters=(parameter,))
    [problem] = fit_problems(SamplerSpec("cma"), space, 30)
    assert "IN00_alpha is a choice of words" in str(problem)
    assert fit_problems(SamplerSpec("tpe"), space, 30) == []


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (SamplerSpec("tp"), "There is no sampler 'tp'. Did you mean 'tpe'?"),
        (SamplerSpec("tpe", {"n_startup": 5}), "The sampler 'tpe' has no option 'n_startup'. Did you mean"),
        (SamplerSpec("random", {"n_startup_trials": 5}), "The sampler 'random' has no option 'n_startup_trials'."),
        (SamplerSpec("auto", {"n_startup_trials": 5}), "The sampler 'auto' has no option 'n_startup_trials'; choose"),
        (SamplerSpec("tpe", {"n_startup_trials": 0}), "tpe: n_startup_trials must lie between 1 and 1000, not 0."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_sentence(spec: SamplerSpec, sentence: str) -> None:
    [problem] = sampler_problems(spec)
    assert str(problem).startswith(sentence)


@pytest.mark.parametrize(("blocks", "chosen"), [(1, "gp"), (8, "gp"), (9, "optim"), (12, "optim")])
def test_auto_takes_our_own_sampler_for_many_numbers(blocks: int, chosen: str) -> None:
    presets = ("half",)
    assert resolve_auto(SamplerSpec(presets=presets), make_space(blocks)) == SamplerSpec(chosen, {}, presets)
    assert sampler_problems(SamplerSpec()) == []


def test_auto_takes_others_where_there_are_choices() -> None:
    space = mixed_space()
    assert any(parameter.bound.kind in ("choice", "bool") for parameter in space.parameters)
    few = dataclasses.replace(space, parameters=space.parameters[-8:])
    assert len(space.parameters) > 8
    assert resolve_auto(SamplerSpec(), space).id == "tpe"
    assert resolve_auto(SamplerSpec(), few).id == "gp"


def test_a_chosen_sampler_is_kept() -> None:
    spec = SamplerSpec("random", {}, ("half",))
    assert resolve_auto(spec, make_space(2)) is spec


def test_importing_the_registry_imports_no_optuna() -> None:
    code = (
        "import sys, lib_optim.search.samplers as s, lib_optim.search.study\n"
        "from lib_optim.plan.run_plan import SamplerSpec\n"
        "s.sampler_rows(); assert not s.sampler_problems(SamplerSpec('tpe', {'n_startup_trials': 5}))\n"
        "heavy = {'optuna', 'torch', 'scipy', 'numpy', 'sd_mecha'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_groups_of_tpe_are_the_stages_of_the_network() -> None:
    guide = Guide((ComponentGuide("unet", (Strategy("select", ("IN00", "IN01", "OUT00")),)),))
    space = space_of(guide, WEIGHTED, SD1)
    answers = []
    for options in ({"multivariate": True}, {"group": True}, {}):
        search = new(space, "tpe", **options)
        for trial in history(space, 16):
            search.add(trial)
        answers.append([search.suggest(number).values for number in (16, 17)])
    assert answers[0] != answers[1] != answers[2] != answers[0]
