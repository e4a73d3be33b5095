r"""Prompts that leave something open: ``a {red|2::blue} __animal__``.

==================== ==================================================================================================
``{a|b|c}``          one of them, each as likely as the others; may be nested; an empty one is nothing
``{3::a|b}``         a weight before two colons, 1 where there is none
``{2$$a|b|c}``       two different ones, in a drawn order, with a comma between
``__animal__``       a line of the file ``animal.txt``; ``__beasts/x__``: ``beasts/x.txt``; lines may hold all of this
                     and weights; empty ones and those that begin with ``#`` are left out
``\{``, ``\|``, ``\_``   the character itself; braces without ``|`` or ``$$`` in them are themselves, too
==================== ==================================================================================================

The syntax is that of the Dynamic Prompts extension, as far as it goes.
"""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from lib_optim.plan.errors import PlanError
from lib_optim.plan.nearest import did_you_mean

__all__ = ["Wildcards"]

_NAME = re.compile(r"__([\w\-.][\w\-./]*?)__")
_IN_TAG = re.compile(r"<\w+:[^<>]*\Z")  # names of LoRAs may have such underscores
_WEIGHT = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)::")
_PICK = re.compile(r"\s*(\d{1,2})\$\$")
_ESCAPED = frozenset("{}|_")
_DEEPEST = 12
_DEEPEST_BRACES = 50
_LONGEST_NAME = 200


@dataclass(frozen=True)
class _Choice:
    """One of several texts, or `pick` different ones of them."""

    options: tuple[tuple[float, _Text], ...]
    pick: int = 1


_Text: TypeAlias = tuple["str | _Choice", ...]


