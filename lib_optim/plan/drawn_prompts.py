"""Payloads whose prompts leave something open become payloads whose prompts do not."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.payload import MAX_SEED, Payload
from lib_optim.plan.wildcards import Wildcards

__all__ = ["MOST_COMBINATIONS", "drawn_prompts"]

MOST_COMBINATIONS = 64


def drawn_prompts(payloads: Sequence[Payload], wildcards: Wildcards, root: str) -> tuple[Payload, ...]:
    """Return the enabled ones of `payloads` with every wildcard of their prompts drawn; those without any unchanged.

    A payload of several images becomes one per image, each with a prompt and a seed of its own, ``name 1``, ``name 2``;
    one whose `Payload.wildcards` are ``all`` becomes one per text that its prompts can become, with all its images.
    The draw follows from `root` and the payload's name alone, so that a pass that names the same payload again shows
    the same prompts.

    Raises:
        PlanError: What `Wildcards` refuses, or too many combinations; one sentence per payload.
    """
    found: list[Payload] = []
    problems: list[Problem] = []
    for i, payload in enumerate(payloads):
        if not payload.enabled:
            continue
        try:
            found += _drawn(payload, wildcards, root)
        except PlanError as error:
            problems += [Problem(f"payloads[{i}].prompt", f"Payload '{payload.name}': {error}")]
    if problems:
        raise PlanError(problems)
    return tuple(found)


def _drawn(payload: Payload, wildcards: Wildcards, root: str) -> list[Payload]:
    texts = (payload.prompt, payload.negative_prompt)
    if payload.wildcards != "off" and any(map(wildcards.open, (payload.hr_prompt, payload.hr_negative_prompt))):
        raise PlanError("wildcards are not drawn in the prompts of hires fix; write them out, or turn wildcards off.")
    if payload.wildcards == "off" or not any(map(wildcards.open, texts)):
        return [payload]
    if payload.wildcards == "all":
        wanted, against = (
            wildcards.every(text, MOST_COMBINATIONS) if wildcards.open(text) else [text] for text in texts
        )
        pairs = [(a, b) for a in wanted for b in against]
        if len(pairs) > MOST_COMBINATIONS:
            raise PlanError(f"its wildcards make more than {MOST_COMBINATIONS} combinations; draw them instead.")
        return [_named(payload, i, len(pairs), pair) for i, pair in enumerate(pairs)]
    count = payload.images if payload.problems("") == [] else 1  # a count out of bounds is told of elsewhere
    made = []
    for i in range(count):
        rng = random.Random(f"{root} {payload.name} {i}")
        pair = tuple(wildcards.drawn(text, rng) if wildcards.open(text) else text for text in texts)
        one = _named(payload, i, count, (pair[0], pair[1]))
        seed = (payload.seed + i) % (MAX_SEED + 1) if payload.seed >= 0 else -1
        made.append(dataclasses.replace(one, seed=seed, batch_size=1, n_iter=1) if count > 1 else one)
    return made


def _named(payload: Payload, i: int, count: int, texts: tuple[str, str]) -> Payload:
    name = payload.name if count == 1 else f"{payload.name} {i + 1}"
    prompt, negative = texts
    return dataclasses.replace(payload, name=name, prompt=prompt, negative_prompt=negative, wildcards="off")
