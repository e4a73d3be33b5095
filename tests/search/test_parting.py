"""Objective and watched score on made-up curves: together, apart, and unrelated."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from lib_optim.search.parting import LEAST, parting

Curve = Callable[[float, random.Random], tuple[float, float]]


def alarms(curve: Curve, runs: int = 300, trials: int = 60, lower: bool = False) -> float:
    """The share of runs in which they part; `curve` gives value and watched score at a time from 0 to 1."""
    found = 0
    for seed in range(runs):
        rng = random.Random(seed)
        found += parting([curve(i / trials, rng) for i in range(trials)], lower) is not None
    return found / runs


def rising(t: float, rng: random.Random) -> float:
    return t + rng.gauss(0, 0.1)


def test_what_rises_together_does_not_part() -> None:
    assert alarms(lambda t, rng: (rising(t, rng), 0.3 + 0.1 * t + rng.gauss(0, 0.01))) < 0.01
    # also if it flattens while the objective goes on
    assert alarms(lambda t, rng: (rising(t, rng), 0.3 + 0.1 * min(t, 0.5) + rng.gauss(0, 0.01))) < 0.03


def test_a_watched_judge_that_has_nothing_to_do_with_it_seldom_speaks_up() -> None:
    assert alarms(lambda t, rng: (rising(t, rng), rng.gauss(0, 1))) < 0.05
    assert alarms(lambda _, rng: (rng.gauss(0, 1), rng.gauss(0, 1))) < 0.05


def test_a_judge_that_is_fooled_shows() -> None:
    """Up together, then the objective goes on rising while the watched score falls: reward hacking."""

    def hacked(t: float, rng: random.Random) -> tuple[float, float]:
        return rising(t, rng), (t if t < 0.5 else 1 - t) + rng.gauss(0, 0.05)

    assert alarms(hacked) > 0.9

    def turned_round(t: float, rng: random.Random) -> tuple[float, float]:
        value, watched = hacked(t, rng)
        return value, -watched

    assert alarms(turned_round) < 0.02
    assert alarms(turned_round, lower=True) > 0.9


def test_without_a_new_best_in_the_last_third_nothing_is_said() -> None:
    points = [(math.sin(i / 10), -float(i)) for i in range(40)]  # the best is early, the watched score falls on
    assert parting(points) is None
    assert parting([*points, (2.0, -40.0)]) is not None


def test_a_few_trials_say_nothing_and_what_stands_still_does_not_fall() -> None:
    falling = [(float(i), -(float(i) ** 2)) for i in range(LEAST)]
    assert parting(falling[:-1]) is None
    found = parting(falling)
    assert found is not None
    assert found.before > found.after
    assert parting([(float(i), 0.5) for i in range(30)]) is None
