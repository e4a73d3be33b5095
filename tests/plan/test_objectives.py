"""Axes of a plan: which there are, and which cannot be."""

from __future__ import annotations

import dataclasses

import pytest

from lib_optim.plan.objectives import axes_of, axis_problems, with_axes
from lib_optim.plan.passes import PassRecord
from lib_optim.plan.scorers import ScorerSpec


def specs(*axes: str) -> tuple[ScorerSpec, ...]:
    return tuple(ScorerSpec(f"s{i}", axis=axis) for i, axis in enumerate(axes))


@pytest.mark.parametrize(
    ("axes", "expected"),
    [(("",), ()), (("", ""), ()), (("a", "a"), ()), (("b", "a", "b"), ("b", "a")), (("a", "b", "c"), ("a", "b", "c"))],
)
def test_scorers_of_one_name_are_one_axis_and_one_axis_is_none(
    axes: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert axes_of(specs(*axes)) == expected
    assert list(axis_problems(specs(*axes))) == []


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        (("a", ""), "The judge s1 belongs to no goal, and others do"),
        (("a", "b", "c", "d"), "name 4 goals (a, b, c, d), and a run has at most 3"),
        ((" a", "b"), "The goal of s0 needs a name"),
        (("a" * 41, "b"), "of at most 40 printable characters"),
        (("a\n", "b"), "printable"),
    ],
)
def test_what_cannot_be_is_one_sentence(axes: tuple[str, ...], words: str) -> None:
    (problem,) = axis_problems(specs(*axes))
    assert words in problem.sentence


def test_plans_from_before_have_no_axis() -> None:
    data = ScorerSpec("demo", 2.0).to_json()
    del data["axis"]
    assert ScorerSpec.from_json(data) == ScorerSpec("demo", 2.0)


def test_only_judges_that_decide_make_axes() -> None:
    record = PassRecord("verify", (), specs("a", "b"), judges=("s0", "s1"))
    assert record.axes == ("a", "b")
    assert dataclasses.replace(record, judges=("s0",)).axes == ()


def test_axes_are_given_by_id() -> None:
    given = with_axes(specs("a", "b"), {"s1": "", "s0": "c", "other": "d"})
    assert [spec.axis for spec in given] == ["c", ""]
