from __future__ import annotations

import pytest

from lib_optim.plan.payload import Payload
from lib_optim.scoring.prompts import scoring_text, without_markup


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("a cat", "a cat"),
        ("", ""),
        ("a (red:1.3) cat, ((fluffy)), [[dull]]", "a red cat, fluffy, dull"),
        ("a cat <lora:add_detail:0.8>, sitting", "a cat, sitting"),
        ("<lora:a:1><hypernet:b:.5> a cat", "a cat"),
        (r"miku \(vocaloid\), (smile:1.1)", "miku (vocaloid), smile"),
        ("a cat BREAK a dog AND a bird", "a cat a dog a bird"),
        ("a brand, ANDROID, BREAKFAST", "a brand, ANDROID, BREAKFAST"),
        ("(a cat, (a dog:1.2):0.9)", "a cat, a dog"),
        ("one, <lora:x:1>, , two", "one, two"),
        ("it is 10:30 (noon)", "it is 10:30 noon"),
    ],
)
def test_markup_is_taken_off(prompt: str, text: str) -> None:
    assert without_markup(prompt) == text


def test_caption_wins() -> None:
    assert scoring_text(Payload("p", prompt="a (cat:1.2)", caption=" A cat on a mat. ")) == "A cat on a mat."
    assert scoring_text(Payload("p", prompt="a (cat:1.2)", caption="  ")) == "a cat"
