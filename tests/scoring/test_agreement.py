"""How judges agree with a person, and which weights are suggested."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lib_optim.scoring.agreement import agreement, suggestion

PILES = [0.0] * 8 + [1.0] * 8


def noisy(seed: int, signal: float) -> list[float]:
    rng = np.random.default_rng(seed)
    return (signal * np.array(PILES) + rng.normal(size=16)).tolist()


def test_a_judge_of_the_same_mind_orders_every_pair_right() -> None:
    found = agreement([0, 0, 1, 2], [1.0, 2.0, 30.0, 31.0])
    assert (found.share, found.pairs) == (1.0, 5)


def test_equal_scores_count_half_and_a_turned_judge_none() -> None:
    assert agreement([0, 1], [3.0, 3.0]).share == 0.5
    assert agreement([0, 0, 1, 1], [4.0, 3.0, 2.0, 1.0]).share == 0.0


def test_the_share_is_the_area_under_the_roc_curve() -> None:
    scores = noisy(3, 1.0)
    by_hand = np.mean([g > b for g in scores[8:] for b in scores[:8]])
    assert agreement(PILES, scores).share == pytest.approx(by_hand)


def test_the_error_is_that_of_other_draws_of_images() -> None:
    """The jackknife's standard error against the spread over 400 fresh sets of images."""
    found = [agreement(PILES, noisy(seed, 1.0)) for seed in range(400)]
    spread = np.std([one.share for one in found])
    assert np.median([one.error for one in found]) == pytest.approx(spread, rel=0.25)


def test_a_coin_is_seldom_called_sure_and_a_good_judge_mostly() -> None:
    coins = [agreement(PILES, noisy(seed, 0.0)).sure for seed in range(400)]
    good = [agreement(PILES, noisy(seed, 2.0)).sure for seed in range(400)]
    assert np.mean(coins) < 0.1
    assert np.mean(good) > 0.9


def test_without_two_piles_there_is_nothing_to_agree_with() -> None:
    found = agreement([1, 1, 1], [1.0, 2.0, 3.0])
    assert found.pairs == 0
    assert math.isnan(found.share)
    assert not found.sure
    assert "piles" in suggestion([1, 1, 1], {"a": [1.0, 2.0, 3.0]}).reason


def test_three_perfect_images_are_not_called_sure() -> None:
    assert not agreement([0, 0, 1], [1.0, 2.0, 3.0]).sure


def test_the_weights_follow_what_judges_see_and_leave_a_coin_out() -> None:
    """Two judges see different halves of what the person sees, a third sees nothing."""
    rng = np.random.default_rng(1)
    sharp, pretty, coin = rng.normal(size=(3, 40))
    grades = (sharp + pretty > 0).astype(float).tolist()
    scores = {"sharp": (100 + 7 * sharp).tolist(), "pretty": (pretty / 50).tolist(), "coin": coin.tolist()}
    found = suggestion(grades, scores)
    assert set(found.weights) >= {"sharp", "pretty"}
    assert found.weights.get("coin", 0) <= 0.2
    assert min(found.weights["sharp"], found.weights["pretty"]) >= 0.6
    assert found.share > agreement(grades, scores[found.best]).share
    assert max(found.weights.values()) == 1


def test_a_judge_of_the_opposite_mind_gets_no_weight() -> None:
    good = noisy(2, 2.5)
    found = suggestion(PILES, {"good": good, "turned": [-value for value in noisy(5, 2.5)]})
    assert found.weights == {"good": 1.0}


def test_coins_get_no_weights_and_the_reason() -> None:
    reasons = [suggestion(PILES, {"a": noisy(seed, 0), "b": noisy(seed + 500, 0)}) for seed in range(20)]
    assert sum(not one.weights for one in reasons) >= 16
    assert any("coin" in one.reason for one in reasons)


def test_two_images_a_pile_are_too_few_for_weights() -> None:
    found = suggestion([0, 0, 1, 1, 1], {"a": [0.0, 1.0, 5.0, 6.0, 7.0]})
    assert not found.weights
    assert "3" in found.reason


def test_a_judge_that_says_the_same_of_all_is_no_trouble() -> None:
    found = suggestion(PILES, {"good": noisy(2, 2.5), "flat": [1.0] * 16})
    assert found.weights == {"good": 1.0}


def test_the_order_of_images_and_judges_does_not_matter() -> None:
    scores = {"a": noisy(1, 1.5), "b": noisy(2, 1.5)}
    turned = {"b": scores["b"][::-1], "a": scores["a"][::-1]}
    one, other = suggestion(PILES, scores), suggestion(PILES[::-1], turned)
    assert dict(one.weights) == dict(other.weights)
    assert one.share == pytest.approx(other.share)
