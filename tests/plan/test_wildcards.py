"""What prompts leave open, drawn or made in full."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_optim.plan.drawn_prompts import MOST_COMBINATIONS, drawn_prompts
from lib_optim.plan.errors import PlanError
from lib_optim.plan.payload import Payload
from lib_optim.plan.run_plan import PassSpec
from lib_optim.plan.wildcards import Wildcards
from tests.plan.test_passes import PLAN


@pytest.fixture
def wildcards(tmp_path: Path) -> Wildcards:
    (tmp_path / "beasts").mkdir()
    (tmp_path / "animal.txt").write_text("# animals\ncat\n\n  dog \n3::__beasts/big__\n")
    (tmp_path / "beasts" / "big.txt").write_text("ele{ph|f}ant\n")
    (tmp_path / "loop.txt").write_text("a __loop__\n")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path.parent / "outside.txt").write_text("secret\n")
    return Wildcards(tmp_path)


def counts(wildcards: Wildcards, prompt: str, draws: int = 4000) -> dict[str, float]:
    found = collections.Counter(wildcards.drawn(prompt, random.Random(i)) for i in range(draws))
    return {text: count / draws for text, count in found.items()}


def test_choices_are_drawn_as_often_as_their_weights_say(wildcards: Wildcards) -> None:
    assert counts(wildcards, "a {red|blue} car") == pytest.approx({"a red car": 0.5, "a blue car": 0.5}, abs=0.04)
    assert counts(wildcards, "{3::a|b|0::c}") == pytest.approx({"a": 0.75, "b": 0.25}, abs=0.04)
    assert counts(wildcards, "x{|, y}") == pytest.approx({"x": 0.5, "x, y": 0.5}, abs=0.04)
    assert counts(wildcards, "{a|{b|c}}") == pytest.approx({"a": 0.5, "b": 0.25, "c": 0.25}, abs=0.04)


def test_several_of_a_choice_are_different_ones_in_any_order(wildcards: Wildcards) -> None:
    found = counts(wildcards, "{2$$a|b|c}")
    assert found == pytest.approx(dict.fromkeys(("a, b", "b, a", "a, c", "c, a", "b, c", "c, b"), 1 / 6), abs=0.04)


def test_lines_of_files_have_weights_and_may_hold_wildcards(wildcards: Wildcards) -> None:
    found = counts(wildcards, "a __animal__")
    assert found == pytest.approx({"a cat": 0.2, "a dog": 0.2, "a elephant": 0.3, "a elefant": 0.3}, abs=0.04)


@pytest.mark.parametrize(
    "prompt",
    [
        "a cat",
        "(red:1.2) [a|b], \\(x\\)",
        "{abc}",
        "{{nai}}",
        "{",
        "}",
        "a }{ b",
        "{a|b",
        "o__o",
        "<lora:my__animal__v2:1>",
        "\\",
    ],
)
def test_what_is_no_wildcard_stays_as_it_is(wildcards: Wildcards, prompt: str) -> None:
    assert not wildcards.open(prompt)
    payload = Payload("x", prompt)
    assert drawn_prompts((payload,), wildcards, "r") == (payload,)


def test_a_backslash_takes_the_meaning_away(wildcards: Wildcards) -> None:
    assert counts(wildcards, r"\{a\|b\} {c|c} \__animal__ \(x\)") == {r"{a|b} c __animal__ \(x\)": 1.0}


def test_every_text_is_made_once_in_a_fixed_order(wildcards: Wildcards) -> None:
    assert wildcards.every("{a|b} {c|{d|e}}", 64) == ["a c", "a d", "a e", "b c", "b d", "b e"]
    assert wildcards.every("{2$$a|b|c}", 64) == ["a, b", "a, c", "b, c"]
    assert wildcards.every("{2::x|__animal__}", 64) == ["x", "cat", "dog", "elephant", "elefant"]


def test_too_many_texts_are_not_all_made_before_that_is_said(wildcards: Wildcards) -> None:
    prompt = "{a|b|c|d|e|f|g|h|i|j}" * 12  # a million millions
    assert len(wildcards.every(prompt, 64)) == 65
    with pytest.raises(PlanError, match=f"more than {MOST_COMBINATIONS} combinations"):
        drawn_prompts((Payload("x", prompt, wildcards="all"),), wildcards, "r")


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("__animals__", "Did you mean 'animal'?"),
        ("__loop__", "hold each other"),
        ("__empty__", "no lines"),
        ("__../outside__", "there is no"),
        ("{3$$a|b}", "asks for 3 of 2"),
        ("{0$$a|b}", "asks for 0 of 2"),
        ("{" * 20 + "a|b" + "|c}" * 20, "deep"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_payload_named(wildcards: Wildcards, prompt: str, words: str) -> None:
    with pytest.raises(PlanError, match="Payload 'mine'") as refused:
        drawn_prompts((Payload("mine", prompt),), wildcards, "r")
    assert words in str(refused.value)


def test_each_image_draws_its_own_and_the_draw_follows_from_seed_and_name(wildcards: Wildcards) -> None:
    payload = Payload("cat", "{a|b|c|d|e|f|g|h}", "{x|y}", seed=7, batch_size=2, n_iter=4, score_weight=3)
    made = drawn_prompts((payload,), wildcards, "r")
    assert [one.name for one in made] == [f"cat {i}" for i in range(1, 9)]
    assert [one.seed for one in made] == list(range(7, 15))
    assert {one.images for one in made} == {1}
    assert {one.score_weight for one in made} == {3}
    assert len({one.prompt for one in made}) > 2
    assert made == drawn_prompts((payload,), wildcards, "r")
    assert made != drawn_prompts((payload,), wildcards, "other")
    assert drawn_prompts(made, wildcards, "again") == made  # a resumed run draws nothing again


def test_all_texts_are_payloads_of_their_own_with_all_their_images(wildcards: Wildcards) -> None:
    made = drawn_prompts((Payload("car", "{red|blue}", "{x|y}", batch_size=2, wildcards="all"),), wildcards, "r")
    assert [(one.name, one.prompt, one.negative_prompt, one.images) for one in made] == [
        ("car 1", "red", "x", 2), ("car 2", "red", "y", 2), ("car 3", "blue", "x", 2), ("car 4", "blue", "y", 2),
    ]  # fmt: skip


def test_off_takes_the_prompt_as_it_is(wildcards: Wildcards) -> None:
    payload = Payload("x", "{a|b} __nothing__", wildcards="off")
    assert drawn_prompts((payload,), wildcards, "r") == (payload,)


@given(st.text(alphabet="ab{}|_:$2\\.<>/ ", max_size=40))
def test_any_text_is_drawn_or_refused_in_a_sentence(prompt: str) -> None:
    wildcards = Wildcards(Path("nowhere at all"))
    with contextlib.suppress(PlanError):
        assert isinstance(wildcards.drawn(prompt, random.Random(1)), str)
        assert wildcards.every(prompt, 50)


def test_a_plan_draws_the_prompts_of_all_its_passes_and_only_once(wildcards: Wildcards) -> None:
    open_ones = (Payload("x", "{a|b}"),)
    plan = dataclasses.replace(PLAN, payloads=open_ones, passes=(PassSpec(payloads=open_ones),))
    drawn = plan.with_drawn_prompts(wildcards)
    assert drawn.payloads[0].prompt in "ab"
    assert drawn.passes[0].payloads is not None
    assert drawn.passes[0].payloads[0].prompt == drawn.payloads[0].prompt
    assert drawn.with_drawn_prompts(wildcards) == drawn
