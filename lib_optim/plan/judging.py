"""How a person judges: a number per image, the better one of two, or the best and the worst of a grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lib_optim.plan.errors import Problem
from lib_optim.plan.scorers import MANUAL, ScorerSpec

__all__ = ["WAYS", "Comparison", "Judging", "comparing_problems", "judging_of"]

WAYS = ("rate", "pairs", "grid")
MOST_COMPARISONS = 10
GRID = (3, 9)
_COMPARISONS = {"pairs": 2, "grid": 1}
_PICTURES = 4


@dataclass(frozen=True)
class Judging:
    """How a person compares the images of trials, as the options of the scorer ``manual`` say.

    Attributes:
        key: What the values that come of it are called among the raw scores.
        way: ``pairs`` or ``grid``.
        comparisons: How many answers a trial needs, 1 to 10; fewer where there is nothing to compare it with. Two of
            pairs and one of a grid if the options do not say: docs/rating.md has the figures.
        pictures: How many images a question shows: 2, or those of a grid, 3 to 9.
    """

    key: str
    way: str
    comparisons: int
    pictures: int


@dataclass(frozen=True)
class Comparison:
    """What a person said of some images, or (`undoes`) takes back. A row of the record, never changed.

    Attributes:
        pass_id: The pass that its trials belong to.
        shown: Trial and image of each, in the order in which they were shown; the image is the same in all.
        outcome: ``better``, ``tie``, ``broken``, ``skipped`` or ``undone``.
        best: The trial whose image is the best, for ``better``.
        worst: The trial whose image is the worst, for ``better``.
        broken: The trials whose images are broken, for ``broken``.
        subjects: Those of the trials that waited for it.
        request: Id of the click.
        undoes: The request that is taken back, for ``undone``.
        created: Unix time.
    """

    pass_id: int
    shown: tuple[tuple[int, int], ...] = ()
    outcome: Literal["better", "tie", "broken", "skipped", "undone"] = "better"
    best: int | None = None
    worst: int | None = None
    broken: tuple[int, ...] = ()
    subjects: tuple[int, ...] = field(default=())
    request: str = ""
    undoes: str = ""
    created: float = 0.0

    @property
    def pictures(self) -> frozenset[tuple[int, int]]:
        """What was shown, in whatever order."""
        return frozenset(self.shown)


def judging_of(scorers: Sequence[ScorerSpec]) -> Judging | None:
    """Return how a person compares, where one does so among `scorers`, which are without problems; else None."""
    for spec in scorers:
        way = str(spec.options.get("way", "rate"))
        if spec.id == MANUAL and way != "rate":
            pictures = 2 if way == "pairs" else int(spec.options.get("pictures", _PICTURES))
            return Judging(spec.key, way, int(spec.options.get("comparisons", _COMPARISONS[way])), pictures)
    return None


def comparing_problems(scorers: Sequence[ScorerSpec]) -> Iterator[Problem]:
    """Yield why a person cannot judge as `scorers` say."""
    for i, spec in enumerate(scorers):
        way = spec.options.get("way", "rate")
        if spec.id != MANUAL or way == "rate":
            continue
        if spec.name or sum(other.id == MANUAL for other in scorers) > 1:
            yield Problem(
                f"scorers[{i}].options.way",
                "Comparing images says one thing of them, so there cannot be several ratings; take their names out, or "
                "rate each image.",
            )
        for name, (least, most), what in (
            ("comparisons", (1, MOST_COMPARISONS), "The comparisons per trial"),
            *((("pictures", GRID, "The pictures of a grid"),) if way == "grid" else ()),
        ):
            given = spec.options.get(name, least)
            if isinstance(given, int | float) and not (float(given).is_integer() and least <= given <= most):
                yield Problem(
                    f"scorers[{i}].options.{name}",
                    f"{what} must be a whole number from {least} to {most}, not {given:g}.",
                )
