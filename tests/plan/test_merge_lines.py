"""Lines `A + B = O`: how they are read, and in which order they run."""

from __future__ import annotations

import pytest

from lib_optim.plan.errors import PlanError
from lib_optim.plan.merge_lines import MergeLine, in_order, read_lines


def problems(text: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        in_order(read_lines(text))
    return [problem.sentence for problem in caught.value.problems]


def test_lines_comments_and_names_with_signs() -> None:
    text = "# first\n\na+b=one\none + c+plus.safetensors + d = two # and so on\nmy#1 + x=y = three\n"
    assert read_lines(text) == (
        MergeLine(3, ("a", "b"), "one"),
        MergeLine(4, ("one", "c+plus.safetensors", "d"), "two"),
        MergeLine(5, ("my#1", "x=y"), "three"),
    )


def test_a_run_follows_those_whose_winners_it_takes() -> None:
    lines = read_lines("two + c = three\na + b = one\nONE + b = two\nx + y = z")
    assert [line.name for line in in_order(lines)] == ["one", "two", "three", "z"]
    assert [line.name for line in in_order(read_lines("a + b = c\nd + e = f"))] == ["c", "f"]
    # a name that is there already is not waited for
    assert [line.name for line in in_order(read_lines("one + c = two\na + b = one"), ("one",))] == ["two", "one"]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", ["There is no line"]),
        ("a + b\na = b\n + b = c", ["Line 1, 'a + b'", "Line 2, 'a = b'", "Line 3, '+ b = c'"]),
        ("a + b = x\nc + d = X", ["Lines 1 and 2 both make 'X'"]),
        ("x + b = x", ["Line 1 makes 'x' from itself"]),
        ("a + b = ok\ny + b = x\nx + b = y", ["Lines 2, 3 wait for each other"]),
        ("\n".join(f"a + b = n{i}" for i in range(201)), ["201 lines are too many"]),
    ],
)
def test_what_cannot_run_is_said_a_sentence_each(text: str, sentences: list[str]) -> None:
    found = problems(text)
    assert len(found) == len(sentences)
    for sentence, begins in zip(found, sentences, strict=True):
        assert sentence.startswith(begins)
