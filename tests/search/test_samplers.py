"""The registry of samplers: every option does something, and what is no option is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from lib_optim.plan.errors import PlanError
from lib_optim.plan.run_plan import SamplerSpec
from lib_optim.search.samplers import build_sampler, resolve_auto, sampler_problems, sampler_rows
from tests.search.test_study import history, make_space, mixed_space, new

ROWS = sampler_rows()
OPTIONS = [(row.id, option.name) for row in ROWS for option in row.options]
# A value that differs from the default enough to show after 12 finished trials.
OTHER: dict[str, Any] = {
    "n_startup_trials": 40,
    "n_ei_candidates": 2,
    "multivariate": True,
    "exploration": 0.0,
    "smooth": False,
}


def option_of(sampler: str, name: str) -> Any:
    return next(option for row in ROWS if row.id == sampler for option in row.options if option.name == name)


def test_the_rows() -> None:
    assert [row.id for row in ROWS] == ["optim", "tpe", "gp", "random"]
    for row in ROWS:
        assert row.title
        assert row.note
        assert sampler_problems(SamplerSpec(row.id, {option.name: option.default for option in row.options})) == []
        assert all(option.help for option in row.options)
        assert all(type(option.default) is option.type for option in row.options)


@pytest.mark.parametrize(("sampler", "name"), OPTIONS)
def test_every_option_has_an_effect(sampler: str, name: str) -> None:
    space = make_space(3)
    trials = history(space, 12)
    suggestions = []
    for options in ({}, {name: OTHER[name]}):
        search = new(space, sampler, **options)
        for trial in trials:
            search.add(trial)
        suggestions.append([search.suggest(number).values for number in (12, 13, 14)])
    assert suggestions[0] != suggestions[1]


@pytest.mark.parametrize(("sampler", "name"), OPTIONS)
def test_every_option_refuses_other_types_and_values_out_of_range(sampler: str, name: str) -> None:
    option = option_of(sampler, name)
    bad: list[Any] = ["5", None, [1], *([] if option.type is float else [1.5])]
    bad += [1, 0] if option.type is bool else [True, option.low - 1, option.high + 1]
    for value in bad:
        [problem] = sampler_problems(SamplerSpec(sampler, {name: value}))
        assert problem.where == f"sampler.options.{name}"
        assert name in str(problem)
        with pytest.raises(PlanError):
            build_sampler(SamplerSpec(sampler, {name: value}), 0)
    good = [True, False] if option.type is bool else [option.low, option.high]
    for value in good:
        assert sampler_problems(SamplerSpec(sampler, {name: value})) == []
        build_sampler(SamplerSpec(sampler, {name: value}), 0)


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


def test_auto_takes_our_own_sampler_for_numbers() -> None:
    presets = ("half",)
    for blocks in (1, 8, 12):
        assert resolve_auto(SamplerSpec(presets=presets), make_space(blocks)) == SamplerSpec("optim", {}, presets)
    assert sampler_problems(SamplerSpec()) == []


def test_auto_takes_others_where_there_are_choices() -> None:
    space = mixed_space()
    assert any(parameter.bound.kind in ("choice", "bool") for parameter in space.parameters)
    few = replace(space, parameters=space.parameters[-8:])
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
