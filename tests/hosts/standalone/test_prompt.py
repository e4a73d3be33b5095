"""Prompts: emphasis, chunks, tokens."""

from __future__ import annotations

import math

import pytest

from lib_optim.hosts.standalone import StandaloneHost
from lib_optim.hosts.standalone.prompt import CHUNK, chunks_of, emphasis_of
from lib_optim.hosts.standalone.tokenizer import BOS, EOS, tokens_of
from lib_optim.plan.errors import HostError
from tests.hosts.standalone.conftest import pixels


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("plain", [("plain", 1.0)]),
        ("", []),
        ("a (b) c", [("a ", 1.0), ("b", 1.1), (" c", 1.0)]),
        ("((b))", [("b", 1.21)]),
        ("[b]", [("b", 1 / 1.1)]),
        ("(b:1.5)", [("b", 1.5)]),
        ("(a (b:2) c:0.5)", [("a ", 0.5), ("b", 1.0), (" c", 0.5)]),
        ("(a: b)", [("a: b", 1.1)]),
        (r"\(a\)", [("(", 1.0), ("a", 1.0), (")", 1.0)]),
        ("(a", [("a", 1.1)]),
        ("a) b", [("a", 1.0), (")", 1.0), (" b", 1.0)]),
        ("(([a:2)", [("a:2)", 1.1)]),
    ],
)
def test_emphasis(prompt: str, expected: list[tuple[str, float]]) -> None:
    found = emphasis_of(prompt)
    assert "".join(text for text, _ in found) == "".join(text for text, _ in expected)
    weights = [w for text, w in found for _ in text]
    assert all(math.isclose(a, b) for a, b in zip(weights, [w for t, w in expected for _ in t], strict=True)), found


@pytest.mark.parametrize("prompt", ["<lora:x:1>", "<LORA:x>", "[a:b:0.5]", "[cat|dog]", "a AND b", "<hypernet:x:1>"])
def test_what_is_not_honoured_is_refused(prompt: str) -> None:
    with pytest.raises(HostError, match="cannot honour"):
        emphasis_of(prompt)


def test_tokens_are_those_of_clip() -> None:
    """From the published vocabulary: these numbers are in every CLIP tokenizer test."""
    assert tokens_of("a photo of a cat") == [320, 1125, 539, 320, 2368]
    assert tokens_of("Hello,  World!") == tokens_of("hello, world!") == [3306, 267, 1002, 256]


def test_chunks() -> None:
    (empty,) = chunks_of("")
    assert empty.tokens == (BOS, *([EOS] * 76))
    (zero,) = chunks_of("a cat", 0)
    assert zero.tokens[:5] == (BOS, 320, 2368, EOS, 0)
    assert zero.length == 2
    long = "cat " * (CHUNK + 1)
    assert [chunk.length for chunk in chunks_of(long)] == [CHUNK, 1]
    assert [chunk.length for chunk in chunks_of("a cat BREAK a dog BREAK")] == [2, 2, 0]
    assert all(len(chunk.tokens) == len(chunk.weights) == 77 for chunk in chunks_of(long))
    assert chunks_of("a (cat:1.5)")[0].weights[:4] == (1.0, 1.0, 1.5, 1.0)


def test_long_and_weighted_prompts_show(host: StandaloneHost) -> None:
    long = " ".join(["a red fox in the snow"] * 20)
    with host.exclusive():
        images = {
            p: pixels(host, prompt=p) for p in ("a red fox", "a (red:1.5) fox", long, long + " blue", "a red BREAK fox")
        }
        assert len(set(images.values())) == len(images)
        assert pixels(host, prompt="a red fox", negative_prompt=long) != images["a red fox"]
