"""The bounds grammar: everything it writes it reads back, and everything else it refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lib_optim.plan.bounds import Bound, Value, parse_bound
from lib_optim.plan.errors import PlanError, shown

finite = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(10**15) + 1, 10**15 - 1)
words = st.text(min_size=1)
values = st.booleans() | st.integers(-(10**30), 10**30) | finite | words


def distinct(choices: list[Value]) -> bool:
    return len(set(choices)) == len(choices)


@st.composite
def stepped(draw: st.DrawFn) -> Bound:
    kind = draw(st.sampled_from(["float", "int"]))
    scale = 1 if kind == "int" else draw(st.sampled_from([1, 10, 100, 1000]))
    low, step, count = draw(st.integers(-1000, 1000)), draw(st.integers(1, 50)), draw(st.integers(1, 50))
    return Bound(kind, low / scale, (low + step * count) / scale, step / scale)  # type: ignore[arg-type]


bounds = st.one_of(
    st.builds(lambda low, high, log: Bound("float", low, high, None, log), finite, finite, st.booleans()),
    st.builds(lambda low, high, log: Bound("int", float(low), float(high), None, log), whole, whole, st.booleans()),
    stepped(),
    st.lists(values, min_size=1, max_size=5).filter(distinct).map(lambda c: Bound("choice", choices=tuple(c))),
    values.map(lambda value: Bound("fixed", value=value)),
    st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,12}", fullmatch=True).map(lambda name: Bound("same", value=name)),
    st.just(Bound("bool")),
)


@given(bounds)
def test_what_it_writes_it_reads_back(bound: Bound) -> None:
    assume(bound.problem() is None)
    again = parse_bound(str(bound))
    assert again == bound
    assert type(again.value) is type(bound.value)
    assert [type(choice) for choice in again.choices] == [type(choice) for choice in bound.choices]


@given(bounds)
def test_json_round_trip(bound: Bound) -> None:
    assert Bound.from_json(bound.to_json()) == bound


@given(st.text() | st.text(alphabet="0123456789.+-e{}=,'\" logintsep"))
def test_any_text_is_read_or_refused_with_itself_in_the_sentence(text: str) -> None:
    sentence = None
    try:
        bound = parse_bound(text)
    except PlanError as error:
        sentence = str(error)
    if sentence is not None:
        assert shown(text.strip()) in sentence
    else:
        assert bound.problem() is None
        assert parse_bound(str(bound)) == bound


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("0.1..0.5", Bound("float", 0.1, 0.5)),
        ("  0 .. 1  ", Bound("float", 0.0, 1.0)),
        ("-.5..1.5", Bound("float", -0.5, 1.5)),
        ("0...5", Bound("float", 0.0, 0.5)),
        ("0.1...5", Bound("float", 0.1, 0.5)),
        ("1e-6..1 log", Bound("float", 1e-6, 1.0, None, True)),
        ("1E-6..1 LOG", Bound("float", 1e-6, 1.0, None, True)),
        ("0..1 step 0.05", Bound("float", 0.0, 1.0, 0.05)),
        ("0..0.3 step 0.1", Bound("float", 0.0, 0.3, 0.1)),
        ("1..64 int", Bound("int", 1.0, 64.0)),
        ("1..64 int log", Bound("int", 1.0, 64.0, None, True)),
        ("1..64 log int", Bound("int", 1.0, 64.0, None, True)),
        ("0..64 int step 8", Bound("int", 0.0, 64.0, 8.0)),
        ("0..64 step 8 int", Bound("int", 0.0, 64.0, 8.0)),
        ("bool", Bound("bool")),
        ("BOOL", Bound("bool")),
        ("{8, 16, 32}", Bound("choice", choices=(8, 16, 32))),
        ("{8,16.0,x}", Bound("choice", choices=(8, 16.0, "x"))),
        ("{a b, 'c, d', \"5\", true}", Bound("choice", choices=("a b", "c, d", "5", True))),
        ("{'}'}", Bound("choice", choices=("}",))),
        ("=0.3", Bound("fixed", value=0.3)),
        ("0.3", Bound("fixed", value=0.3)),
        ("= 1", Bound("fixed", value=1)),
        ("=True", Bound("fixed", value=True)),
        ("=IN05", Bound("same", value="IN05")),
        ("='IN05'", Bound("fixed", value="IN05")),
        ('="5"', Bound("fixed", value="5")),
        ("=''", Bound("fixed", value="")),
    ],
)
def test_the_grammar(text: str, bound: Bound) -> None:
    assert parse_bound(text) == bound


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "x", "..", "0..", "..1", "0..1 step", "0..1 foo", "0..1 log log", "0..1 step 0.1 step 0.2",
        "0..1,2", "(0, 1)", "[0, 1]", "0-1", "0..1..2", "{", "{}{", "{a", "a}", "{a,}", "{a,,b}", "{,}", "{a, {b}}",
        "=", "= ", '="', "{'a}", "1 int", "int", "nan", "inf..1", "0..nan", '={"a"}', '{"\\x"}', "0..1int",
    ],
)  # fmt: skip
def test_what_is_no_bound(text: str) -> None:
    with pytest.raises(PlanError, match="is no bound; write") as caught:
        parse_bound(text)
    assert f"'{text.strip()}'" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1..0", "the lower end 1 is not below the upper end 0"),
        ("0.5..0.5", "not below"),
        ("0..1 log", "must begin above 0"),
        ("-1..1 log", "must begin above 0"),
        ("1..2 log step 0.5", "no step"),
        ("0..1 step 0", "the step 0 does not fit"),
        ("0..1 step -0.1", "does not fit"),
        ("0..1 step 2", "the step 2 does not fit between 0 and 1"),
        ("0..1 step 0.3", "steps of 0.3 from 0 on do not meet 1"),
        ("0..1 step 1e-320", "too small"),
        ("0.5..2 int", "whole numbers"),
        ("0..2 int step 0.5", "whole numbers"),
        ("0..1e300 int", "whole numbers"),
        ("0..1e15 int", "whole numbers"),
        ("0..1e999", "too large"),
        ("-1e308..1e308", "too large"),
        ("=1e999", "too large"),
        ("{1, 1e999}", "too large"),
        ("{}", "at least one value"),
        ("{1, 2, 1}", "twice"),
        ("{1, 1.0}", "twice"),
    ],
)
def test_bounds_that_make_no_sense(text: str, words: str) -> None:
    with pytest.raises(PlanError, match="cannot be used") as caught:
        parse_bound(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "bound",
    [
        Bound("float"),
        Bound("float", 0.0),
        Bound("float", 0.0, math.inf),
        Bound("float", math.nan, 1.0),
        Bound("fixed"),
        Bound("same"),
        Bound("same", value=""),
        Bound("same", value=3),
        Bound("same", value="0.3"),
        Bound("same", value=" x"),
        Bound("same", value="'x'"),
        Bound("choice"),
        Bound("fixed", value=10**400),
    ],
    ids=repr,
)
def test_bounds_from_json_are_checked_too(bound: Bound) -> None:
    assert bound.problem()


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("0..1", [0, 1, 0.5, 0.0], [-1e-9, 1.1, math.nan, math.inf, True, "0.5", None, 10**400]),
        ("1..8 int", [1, 8], [0, 9, 2.5, 2.0, True]),
        ("0..8 int step 4", [0, 4, 8], [1, 9, 4.0]),
        ("0..1 step 0.1", [0, 0.1, 0.30000000000000004, 0.7, 1], [0.05, 0.31]),
        ("1e-6..1 log", [1e-6, 1, 0.01], [0, 1e-7]),
        ("bool", [True, False], [0, 1, "true", None]),
        ("{8, 16, x}", [8, 16, "x"], [9, "8", None]),
        ("=0.3", [0.3], [0.31, None]),
    ],
)
def test_contains(text: str, inside: list[Any], outside: list[Any]) -> None:
    bound = parse_bound(text)
    assert [value for value in inside if not bound.contains(value)] == []
    assert [value for value in outside if bound.contains(value)] == []


@pytest.mark.parametrize(
    ("text", "value", "nearest"),
    [
        ("0..1", 0.5, 0.5),
        ("0.1..0.9", 0.0, None),
        ("0..1 step 0.1", 0.26, 0.3),
        ("0..1 step 0.25", 0.99, 1.0),
        ("0..2 int", 1.0, 1),
        ("0..2 int", 0.5, None),
        ("0..8 int step 4", 3.0, 4),
        ("{0, 0.5, 1}", 0.5, 0.5),
        ("{0, 0.5, 1}", 1.0, 1),
        ("{0, 0.5, 1}", 0.4, None),
        ("bool", 1.0, None),
        ("{a, b}", 1.0, None),
    ],
)
def test_nearest(text: str, value: float, nearest: Value | None) -> None:
    found = parse_bound(text).nearest(value)
    assert found == (pytest.approx(nearest) if nearest is not None else None)
    assert type(found) is type(nearest)


@given(bounds, finite)
def test_the_nearest_lies_within(bound: Bound, value: float) -> None:
    assume(bound.problem() is None)
    nearest = bound.nearest(value)
    assert nearest is None or bound.contains(nearest)


@given(bounds)
def test_optuna_understands_every_range_without_a_warning(bound: Bound) -> None:
    import warnings

    from lib_optim.search.recorded_sampler import distribution_of

    assume(bound.problem() is None)
    assume(bound.kind in ("float", "int", "choice", "bool"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distribution = distribution_of(bound)
    for value in (bound.low, bound.high):
        if value is not None:
            assert distribution._contains(value)
