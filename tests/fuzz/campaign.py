"""Feeds the targets their inputs, as many as asked for, and tells what came of it."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz.harness import Finding, Watch
from tests.fuzz.targets import Target

__all__ = ["Outcome", "counts", "fuzzed", "quiet"]

_FROM_HYPOTHESIS = 0.25
_MOST_KEPT = 30


@dataclass
class Outcome:
    """What came of one target: how many inputs, the findings (of one kind and place, the first), seconds."""

    name: str
    inputs: int = 0
    seconds: float = 0.0
    findings: dict[str, tuple[str, Finding]] = field(default_factory=dict)
    found: int = 0

    def put(self, which: str, finding: Finding) -> None:
        """Keep a finding."""
        self.found += 1
        key = f"{finding.kind} {' '.join(finding.text.split()[-30:])[-200:]}"
        if len(self.findings) < _MOST_KEPT:
            self.findings.setdefault(key, (which, finding))


def counts(targets: Sequence[Target], total: int) -> dict[str, int]:
    """Part `total` inputs among the targets, by their shares, rounded up."""
    whole = sum(target.share for target in targets)
    return {target.name: -int(-total * target.share // whole) for target in targets}


def fuzzed(target: Target, watch: Watch, count: int, seed: int) -> Outcome:
    """Feed `target` with `count` inputs; the same for the same seed."""
    outcome, began = Outcome(target.name), time.monotonic()
    made = int(count * _FROM_HYPOTHESIS) if target.made is not None else 0
    for number in range(count - made):
        spoilt = target.input(seed, number)
        if (finding := watch.feed(lambda spoilt=spoilt: target.feed(spoilt))) is not None:  # type: ignore[misc]
            outcome.put(f"input {number}: {_short(spoilt)}", finding)
        outcome.inputs += 1
    if made:
        _from_hypothesis(target, watch, outcome, count, seed)
    outcome.seconds = time.monotonic() - began
    return outcome


def _from_hypothesis(target: Target, watch: Watch, outcome: Outcome, count: int, seed: int) -> None:
    """Feed what Hypothesis makes until there are `count`; it stops where it knows no others."""
    rounds = 0
    while outcome.inputs < count and rounds < 20:
        rounds += 1

        @hypothesis.seed(seed * 1000 + rounds)
        @settings(max_examples=count - outcome.inputs, database=None, deadline=None, phases=(Phase.generate,),
                  derandomize=False, suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(target.made)
        def one(spoilt: Any) -> None:
            if (finding := watch.feed(lambda: target.feed(spoilt))) is not None:
                outcome.put(f"hypothesis: {_short(spoilt)}", finding)
            outcome.inputs += 1

        one()


def _short(spoilt: Any) -> str:
    text = repr(spoilt)
    return text if len(text) <= 600 else f"{text[:300]} … {text[-300:]}"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what readers log off the screen."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
