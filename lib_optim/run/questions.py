"""Which images to show next to somebody who compares: a pure function of what was answered so far.

The images of a question have the same payload and the same seed, so that only the merge differs. A new trial meets the
best so far first ("better than best?"); what it meets then is whoever an answer would teach most about: near in
strength, and not yet sure.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lib_optim.scoring.preference import Strengths

__all__ = ["Known", "Question", "next_grid", "next_pair"]

Shown = tuple[tuple[int, int], ...]
"""Trial and image of each picture, in the order in which they are shown."""


@dataclass(frozen=True)
class Question:
    """What a person is asked: which of these is better, or best and worst.

    Attributes:
        shown: The pictures, from left to right; all with the same image index.
        best: The trial among them that was the best so far when it was asked, or None if it is not among them.
    """

    shown: Shown
    best: int | None

    @property
    def image(self) -> int:
        """The image, the same of each trial."""
        return self.shown[0][1]


@dataclass(frozen=True)
class Known:
    """What a question is chosen from.

    Attributes:
        strengths: What the answers so far say.
        images: Trial to the images of it that can be shown.
        answered: The sets of pictures that were judged.
        seed: Of the pass; draws what does not matter.
    """

    strengths: Strengths
    images: Mapping[int, Collection[int]]
    answered: Collection[frozenset[tuple[int, int]]]
    seed: int

    def best(self, trials: Collection[int]) -> int | None:
        """Return the strongest of `trials`; of equals the first."""
        return max(trials, key=lambda trial: (self.strengths.mean(trial), -trial), default=None)

    def telling(self, one: int, other: int) -> float:
        """Return how much an answer would tell of who is stronger: its information times what is not known yet."""
        mean, variance = self.strengths.gap(one, other)
        return variance / (2 * math.cosh(mean / 2)) ** 2

    def times(self, trial: int) -> Counter[int]:
        """Return how often each image of `trial` was shown."""
        return Counter(image for shown in self.answered for number, image in shown if number == trial)

    def draw(self, *about: object) -> random.Random:
        """Return random numbers that depend on the seed and on what they are about."""
        return random.Random(f"question {self.seed} {about}")


def next_pair(subject: int, others: Collection[int], known: Known) -> Question | None:
    """Return the next two pictures for the trial `subject`; None if every possible pair was judged.

    Args:
        subject: A trial that waits for comparisons.
        others: Those that it may be compared with.
        known: What is known so far.
    """
    best = known.best(others)
    open_images = {other: _open_images(subject, other, known) for other in others}
    possible = [other for other in others if open_images[other]]
    if not possible:
        return None
    fresh = not any((subject, image) in shown for shown in known.answered for image in known.images[subject])
    if fresh and best in possible:
        other = best
    else:
        other = max(possible, key=lambda trial: (known.telling(subject, trial), known.strengths.mean(trial), -trial))
    assert other is not None
    image = _by_showing(subject, open_images[other], known, other)[0]
    pair = [(subject, image), (other, image)]
    known.draw("sides", subject, other, image).shuffle(pair)
    return Question(tuple(pair), best if best == other else None)


def next_grid(subjects: Sequence[int], others: Collection[int], known: Known, size: int) -> Question | None:
    """Return the next grid, of up to `size` pictures; None if there is none of two or more that was not judged.

    Args:
        subjects: Trials that wait for comparisons, oldest first; as many as fit are in it, the first for certain.
        others: Those that they may be compared with.
        known: What is known so far.
        size: At least 2.
    """
    first = subjects[0]
    best = known.best(others)
    for image in _by_showing(first, known.images[first], known, "grid"):
        there = [trial for trial in subjects if image in known.images[trial]][: size - bool(others)]
        by_telling = sorted(
            (trial for trial in others if image in known.images[trial] and trial not in there),
            key=lambda trial: (trial != best, -known.telling(first, trial), trial),
        )
        picked = [(trial, image) for trial in [*there, *by_telling][:size]]
        if len(picked) < 2 or frozenset(picked) in known.answered:
            continue
        known.draw("grid", *picked).shuffle(picked)
        return Question(tuple(picked), best if best in {trial for trial, _ in picked} else None)
    return None


def _open_images(one: int, other: int, known: Known) -> list[int]:
    both = set(known.images[one]) & set(known.images[other])
    return [image for image in sorted(both) if frozenset({(one, image), (other, image)}) not in known.answered]


def _by_showing(subject: int, images: Collection[int], known: Known, about: object) -> list[int]:
    """Return `images`, those first that were shown least; among equals chance decides."""
    times = known.times(subject)
    order = sorted(images)
    known.draw("image", subject, about).shuffle(order)
    return sorted(order, key=lambda image: times[image])
