"""Points that need no score: coverage, order, and the same point whenever it is asked for."""

from __future__ import annotations

import itertools
import statistics

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lib_optim.plan.bounds import Bound, parse_bound
from lib_optim.plan.dimensions import Parameter
from lib_optim.search import sequences
from lib_optim.search.cube import Cube, cells_of, is_unordered
from tests.plan.test_bounds import bounds
from tests.search.test_study import mixed_space, new, run


def parameter(text: str, name: str = "a") -> Parameter:
    return Parameter(name, parse_bound(text), "alpha", ("IN00",))


RANGES = ["0..1", "-2..3", "1e-6..1 log", "0..1 step 0.05", "1..64 int", "1..64 int log", "8..32 int step 8", "bool",
          "{0, 0.25, 1}", '{"a", "b", "c"}']  # fmt: skip


@pytest.mark.parametrize("text", RANGES)
def test_a_value_and_its_coordinate_are_one(text: str) -> None:
    cube = Cube([parameter(text)])
    bound = parse_bound(text)
    for i in range(101):
        [value] = cube.values([i / 100]).values()
        assert bound.contains(value)
        [u] = cube.point({"a": value})
        assert 0 <= u <= 1
        assert cube.values([u])["a"] == (pytest.approx(value) if isinstance(value, float) else value)


@pytest.mark.parametrize("text", RANGES)
def test_both_ends_are_reached_and_cells_are_of_one_size(text: str) -> None:
    bound, cube = parse_bound(text), Cube([parameter(text)])
    first, last = (cube.values([u])["a"] for u in (-0.1, 1.1))
    if bound.low is not None:
        assert (first, last) == (pytest.approx(bound.low), pytest.approx(bound.high))
    cells = cells_of(bound)
    if cells is not None:
        drawn = [cube.values([(i + 0.5) / (cells * 7)])["a"] for i in range(cells * 7)]
        assert {drawn.count(value) for value in drawn} == {7}
        assert len(set(drawn)) == cells


@given(bounds, st.floats(0, 1))
def test_every_bound_contains_what_its_coordinates_say(bound: Bound, u: float) -> None:
    assume(bound.problem() is None and bound.kind in ("float", "int", "choice", "bool"))
    cube = Cube([Parameter("a", bound, "alpha", ("IN00",))])
    values = cube.values([u])
    assert bound.contains(values["a"])
    assert 0 <= cube.point(values)[0] <= 1


def test_which_choices_have_no_order() -> None:
    assert not is_unordered(parse_bound("bool"))
    assert not is_unordered(parse_bound('{"a", "b"}'))
    assert not is_unordered(parse_bound("{0, 0.25, 1}"))
    assert is_unordered(parse_bound('{"a", "b", "c"}'))
    assert is_unordered(Bound("choice", choices=(1, 2, "x")))


def discrepancy(points: list[list[float]]) -> float:
    from scipy.stats import qmc

    return float(qmc.discrepancy(points))


@pytest.mark.parametrize("kind", ["sobol", "halton"])
@pytest.mark.parametrize("scramble", [True, False])
def test_a_sequence_covers_better_than_chance(kind: str, scramble: bool) -> None:
    covered, chance = [], []
    for seed in range(4):
        points = [sequences.low_discrepancy(kind, 4, i, seed, scramble) for i in range(64)]
        covered.append(discrepancy(points))
        chance.append(discrepancy([sequences.uniform(4, i, seed) for i in range(64)]))
    assert statistics.mean(covered) < 0.5 * statistics.mean(chance)


def test_scrambling_depends_on_the_seed_and_nothing_else_does() -> None:
    point = sequences.low_discrepancy
    assert point("sobol", 3, 5, 1, True) == point("sobol", 3, 5, 1, True) != point("sobol", 3, 5, 2, True)
    assert point("halton", 3, 5, 1, False) == point("halton", 3, 5, 2, False)
    assert point("sobol", 3, 0, 1, False) == [0.0, 0.0, 0.0]


def test_a_latin_hypercube_hits_each_slice_once() -> None:
    points = sequences.latin_hypercube(5, 9, 3)
    for column in zip(*points, strict=True):
        assert sorted(int(u * 9) for u in column) == list(range(9))
    assert points != sequences.latin_hypercube(5, 9, 4)


def test_corners_come_in_opposite_pairs() -> None:
    for pair in range(5):
        first, second = (sequences.corner(6, 2 * pair + i, 1) for i in (0, 1))
        assert set(first) | set(second) == {0.0, 1.0}
        assert [a + b for a, b in zip(first, second, strict=True)] == [1.0] * 6


def test_the_grid_has_every_combination_once() -> None:
    parameters = [parameter("0..1"), parameter("bool", "b"), parameter('{"a", "b", "c", "d"}', "c")]
    size = sequences.grid_size(parameters, 3)
    assert size == 3 * 2 * 4
    cube = Cube(parameters)
    points = [tuple(cube.values(sequences.grid_point(parameters, 3, i, 5)).values()) for i in range(size)]
    assert set(points) == set(itertools.product((0.0, 0.5, 1.0), (False, True), "abcd"))
    assert points != [tuple(cube.values(sequences.grid_point(parameters, 3, i, 6)).values()) for i in range(size)]


def test_a_grid_takes_as_many_values_as_there_are() -> None:
    steps = [parameter("0..1 step 0.1"), parameter("1..3 int", "n")]
    assert sequences.grid_size(steps, 5) == 5 * 3
    cube = Cube(steps)
    values = {cube.values(sequences.grid_point(steps, 5, i, 0))["a"] for i in range(15)}
    assert {0.0, 1.0} <= values
    assert len(values) == 5


def test_the_inner_grid_is_even_and_scattered() -> None:
    points = [tuple(sequences.inner_grid_point(2, 9, i, 1)) for i in range(9)]
    assert set(points) == set(itertools.product((1 / 6, 0.5, 5 / 6), repeat=2))
    wide = [sequences.inner_grid_point(26, 8, i, 1) for i in range(8)]
    assert {u for point in wide for u in point} == {0.25, 0.75}
    assert len({tuple(point) for point in wide}) == 8


def test_a_run_by_grid_meets_every_point_of_a_small_space() -> None:
    points = run(new(mixed_space(), "grid", levels=2), 12)
    assert len({tuple(point.values()) for point in points}) == 12
