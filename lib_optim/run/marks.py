"""What a person says of an image other than a score: that it is broken, that it shall not count, or nothing at all.

A mark is recorded as a score by a judge of its own name (`Mark`), so that it is append-only, undone by `removed`,
counted once per request id, and read by an older Optim without harm.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Literal, cast

from lib_optim.plan.records import ImageRecord, Score
from lib_optim.run.store import Store

__all__ = ["ALL_LEFT_OUT", "BROKEN", "Mark", "Marks", "known_mark", "names_of", "rejudged"]

Mark = Literal["mark: broken", "mark: left out", "mark: unrated"]
"""``broken``: fails the trial. ``left out``: does not count. ``unrated``: left to the automatic judges."""
_MARKS = ("mark: broken", "mark: left out", "mark: unrated")

BROKEN = "You marked "
"""How the reason of a trial begins that failed because of a broken image."""
ALL_LEFT_OUT = "The user skipped all images that count."


class Marks:
    """The marks of a run, by trial and image. Used under the guard of the score sheet.

    Args:
        store: Where they are recorded.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._of: dict[int, dict[int, set[Mark]]] = {}

    def load(self, score: Score) -> bool:
        """Take over a recorded score if it is a mark; return whether it is."""
        mark = known_mark(score.scorer)
        if mark is None:
            return False
        self._at(score.trial, score.image).add(mark)
        return True

    def put(self, trial: int, image: int, mark: Mark, on: bool, request: str = "") -> bool:
        """Record a mark, or that it is gone; return False for a request id that was seen before."""
        score = Score(trial, image, mark, 1.0 if on else 0.0, request, created=time.time())
        if not (self._store.add_score(score) if on else self._store.remove_score(score)):
            return False
        there = self._at(trial, image)
        there.add(mark) if on else there.discard(mark)
        return True

    def of(self, trial: int, image: int) -> frozenset[Mark]:
        """Return the marks of an image."""
        return frozenset(self._of.get(trial, {}).get(image, ()))

    def marked(self, trial: int, mark: Mark) -> set[int]:
        """Return the images of `trial` with this mark."""
        return {image for image, marks in self._of.get(trial, {}).items() if mark in marks}

    def broken(self, trial: int, images: Mapping[int, ImageRecord], also: Collection[int] = ()) -> str:
        """Return why `trial` fails because of a mark, one sentence, or an empty string.

        Args:
            trial: Its number.
            images: Its images.
            also: Those that were called broken otherwise.
        """
        names = [images[i] for i in sorted(self.marked(trial, "mark: broken").union(also)) if i in images]
        if not names:
            return ""
        first = names[0]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return f"{BROKEN}the image of payload '{first.payload}' with seed {first.seed}{more} as broken."

    def _at(self, trial: int, image: int) -> set[Mark]:
        return self._of.setdefault(trial, {}).setdefault(image, set())


def known_mark(scorer: str) -> Mark | None:
    """Return the mark that is recorded under this key, or None if that is a judge's."""
    return cast("Mark", scorer) if scorer in _MARKS else None


def names_of(marks: Collection[Mark]) -> list[str]:
    """Return marks as the page names them: ``broken``, ``left out``, ``unrated``."""
    return sorted(mark.removeprefix("mark: ") for mark in marks)


def rejudged(reason: str) -> bool:
    """Tell whether a trial that ended for this reason did so because of marks, which may go again."""
    return reason.startswith(BROKEN) or reason == ALL_LEFT_OUT
