"""The preference model: it finds a known order again, and depends on nothing but the comparisons."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import spearmanr

from lib_optim.scoring.preference import PRIOR_SD, Beat, Strengths, fitted, value_of


def strengths_of(beats: list[Beat]) -> dict[int, float]:
    found = fitted(beats)
    return {player: found.mean(player) for player in found.players}


def noisy(true: list[float], count: int, seed: int) -> list[Beat]:
    rng = random.Random(seed)
    beats = []
    for _ in range(count):
        a, b = rng.sample(range(len(true)), 2)
        wins = rng.random() < 1 / (1 + math.exp(true[b] - true[a]))
        beats.append(Beat(a, b) if wins else Beat(b, a))
    return beats


def test_it_recovers_a_known_order_from_noisy_comparisons() -> None:
    true = list(np.random.default_rng(0).normal(0, 2, 20))
    few, many = (spearmanr(true, list(strengths_of(noisy(true, n, 1)).values())).statistic for n in (60, 600))
    assert few > 0.7
    assert many > 0.95


def test_it_is_the_maximum_that_another_optimiser_finds() -> None:
    beats = [*noisy([0.0, 1.0, -1.0, 2.0], 15, 3), Beat(0, 3, tie=True), Beat(1, 2, weight=2.5)]

    def loss(x: np.ndarray) -> float:
        total = float(x @ x) / (2 * PRIOR_SD**2)
        for beat in beats:
            d = x[beat.winner] - x[beat.loser]
            won, lost = math.log1p(math.exp(-d)), math.log1p(math.exp(d))
            total += beat.weight * ((won + lost) / 2 if beat.tie else won)
        return total

    best = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-9}).x
    assert list(strengths_of(beats).values()) == pytest.approx(list(best), abs=1e-6)


def test_what_is_known_grows_with_the_comparisons() -> None:
    one, ten = fitted([Beat(0, 1)]), fitted([Beat(0, 1), Beat(1, 0)] * 5)
    assert PRIOR_SD > one.sd(0) > ten.sd(0)
    gap, variance = ten.gap(0, 1)
    assert gap == pytest.approx(0)
    assert variance < ten.sd(0) ** 2 + ten.sd(1) ** 2, "what they have in common is no part of their difference"
    assert one.gap(0, 7) == (one.mean(0), pytest.approx(one.sd(0) ** 2 + PRIOR_SD**2))
    assert 7 not in one


def test_who_wins_always_is_finite_and_parts_that_never_met_are_too() -> None:
    found = fitted([Beat(0, 1)] * 1000 + [Beat(5, 6)])
    assert np.isfinite(found.means).all()
    assert np.isfinite(found.covariance).all()
    assert found.mean(0) > found.mean(5) > 0 > found.mean(6) > found.mean(1)


def test_ties_bring_equals_together_and_count_as_half_a_win() -> None:
    assert strengths_of([Beat(0, 1, tie=True)]) == {0: 0, 1: 0}
    apart, nearer = strengths_of([Beat(0, 1)]), strengths_of([Beat(0, 1), Beat(0, 1, tie=True)])
    assert 0 < nearer[0] < apart[0]
    half = [Beat(0, 1, weight=0.5), Beat(1, 0, weight=0.5)]
    assert strengths_of([Beat(2, 1), Beat(0, 1, tie=True)]) == pytest.approx(strengths_of([Beat(2, 1), *half]))


def test_neither_order_nor_sides_change_a_bit() -> None:
    rng = random.Random(5)
    beats = [Beat(b.winner, b.loser, rng.random() < 0.2, rng.choice((0.1, 0.7, 1.3))) for b in noisy([0.0] * 9, 80, 2)]
    first = fitted(beats)
    for _ in range(5):
        rng.shuffle(beats)
        turned = [Beat(b.loser, b.winner, True, b.weight) if b.tie else b for b in beats]
        again = fitted(turned)
        assert again.players == first.players
        assert (again.means == first.means).all()


def test_nothing_said_is_nothing_known() -> None:
    found = fitted([])
    assert isinstance(found, Strengths)
    assert found.mean(3) == 0
    assert found.sd(3) == PRIOR_SD


def test_a_value_is_the_wins_of_ten_against_an_average_merge() -> None:
    assert [value_of(x) for x in (0.0, math.log(9), -math.log(9))] == pytest.approx([5, 9, 1])
    assert 0 <= value_of(-40) < value_of(40) <= 10
