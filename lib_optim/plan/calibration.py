"""What a judge's scores looked like at the start of a search: what its later ones are measured by, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from lib_optim.plan.noun import Noun

__all__ = ["Calibration", "CalibrationRow"]


@dataclass(frozen=True)
class CalibrationRow(Noun):
    """The scores of one judge on one payload.

    Attributes:
        scorer: Key of the judge.
        payload: Name of the payload; empty: all of them together, which is what an unknown payload is measured by.
        median: Of the raw scores.
        spread: Robust standard deviation of the raw scores, see `lib_optim.scoring.calibration`; 0 if they are all the
            same, so that the judge says nothing of this payload.
        n: How many scores there were.
    """

    scorer: str
    payload: str
    median: float
    spread: float
    n: int


@dataclass(frozen=True)
class Calibration(Noun):
    """All judges of a search on all of its payloads. `trials` are those whose scores made it."""

    rows: tuple[CalibrationRow, ...]
    trials: tuple[int, ...] = ()

    def row(self, scorer: str, payload: str) -> CalibrationRow | None:
        """Return what a score of `scorer` on `payload` is measured by; None for a judge that was not there."""
        return self._by_key.get((scorer, payload)) or self._by_key.get((scorer, ""))

    @cached_property
    def _by_key(self) -> Mapping[tuple[str, str], CalibrationRow]:
        return {(row.scorer, row.payload): row for row in self.rows}
