"""The list of mutations, and how one is written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

__all__ = ["MUTATIONS", "Breaker", "Mutation", "Patch", "breaks"]

Patch = pytest.MonkeyPatch
Breaker = Callable[[Patch], None]


@dataclass(frozen=True)
class Mutation:
    """A broken rule: `break_it` gets pytest's monkeypatch when `host` is running; row `number` `part` must notice."""

    name: str
    host: str
    number: int
    part: str
    break_it: Breaker


MUTATIONS: list[Mutation] = []


def breaks(number: int, part: str = "", hosts: tuple[str, ...] = ("a1111",)) -> Callable[[Breaker], Breaker]:
    """Register a function that breaks a rule, for the row that must notice it, on `hosts`."""

    def register(function: Breaker) -> Breaker:
        MUTATIONS.extend(Mutation(function.__name__, host, number, part, function) for host in hosts)
        return function

    return register
