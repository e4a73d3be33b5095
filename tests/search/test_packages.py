"""bayesian-optimization and hyperopt, where they are installed: every option works, and they beat chance."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from lib_optim.search.package_rows import PACKAGE_ROWS
from tests.search.test_study import history, make_space, mixed_space, new, run, score

HERE = [row.id for row in PACKAGE_ROWS if not row.missing]
WINDOW = {"domain_reduction": True, "n_startup_trials": 5}
# Option to a value that differs, and what else must be set for it to matter.
CASES: list[tuple[str, str, Any, dict[str, Any]]] = [
    ("bayes_opt", "n_startup_trials", 40, {}),
    ("bayes_opt", "acquisition", "EI", {}),
    ("bayes_opt", "acquisition", "PI", {}),
    ("bayes_opt", "kappa", 20.0, {}),
    ("bayes_opt", "xi", 2.0, {"acquisition": "EI"}),
    ("bayes_opt", "decay", 0.5, {}),
    ("bayes_opt", "decay_delay", 100, {"decay": 0.5}),
    ("bayes_opt", "noise", 1.0, {}),
    ("bayes_opt", "domain_reduction", True, {"n_startup_trials": 5}),
    ("bayes_opt", "gamma_osc", 0.1, WINDOW),
    ("bayes_opt", "gamma_pan", 0.2, WINDOW),
    ("bayes_opt", "eta", 0.5, WINDOW),
    ("bayes_opt", "minimum_window", 0.9, WINDOW),
    ("hyperopt_tpe", "n_startup_jobs", 40, {"n_startup_jobs": 10}),
    ("hyperopt_tpe", "n_EI_candidates", 2, {"n_startup_jobs": 10}),
    ("hyperopt_tpe", "gamma", 0.9, {"n_startup_jobs": 10}),
    ("hyperopt_tpe", "prior_weight", 50.0, {"n_startup_jobs": 10}),
]


def needed(sampler: str) -> None:
    row = next(row for row in PACKAGE_ROWS if row.id == sampler)
    if row.missing:
        pytest.skip(row.missing)


def test_every_option_is_tried_here() -> None:
    assert {(sampler, name) for sampler, name, _, _ in CASES} == {
        (row.id, option.name) for row in PACKAGE_ROWS for option in row.options
    }


@pytest.mark.parametrize(("sampler", "name", "value", "more"), CASES)
def test_every_option_has_an_effect(sampler: str, name: str, value: Any, more: dict[str, Any]) -> None:
    needed(sampler)
    answers = []
    for options in (more, {**more, name: value}):
        search = new(make_space(3), sampler, **options)
        for trial in history(make_space(3), 16):
            search.add(trial)
        answers.append([search.suggest(number).values for number in (16, 17)])
    assert answers[0] != answers[1]


@pytest.mark.parametrize("sampler", [row.id for row in PACKAGE_ROWS])
def test_they_beat_chance_on_a_hill(sampler: str) -> None:
    needed(sampler)

    def regret(name: str) -> float:
        options = {"hyperopt_tpe": {"n_startup_jobs": 8}, "bayes_opt": {"n_startup_trials": 8}}.get(name, {})
        runs = (run(new(make_space(4), name, seed, presets=("half",), **options), 25) for seed in range(2))
        return sum(-max(score(values) for values in points) for points in runs)

    assert regret(sampler) < 0.8 * regret("random")


@pytest.mark.parametrize("sampler", [row.id for row in PACKAGE_ROWS])
def test_mixed_spaces_and_the_global_random_states(sampler: str) -> None:
    needed(sampler)
    space = mixed_space()
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    for values in run(new(space, sampler), 12):
        space.assign(values)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002