class Wildcards:
    """Reads and draws what prompts leave open.

    Args:
        folder: Of the ``*.txt`` files. It need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, _Choice] = {}

    def open(self, prompt: str) -> bool:
        """Tell whether `prompt` leaves anything open.

        Raises:
            PlanError: A file is missing or cannot be read, or wildcards hold each other.
        """
        return any(isinstance(part, _Choice) for part in self._read(prompt, 0))

    def drawn(self, prompt: str, rng: random.Random) -> str:
        """Return `prompt` with everything drawn. Escapes are resolved.

        Raises:
            PlanError: As `open`.
        """
        return _drawn(self._read(prompt, 0), rng)

    def every(self, prompt: str, most: int) -> list[str]:
        """Return every text that `prompt` can become, weights aside, in a fixed order; at most `most` and one more.

        Raises:
            PlanError: As `open`.
        """
        return list(itertools.islice(_every(self._read(prompt, 0)), most + 1))

    def _read(self, text: str, depth: int) -> _Text:
        if depth > _DEEPEST:
            raise PlanError(f"Wildcards are nested more than {_DEEPEST} deep, or hold each other; put that right.")
        parts: list[str | _Choice] = []
        at = 0
        while at < len(text):
            if text[at] == "\\" and text[at + 1 : at + 2] in _ESCAPED and at + 1 < len(text):
                parts.append(text[at + 1])
                at += 2
                continue
            end = _closing(text, at) if text[at] == "{" else -1
            name = _NAME.match(text, at)
            if end > at and (found := self._choice(text[at + 1 : end], depth)) is not None:
                parts.append(found)
                at = end + 1
            elif name is not None and not _in_tag(text, at):
                parts.append(self._file(name[1].strip(), depth))
                at = name.end()
            else:
                parts.append(text[at])
                at += 1
        return tuple(_joined(parts))

    def _choice(self, inside: str, depth: int) -> _Choice | None:
        picked = _PICK.match(inside)
        options = _split(inside[picked.end() :] if picked else inside)
        if len(options) < 2 and not picked:
            return None
        count = int(picked[1]) if picked else 1
        if not 1 <= count <= len(options):
            raise PlanError(f"'{{{inside}}}' asks for {count} of {len(options)} texts, which can't be.")
        return _Choice(tuple(self._option(option, depth) for option in options), count)

    def _option(self, text: str, depth: int) -> tuple[float, _Text]:
        weight = _WEIGHT.match(text)
        value = float(weight[1]) if weight else 1.0
        return value, self._read(text[weight.end() :] if weight else text, depth + 1)

    def _file(self, name: str, depth: int) -> _Choice:
        if name not in self._known:
            lines = [line.strip() for line in self._content(name).splitlines()]
            lines = [line for line in lines if line and not line.startswith("#")]
            if not lines:
                raise PlanError(f"The wildcard file {name}.txt has no lines to choose from.")
            self._known[name] = _Choice(tuple(self._option(line, depth) for line in lines))
        return self._known[name]

    def _content(self, name: str) -> str:
        root = self._folder.resolve()
        path = (root / f"{name[:_LONGEST_NAME]}.txt").resolve()
        if len(name) > _LONGEST_NAME or not path.is_relative_to(root) or not path.is_file():
            known = [p.relative_to(root).with_suffix("").as_posix() for p in sorted(root.rglob("*.txt"))]
            hint = did_you_mean(name, known)
            raise PlanError(
                f"A prompt has the wildcard __{name}__, but there is no {name}.txt in {self._folder}.{hint}"
            )
        try:
            return path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise PlanError(f"The wildcard file {name}.txt can't be read: {error}.") from error


def _in_tag(text: str, at: int) -> bool:
    return _IN_TAG.match(text, max(text.rfind("<", 0, at), 0), at) is not None


def _closing(text: str, at: int) -> int:
    """Return where the brace that opens at `at` closes; -1 if it does not."""
    depth = 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] in "{}":
            depth += 1 if text[at] == "{" else -1
            if not depth:
                return at
            if depth > _DEEPEST_BRACES:  # every one of them is looked for to the end of the prompt
                raise PlanError(f"A prompt has more than {_DEEPEST_BRACES} braces inside of each other; mend it.")
        at += 1
    return -1


def _split(inside: str) -> list[str]:
    """Part a choice at the bars that belong to itself."""
    found, depth, start, at = [], 0, 0, 0
    while at < len(inside):
        if inside[at] == "\\":
            at += 1
        elif inside[at] in "{}":
            depth += 1 if inside[at] == "{" else -1
        elif inside[at] == "|" and not depth:
            found.append(inside[start:at])
            start = at + 1
        at += 1
    return [*found, inside[start:]]


def _joined(parts: Sequence[str | _Choice]) -> Iterator[str | _Choice]:
    for text, group in itertools.groupby(parts, key=lambda part: isinstance(part, str)):
        if text:
            yield "".join(part for part in group if isinstance(part, str))
        else:
            yield from group


def _drawn(text: _Text, rng: random.Random) -> str:
    return "".join(part if isinstance(part, str) else _one(part, rng) for part in text)


def _one(choice: _Choice, rng: random.Random) -> str:
    left, found = list(choice.options), []
    for _ in range(choice.pick):
        weights = [weight for weight, _ in left]
        whole = math.fsum(weights) > 0
        at = rng.choices(range(len(left)), weights if whole else None)[0]
        found.append(_drawn(left.pop(at)[1], rng).strip() if choice.pick > 1 else _drawn(left.pop(at)[1], rng))
    return ", ".join(found)


def _every(text: _Text) -> Iterator[str]:
    yield from map("".join, _product([partial(_of_part, part) for part in text]))


def _of_part(part: str | _Choice) -> Iterator[str]:
    if isinstance(part, str):
        yield part
        return
    yield from _all_of(part)


def _all_of(choice: _Choice) -> Iterator[str]:
    for options in itertools.combinations(choice.options, choice.pick):
        for found in _product([partial(_every, text) for _, text in options]):
            yield ", ".join(part.strip() for part in found) if choice.pick > 1 else "".join(found)


def _product(parts: Sequence[Callable[[], Iterator[str]]]) -> Iterator[tuple[str, ...]]:
    """As `itertools.product`, which would take each part whole before it yields anything."""
    if not parts:
        yield ()
        return
    for first in parts[0]():
        for rest in _product(parts[1:]):
            yield (first, *rest)
