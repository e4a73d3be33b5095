"""Prompts as the WebUI writes them: emphasis, escapes, BREAK, and chunks of 75 tokens.

    (word)        1.1 times         (word:1.3)    1.3 times        \\( \\) \\[ \\]   the characters themselves
    [word]        1 / 1.1 times     BREAK         starts a new chunk

What this host does not do is refused by name: LoRA tags, prompt editing ``[a:b:0.5]``, alternation ``[a|b]``, ``AND``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lib_optim.hosts.standalone.tokenizer import BOS, EOS, tokens_of
from lib_optim.plan.errors import HostError

__all__ = ["CHUNK", "Chunk", "chunks_of", "emphasis_of"]

CHUNK = 75  # tokens between the start and end marks
_STEP = 1.1

_REFUSED = (
    (re.compile(r"<lora:[^>]*>", re.IGNORECASE), "the LoRA tag"),
    (re.compile(r"<(?:lyco|hypernet):[^>]*>", re.IGNORECASE), "the extra network tag"),
    (re.compile(r"(?<!\\)\[[^\[\]]*:\s*[.\d]+\s*\]"), "prompt editing"),
    (re.compile(r"(?<!\\)\[[^\[\]]*\|[^\[\]]*\]"), "alternation"),
    (re.compile(r"\bAND\b"), "the composition"),
)
_SPLIT = re.compile(r"\\[\\()\[\]]|[()\[\]]")
_NUMBER = re.compile(r"^(?P<text>.*):\s*(?P<weight>[+-]?(?:\d+\.?\d*|\.\d+))\s*$", re.DOTALL)


@dataclass(frozen=True)
class Chunk:
    """77 tokens with their weights, start and end marks included. `length`: tokens between the marks."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]
    length: int


def emphasis_of(prompt: str) -> list[tuple[str, float]]:
    """Return the texts of a prompt with their weights, brackets and escapes resolved.

    Raises:
        HostError: The prompt uses syntax that this host does not know.
    """
    for pattern, what in _REFUSED:
        found = pattern.search(prompt)
        if found:
            raise HostError(
                f"The standalone host cannot honour {what} '{found[0]}' in a prompt; remove it, or run Optim in a "
                "WebUI."
            )
    marks = _SPLIT.split(prompt), _SPLIT.findall(prompt)
    pieces = [(text, mark) for text, mark in zip(marks[0], [*marks[1], ""], strict=True)]
    return [(text, weight) for text, weight in _Reader(pieces).read("") if text]


class _Reader:
    """Reads pieces (text, then one bracket or escape) until a closing bracket, itself for nested brackets."""

    def __init__(self, pieces: list[tuple[str, str]]) -> None:
        self.pieces = iter(pieces)

    def read(self, closing: str) -> list[tuple[str, float]]:
        found: list[tuple[str, float]] = []
        for text, mark in self.pieces:
            found.append((text, 1.0))
            if mark == closing != "":
                return self._weigh(found, closing)
            if mark in ("(", "["):
                found += self.read({"(": ")", "[": "]"}[mark])
            elif mark:
                found.append((mark[-1], 1.0))  # an escaped character, or a bracket that closes nothing
        return [(text, weight * _factor(closing)) for text, weight in found]

    @staticmethod
    def _weigh(found: list[tuple[str, float]], closing: str) -> list[tuple[str, float]]:
        number = _NUMBER.match(found[-1][0]) if closing == ")" else None
        if number is None:
            return [(text, weight * _factor(closing)) for text, weight in found]
        found[-1] = (number["text"], found[-1][1])
        return [(text, weight * float(number["weight"])) for text, weight in found]


def _factor(closing: str) -> float:
    return {")": _STEP, "]": 1 / _STEP, "": 1.0}[closing]


def chunks_of(prompt: str, padding: int = EOS) -> list[Chunk]:
    """Return the prompt as one or more chunks; `padding` fills up after the end mark.

    Raises:
        HostError: As `emphasis_of`.
    """
    chunks = []
    for tokens in _chunked(prompt):
        fill = CHUNK - len(tokens)
        ids = (BOS, *(token for token, _ in tokens), EOS, *(padding for _ in range(fill)))
        chunks.append(Chunk(ids, (1.0, *(w for _, w in tokens), 1.0, *(1.0 for _ in range(fill))), len(tokens)))
    return chunks


def _chunked(prompt: str) -> Iterator[list[tuple[int, float]]]:
    current: list[tuple[int, float]] = []
    for text, weight in emphasis_of(prompt):
        for i, part in enumerate(re.split(r"\s*\bBREAK\b\s*", text)):
            if i > 0:
                yield current
                current = []
            for token in tokens_of(part):
                if len(current) == CHUNK:
                    yield current
                    current = []
                current.append((token, weight))
    yield current
