"""Dominance, fronts, spreading and choosing by weights."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from lib_optim.search.pareto import chosen_by, dominates, front, spread

COORDINATE = st.one_of(st.integers(-3, 3).map(float), st.floats(allow_nan=False, allow_infinity=False))


@st.composite
def clouds(draw: st.DrawFn, least: int = 1) -> dict[int, tuple[float, ...]]:
    """Points of 2 or 3 axes, many of them alike or equal on an axis."""
    axes = draw(st.integers(2, 3))
    points = draw(st.lists(st.tuples(*[COORDINATE] * axes), min_size=least, max_size=25))
    numbers = draw(st.lists(st.integers(0, 1000), min_size=len(points), max_size=len(points), unique=True))
    return dict(zip(numbers, points, strict=True))


@given(clouds(), st.data())
def test_dominance_is_a_strict_partial_order(points: dict[int, tuple[float, ...]], data: st.DataObject) -> None:
    a, b, c = (data.draw(st.sampled_from(list(points.values()))) for _ in range(3))
    assert not dominates(a, a)
    assert not (dominates(a, b) and dominates(b, a))
    assert not (dominates(a, b) and dominates(b, c)) or dominates(a, c)


@given(clouds(0))
def test_the_front_is_what_no_other_point_dominates(points: dict[int, tuple[float, ...]]) -> None:
    expected = sorted(n for n in points if not any(dominates(p, points[n]) for p in points.values()))
    assert front(points) == expected
    assert bool(expected) == bool(points)


@given(clouds(), st.data())
def test_a_dominated_newcomer_leaves_the_front_as_it_was(
    points: dict[int, tuple[float, ...]], data: st.DataObject
) -> None:
    known = points[data.draw(st.sampled_from(sorted(points)))]
    worse = (math.nextafter(known[0], -math.inf), *known[1:])
    if math.isfinite(worse[0]):
        assert front({**points, 2000: worse}) == front(points)


@given(clouds(), st.data())
def test_what_weights_choose_lies_on_the_front(points: dict[int, tuple[float, ...]], data: st.DataObject) -> None:
    axes = len(next(iter(points.values())))
    weights = data.draw(st.lists(st.floats(0, 10), min_size=axes, max_size=axes))
    chosen = chosen_by(points, weights)
    assert chosen in front(points)
    assert chosen == chosen_by(dict(reversed(points.items())), weights)


@given(clouds(), st.integers(0, 1))
def test_all_weight_on_one_axis_chooses_its_best(points: dict[int, tuple[float, ...]], axis: int) -> None:
    weights = [0.0] * len(next(iter(points.values())))
    weights[axis] = 1.0
    chosen = chosen_by(points, weights)
    assert chosen is not None
    best = max(point[axis] for point in points.values())
    worst = min(points[number][axis] for number in front(points))
    # Differences below a part in 10^12 of the axis count for nothing.
    assert points[chosen][axis] / 2 >= best / 2 - (best / 2 - worst / 2) * 1e-5


def test_every_point_of_a_hollow_front_can_be_chosen() -> None:
    hollow = {0: (0.0, 1.0), 1: (0.2, 0.35), 2: (0.4, 0.25), 3: (1.0, 0.0)}  # no weighted sum would choose 1 or 2
    found = {chosen_by(hollow, (w, 1 - w)) for w in [i / 200 for i in range(201)]}
    assert found == {0, 1, 2, 3}
    assert chosen_by({}, (1, 1)) is None


@given(clouds(), st.data())
def test_spreading_keeps_all_and_begins_as_told(points: dict[int, tuple[float, ...]], data: st.DataObject) -> None:
    first = data.draw(st.lists(st.sampled_from(sorted(points)), unique=True))
    order = spread(points, [*first, 5000])
    assert sorted(order) == sorted(points)
    assert order[: len(first)] == first


def test_spreading_takes_the_farthest_first() -> None:
    line = {i: (i / 10, 1 - i / 10) for i in range(11)}
    assert spread(line, [0, 10])[:5] == [0, 10, 5, 2, 7]
