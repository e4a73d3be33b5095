"""Which parameters matter: judged on synthetic scores whose effects are known."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import optuna
import pytest
from numpy.typing import NDArray

from lib_optim.plan.bounds import Bound, Value, parse_bound
from lib_optim.plan.dimensions import Parameter
from lib_optim.plan.records import Trial
from lib_optim.search.importance import FEWEST_TRIALS, SMALL_SHARE, Importances, importances
from lib_optim.search.recorded_sampler import distribution_of

Floats = NDArray[np.float64]
SIZE = 16
ACTIVE = (2, 5, 11)


def parameters(*texts: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(f"p{i}", parse_bound(text), "alpha", (f"B{i}",)) for i, text in enumerate(texts))


UNIT = parameters(*["0..1"] * SIZE)


def trials_of(rows: list[dict[str, Value]], scores: Floats) -> list[Trial]:
    return [Trial(i, "complete", row, "x", value=float(v)) for i, (row, v) in enumerate(zip(rows, scores, strict=True))]


def drawn(score: Callable[[Floats], Floats], count: int, seed: int, noise: float = 0.05) -> list[Trial]:
    rng = np.random.default_rng(seed)
    x = rng.random((count, SIZE))
    rows: list[dict[str, Value]] = [{f"p{j}": float(v) for j, v in enumerate(row)} for row in x]
    return trials_of(rows, score(x) + noise * rng.standard_normal(count))


def bowl(x: Floats) -> Floats:
    """Three axes matter, the first about half as much again as the last; all others a hundredth."""
    centre = np.linspace(0.2, 0.8, SIZE)
    weight = np.full(SIZE, 0.01)
    weight[list(ACTIVE)] = (1.2, 1.0, 0.8)
    result: Floats = 1 - 3 * ((x - centre) ** 2 * weight).sum(1)
    return result


def true_shares(score: Callable[[Floats], Floats]) -> Floats:
    """Total effects by plain Monte Carlo on the function itself."""
    rng = np.random.default_rng(0)
    x = rng.random((4000, SIZE))
    effects = []
    for i in range(SIZE):
        moved = x.copy()
        moved[:, i] = rng.random(len(x))
        effects.append(((score(moved) - score(x)) ** 2).mean())
    return np.array(effects) / sum(effects)


def top(found: dict[str, float], count: int) -> set[int]:
    return {int(name[1:]) for name in sorted(found, key=lambda name: -found[name])[:count]}


def shares(found: Importances) -> dict[str, float]:
    return {row.name: row.share for row in found.rows}


def ped_anova(trials: list[Trial]) -> dict[str, float]:
    study = optuna.create_study(direction="maximize")
    for trial in trials:
        study.add_trial(
            optuna.trial.create_trial(
                params=dict(trial.values),
                distributions={p.name: distribution_of(p.bound) for p in UNIT},
                value=trial.value,
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return optuna.importance.get_param_importances(study)


def test_the_axes_that_matter_are_found_with_their_shares() -> None:
    truth = true_shares(bowl)
    for seed in range(2):
        found = importances(UNIT, drawn(bowl, 60, seed))
        assert found.problem == ""
        assert found.explained > 0.8
        assert top(shares(found), len(ACTIVE)) == set(ACTIVE)
        assert sum(abs(row.share - t) for row, t in zip(found.rows, truth, strict=True)) < 0.25
        assert [row.name for row in found.rows] == [p.name for p in UNIT]
        inside = [row.low - 0.005 <= t <= row.high + 0.005 for row, t in zip(found.rows, truth, strict=True)]
        assert sum(inside) >= SIZE - 2
    swing = found.rows[ACTIVE[0]].swing
    x = np.random.default_rng(1).random((4000, SIZE))
    moved = x.copy()
    moved[:, ACTIVE[0]] = np.random.default_rng(2).random(4000)
    assert swing == pytest.approx(float(((bowl(moved) - bowl(x)) ** 2).mean() ** 0.5), rel=0.35)


def test_it_beats_ped_anova_from_few_trials() -> None:
    ours, theirs = 0, 0
    for seed in range(10, 14):
        trials = drawn(bowl, 40, seed)
        ours += len(top(shares(importances(UNIT, trials)), len(ACTIVE)) & set(ACTIVE))
        theirs += len(top(ped_anova(trials), len(ACTIVE)) & set(ACTIVE))
    assert ours >= 11
    assert ours > theirs


def test_what_is_called_idle_is_idle() -> None:
    truth = true_shares(bowl)
    for seed in range(20, 23):
        found = importances(UNIT, drawn(bowl, 60, seed))
        assert len(found.idle) >= SIZE // 2
        assert not {f"p{i}" for i in ACTIVE} & set(found.idle)
        assert sum(truth[int(name[1:])] for name in found.idle) <= SMALL_SHARE
        assert 0 < found.idle_share <= SMALL_SHARE


def test_a_parameter_that_matters_only_together_with_another_is_not_idle() -> None:
    def saddle(x: Floats) -> Floats:
        result: Floats = 4 * (x[:, 3] - 0.5) * (x[:, 8] - 0.5)
        return result

    found = importances(UNIT, drawn(saddle, 80, 0, noise=0.02))
    assert top(shares(found), 2) == {3, 8}
    assert not {"p3", "p8"} & set(found.idle)


def test_too_few_trials_are_said_to_be_too_few() -> None:
    found = importances(UNIT, drawn(bowl, FEWEST_TRIALS - 1, 0))
    assert found.rows == ()
    assert found.idle == ()
    assert found.problem == (
        f"Too few trials: {FEWEST_TRIALS - 1} are scored, and it takes at least {FEWEST_TRIALS} for {SIZE} parameters."
    )
    unscored = [Trial(0, "failed", {}, "x"), Trial(1, "running", {}, "x")]
    assert importances(UNIT, unscored).problem.startswith("Too few trials: no trial is scored")


def test_few_trials_give_shares_but_call_nothing_idle() -> None:
    found = importances(UNIT, drawn(bowl, 2 * SIZE - 1, 1))
    assert top(shares(found), 1) <= set(ACTIVE)
    assert found.idle == ()
    assert found.caution.startswith(f"{2 * SIZE - 1} trials are too few to say of any of {SIZE} parameters")
    assert importances(UNIT, drawn(bowl, 2 * SIZE, 1)).idle


def test_noise_and_equal_scores_tell_nothing() -> None:
    rng = np.random.default_rng(3)
    noise = importances(UNIT, drawn(lambda x: rng.standard_normal(len(x)), 40, 3))
    assert noise.rows == ()
    assert "do not tell which parameters matter" in noise.problem
    same = importances(UNIT, drawn(lambda x: np.full(len(x), 0.7), 40, 3, noise=0.0))
    assert "the same score" in same.problem


def test_every_kind_of_parameter_is_understood() -> None:
    kinds = parameters("0..1", "{a, b, c}", "bool", "1..64 int", "1e-4..1 log", "0..1 step 0.25")
    rng = np.random.default_rng(5)
    rows: list[dict[str, Value]] = [
        {
            "p0": float(rng.random()), "p1": str(rng.choice(["a", "b", "c"])), "p2": bool(rng.random() < 0.5),
            "p3": int(rng.integers(1, 65)), "p4": float(10 ** rng.uniform(-4, 0)), "p5": float(rng.integers(0, 5) / 4),
        }
        for _ in range(60)
    ]  # fmt: skip
    for name, score in (
        ("p1", lambda row: {"a": 0.0, "b": 1.0, "c": 0.2}[row["p1"]]),
        ("p2", lambda row: float(row["p2"])),
        ("p3", lambda row: row["p3"] / 64),
        ("p4", lambda row: np.log10(row["p4"]) / 4),
        ("p5", lambda row: row["p5"]),
    ):
        found = importances(kinds, trials_of(rows, np.array([score(row) for row in rows])))
        assert shares(found)[name] > 0.8, name
        assert name not in found.idle


def test_the_same_trials_give_the_same_answer() -> None:
    trials = drawn(bowl, 40, 1)
    assert importances(UNIT, trials) == importances(UNIT, trials)


def test_one_parameter_alone_is_never_idle() -> None:
    one = (Parameter("p0", Bound("float", 0, 1), "alpha", ("B0",)),)
    found = importances(one, drawn(lambda x: x[:, 0], 20, 0))
    assert [row.share for row in found.rows] == [1.0]
    assert found.idle == ()
