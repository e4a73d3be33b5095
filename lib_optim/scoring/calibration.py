"""Fits what judges' scores are measured by to the trials that a search began with.

Per judge and payload, over all images of these trials: the median, and 1.4826 times the median distance from it, which
for normally distributed scores is their standard deviation and which a few broken pictures do not move. Where more than
half of the scores are equal that is 0, and the standard deviation is taken; where all are equal the spread stays 0.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from lib_optim.plan.calibration import Calibration, CalibrationRow

__all__ = ["calibrated", "calibration_row", "silent"]

_SAME = 1e-6
"""A spread below this share of the largest score is rounding, not difference."""


def calibration_row(scorer: str, payload: str, scores: Sequence[float]) -> CalibrationRow:
    """Return the row for `scores`, at least one."""
    median = statistics.median(scores)
    least = _SAME * max(abs(score) for score in scores)
    spread = 1.4826 * statistics.median(abs(score - median) for score in scores)
    if spread <= least:
        spread = statistics.pstdev(scores)
    return CalibrationRow(scorer, payload, median, spread if spread > least else 0.0, len(scores))


def calibrated(
    scores: Mapping[tuple[str, str], Sequence[float]], trials: Iterable[int], known: Iterable[CalibrationRow] = ()
) -> Calibration:
    """Return the calibration.

    Args:
        scores: Key of the judge and name of the payload to raw scores.
        trials: Where they come from.
        known: Rows that stand as they are, of the run that this one was forked from.
    """
    rows = {(row.scorer, row.payload): row for row in known}
    for (scorer, payload), values in scores.items():
        if values and (scorer, payload) not in rows:
            rows[scorer, payload] = calibration_row(scorer, payload, values)
    for scorer in dict.fromkeys(scorer for scorer, _ in list(rows)):
        if (scorer, "") not in rows:
            rows[scorer, ""] = _all_payloads(scorer, [row for row in rows.values() if row.scorer == scorer])
    return Calibration(tuple(rows[key] for key in sorted(rows)), tuple(sorted(trials)))


def _all_payloads(scorer: str, rows: Sequence[CalibrationRow]) -> CalibrationRow:
    """What a payload is measured by that the search does not have: the middle of those that it has."""
    spreads = [row.spread for row in rows if row.spread > 0]
    spread = statistics.median(spreads) if spreads else 0.0
    return CalibrationRow(scorer, "", statistics.median(row.median for row in rows), spread, sum(row.n for row in rows))


def silent(calibration: Calibration) -> list[CalibrationRow]:
    """Return the rows of judges that say nothing of a payload."""
    return [row for row in calibration.rows if row.payload and row.spread <= 0]
