"""Nouns: what they write, and what they refuse to read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import PlanError
from lib_optim.plan.noun import Noun


@dataclass(frozen=True)
class Leaf(Noun):
    name: str
    weight: float = 1.0


@dataclass(frozen=True)
class Tree(Noun):
    VERSION: ClassVar[int] = 2

    title: str
    count: int
    leaves: tuple[Leaf, ...] = ()
    by_name: Mapping[str, Leaf] = field(default_factory=dict)
    mode: Literal["a", "b"] = "a"
    flag: bool = False
    maybe: float | None = None
    value: Value = 0
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def upgrade(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        assert version == 1
        data["title"] = data.pop("name")
        return data


finite = st.floats(allow_nan=False, allow_infinity=False)
leaves = st.builds(Leaf, st.text(), finite)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
trees = st.builds(
    Tree,
    title=st.text(),
    count=st.integers(),
    leaves=st.lists(leaves, max_size=3).map(tuple),
    by_name=st.dictionaries(st.text(), leaves, max_size=3),
    mode=st.sampled_from(["a", "b"]),
    flag=st.booleans(),
    maybe=st.none() | finite,
    value=st.booleans() | st.integers() | finite | st.text(),
    extra=st.dictionaries(st.text(), json_values, max_size=3),
)


def sentences(data: Any, where: str = "") -> list[str]:
    with pytest.raises(PlanError) as caught:
        Tree.from_json(data, where)
    return [str(problem) for problem in caught.value.problems]


@given(trees)
def test_round_trip_through_text(tree: Tree) -> None:
    again = Tree.from_json(json.loads(json.dumps(tree.to_json())))
    assert again == tree
    assert type(again.value) is type(tree.value)


@given(json_values)
def test_arbitrary_json_is_read_or_refused(data: Any) -> None:
    problems: list[str] = []
    try:
        Tree.from_json(data)
    except PlanError as error:
        problems = [str(problem) for problem in error.problems] or [""]
    assert all(problems)


@given(st.dictionaries(st.sampled_from([*Tree.__dataclass_fields__, "version"]), json_values))
def test_arbitrary_values_in_known_fields_are_read_or_refused(data: dict[str, Any]) -> None:
    try:
        tree = Tree.from_json(data)
    except PlanError:
        return
    assert Tree.from_json(json.loads(json.dumps(tree.to_json()))) == tree


def test_fields_left_out_take_their_defaults() -> None:
    assert Tree.from_json({"title": "x", "count": 3}) == Tree("x", 3)


def test_an_unknown_field_names_the_nearest() -> None:
    [sentence] = sentences({"title": "x", "count": 1, "lefves": []})
    assert sentence == "'lefves' is not a field of Tree. Did you mean 'leaves'?"


def test_a_field_unlike_any_other_has_no_suggestion() -> None:
    [sentence] = sentences({"title": "x", "count": 1, "zzzzzzzz": 1})
    assert "Did you mean" not in sentence


def test_keys_that_are_no_text_are_named_too() -> None:
    assert "'7' is not a field" in sentences({"title": "x", "count": 1, 7: 1})[0]


def test_every_problem_is_told_at_once_with_its_place() -> None:
    with pytest.raises(PlanError) as caught:
        Tree.from_json({"count": "many", "leaves": [{"name": 5}, {"nam": "x"}], "mode": "c"}, "plan.tree")
    places = [problem.where for problem in caught.value.problems]
    assert places == [
        "plan.tree.count",
        "plan.tree.leaves[0].name",
        "plan.tree.leaves[1].nam",
        "plan.tree.leaves[1]",
        "plan.tree.mode",
        "plan.tree",
    ]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"count": 1.5}, "a whole number, not 1.5"),
        ({"count": True}, "a whole number, not True"),
        ({"count": "1"}, "a whole number, not '1'"),
        ({"title": None}, "text, not nothing"),
        ({"title": ["x"]}, "text, not a list"),
        ({"flag": 1}, "true or false, not 1"),
        ({"mode": "c"}, "one of 'a', 'b', not 'c'"),
        ({"leaves": {}}, "a list, not an object"),
        ({"by_name": []}, "an object, not a list"),
        ({"leaves": [5]}, "leaves[0] must be an object, not 5"),
        ({"maybe": "x"}, "a finite number, not 'x'"),
        ({"maybe": math.nan}, "a finite number, not nan"),
        ({"maybe": math.inf}, "a finite number, not inf"),
        ({"maybe": 10**400}, "a finite number, not 1000"),
        ({"value": None}, "not nothing"),
        ({"value": [1]}, "not a list"),
    ],
)
def test_wrong_types_are_refused_in_one_sentence(fault: dict[str, Any], words: str) -> None:
    found = sentences({"title": "x", "count": 1, **fault})
    assert len(found) == 1
    assert words in found[0]
    assert len(found[0]) < 200


def test_a_whole_float_is_an_int_and_an_int_is_a_float() -> None:
    tree = Tree.from_json({"title": "x", "count": 3.0, "maybe": 2})
    assert (tree.count, type(tree.count)) == (3, int)
    assert (tree.maybe, type(tree.maybe)) == (2.0, float)


@pytest.mark.parametrize("data", [None, 5, "x", [], [{}]])
def test_only_objects_are_nouns(data: Any) -> None:
    assert "must be an object" in sentences(data)[0]


def test_missing_fields_are_named() -> None:
    assert sentences({}) == ["Tree lacks the field 'title'.", "Tree lacks the field 'count'."]


def test_a_newer_version_asks_for_an_update() -> None:
    [sentence] = sentences({"version": 3, "title": "x", "count": 1})
    assert "newer Optim (version 3, this one reads up to 2); update the extension" in sentence


def test_an_older_version_is_upgraded() -> None:
    assert Tree.from_json({"version": 1, "name": "old", "count": 1}) == Tree("old", 1)


@pytest.mark.parametrize("version", [0, -1, True, "2", None, 1.0])
def test_an_unreadable_version_is_refused(version: Any) -> None:
    assert "no readable version number" in sentences({"version": version, "title": "x", "count": 1})[0]
