"""Which parameters matter, as far as a run's trials can tell, and how sure that is.

A Gaussian process with one length scale per parameter explains the scores. A parameter's **total effect** (Homma &
Saltelli 1996) is half the mean squared change of the explained score when this parameter alone is drawn anew over its
range and all others stay as they were in a trial; its share is that over the sum of all. How sure the shares are is
read from fits to random parts of the trials (delete-d jackknife, Shao & Wu 1989); whether they mean anything at all,
from how well those fits predict the trials they did not see.

On synthetic scores with known effects this names the important parameters more reliably than PED-ANOVA, which is what
Optuna offers without scikit-learn (tests/search/test_importance.py, docs/search.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib_optim.plan.bounds import Bound, Value
from lib_optim.plan.dimensions import Parameter
from lib_optim.plan.records import Trial
from lib_optim.search.gp_fit import Fit, fit, kernel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["FEWEST_TRIALS", "IDLE_TRIALS", "LEAST_EXPLAINED", "SMALL_SHARE", "Importance", "Importances", "importances"]

FEWEST_TRIALS = 12
IDLE_TRIALS = 2.0
"""Trials per parameter before any is called idle. With fewer, a search that goes where scores are good makes parameters
look idle that are not (measured: docs/search.md)."""
LEAST_EXPLAINED = 0.2
"""Part of the left-out scores' variance that must be predicted before anything is said."""
SMALL_SHARE = 0.1
"""What all parameters that "do not matter" may have together, by the upper end of what the trials allow."""

_MOST_TRIALS = 150  # the newest; the cost grows with their third power
_PARTS = 10
_KEPT = 0.8
_STEPS = 40
_LEVELS = 6  # at which a range is sampled


@dataclass(frozen=True)
class Importance:
    """One parameter.

    Attributes:
        name: The parameter.
        share: Its part of the sum of all total effects, 0 to 1.
        low: Lower end of what the trials allow (two standard errors).
        high: Upper end.
        swing: Typical change (root mean square) of the score when it alone is drawn anew, in units of the score.
    """

    name: str
    share: float
    low: float
    high: float
    swing: float


@dataclass(frozen=True)
class Importances:
    """What can be said.

    Attributes:
        trials: How many were looked at.
        explained: Predicted part of the variance of scores that a fit had not seen; at most 1, below 0 if worse than
            their mean.
        rows: One per parameter, in their order; empty where the trials do not tell.
        idle: Parameters that together have at most `SMALL_SHARE`, the least first.
        idle_share: Upper end of their share together.
        caution: Why `idle` is empty although shares are given, one sentence, or empty.
        problem: Why nothing can be said, one sentence, or empty.
    """

    trials: int
    explained: float = 0.0
    rows: tuple[Importance, ...] = ()
    idle: tuple[str, ...] = ()
    idle_share: float = 0.0
    caution: str = ""
    problem: str = ""


def importances(parameters: Sequence[Parameter], trials: Sequence[Trial], seed: int = 0) -> Importances:
    """Return what `trials` tell about `parameters`. Seconds of CPU at most; deterministic.

    Args:
        parameters: The searched ones; a trial holds a value of each.
        trials: Of one pass, whose scores can be compared; those without a value are left out.
        seed: For drawing the parts.
    """
    import numpy as np

    done = [t for t in trials if t.state == "complete" and t.value is not None and math.isfinite(t.value)]
    done = done[-_MOST_TRIALS:]
    if len(done) < FEWEST_TRIALS:
        scored = "no trial is scored" if not done else f"{len(done)} {'is' if len(done) == 1 else 'are'} scored"
        return Importances(
            len(done),
            problem=f"Too few trials: {scored}, and it takes at least {FEWEST_TRIALS} for {len(parameters)} "
            "parameters.",
        )
    scores = np.array([trial.value for trial in done], dtype=float)
    spread = float(scores.std())
    if spread <= 1e-12 * float(np.abs(scores).max()):
        return Importances(len(done), problem="All trials have the same score, so nothing tells parameters apart.")
    columns = [_Column(p.bound, [trial.values[p.name] for trial in done]) for p in parameters]
    differences = np.stack([column.differences for column in columns])
    standard = (scores - scores.mean()) / spread
    shares, explained = _by_parts(columns, differences, standard, np.random.default_rng(seed))
    if explained < LEAST_EXPLAINED:
        return Importances(
            len(done),
            explained,
            problem=f"The {len(done)} trials so far do not tell which parameters matter: a model of most of them "
            "hardly predicts the scores of the rest. More trials may.",
        )
    effects = _effects(fit(differences, standard, _STEPS), columns, differences)
    share = effects / max(float(effects.sum()), 1e-12)
    error = _errors(shares, share, len(done))
    rows = tuple(
        Importance(p.name, float(s), max(float(s - 2 * e), 0.0), min(float(s + 2 * e), 1.0), math.sqrt(2 * v) * spread)
        for p, s, e, v in zip(parameters, share, error, effects, strict=True)
    )
    needed = math.ceil(IDLE_TRIALS * len(parameters))
    if len(done) < needed:
        caution = (
            f"{len(done)} trials are too few to say of any of {len(parameters)} parameters that it does not matter "
            f"(that takes about {needed}); the bars are a first impression."
        )
        return Importances(len(done), explained, rows, caution=caution)
    order = np.argsort([row.high for row in rows], kind="stable")
    together = np.cumsum(share[order])
    limits = together + 2 * _errors(np.cumsum(shares[:, order], axis=1), together, len(done))
    few = int(np.searchsorted(np.maximum.accumulate(limits), SMALL_SHARE, side="right"))
    few = min(few, len(rows) - 1)
    idle = tuple(rows[i].name for i in order[:few])
    return Importances(len(done), explained, rows, idle, float(limits[few - 1]) if few else 0.0)


def _by_parts(
    columns: Sequence[_Column], differences: Floats, standard: Floats, rng: np.random.Generator
) -> tuple[Floats, float]:
    """Fit random parts; return their shares, shape (parts, D), and how much of the left-out variance they predict."""
    import numpy as np

    n = len(standard)
    shares, missed, spread = [], 0.0, 0.0
    for _ in range(_PARTS):
        order = rng.permutation(n)
        part, rest = order[: _kept(n)], order[_kept(n) :]
        middle = float(standard[part].mean())
        fitted = fit(differences[:, part][:, :, part], standard[part] - middle, _STEPS)
        effects = _effects(fitted, [column.part(part) for column in columns], differences[:, part][:, :, part])
        shares.append(effects / max(float(effects.sum()), 1e-12))
        squares = np.tensordot(1.0 / fitted.lengths**2, differences[:, rest][:, :, part], 1)
        predicted = middle + fitted.signal * kernel(squares) @ fitted.weights
        missed += float(((standard[rest] - predicted) ** 2).sum())
        spread += float(((standard[rest] - middle) ** 2).sum())
    return np.array(shares), 1.0 - missed / max(spread, 1e-12)


def _kept(n: int) -> int:
    return int(n * _KEPT)


def _errors(parts: Floats, whole: Floats, n: int) -> Floats:
    """Return standard errors; the spread over parts is that of smaller samples which share most of their trials."""
    blow = _kept(n) / (n - _kept(n))
    return (blow * ((parts - whole) ** 2).mean(axis=0)) ** 0.5


def _effects(fitted: Fit, columns: Sequence[_Column], differences: Floats) -> Floats:
    """Return the total effect of each parameter, in standardised units."""
    import numpy as np

    inverse = 1.0 / fitted.lengths**2
    squares = np.tensordot(inverse, differences, 1)
    here = kernel(squares) @ fitted.weights
    effects = np.empty(len(columns))
    for i, column in enumerate(columns):
        others = np.maximum(squares - inverse[i] * differences[i], 0.0)
        moves = [
            float(((kernel(others + inverse[i] * column.from_level(level)) @ fitted.weights - here) ** 2).mean())
            for level in column.levels
        ]
        effects[i] = fitted.signal**2 * sum(moves) / len(moves) / 2
    return effects


class _Column:
    """One parameter in all trials, on a scale of 0 to 1; choices as corners at distance 1 of each other."""

    def __init__(self, bound: Bound, values: Sequence[Value]) -> None:
        import numpy as np

        if bound.kind in ("float", "int"):
            low, high = float(bound.low or 0.0), float(bound.high or 0.0)
            numbers = np.array(values, dtype=float)
            if bound.log:
                low, high, numbers = math.log(low), math.log(high), np.log(numbers)
            self.points = ((numbers - low) / (high - low))[:, None]
            self.levels = ((np.arange(_LEVELS) + 0.5) / _LEVELS)[:, None]
        else:
            choices: tuple[Value, ...] = (False, True) if bound.kind == "bool" else bound.choices
            self.levels = np.eye(len(choices)) / math.sqrt(2.0)
            self.points = self.levels[[choices.index(value) for value in values]]

    @property
    def differences(self) -> Floats:
        """Squared differences between trials, shape (n, n)."""
        squared: Floats = ((self.points[:, None, :] - self.points[None, :, :]) ** 2).sum(-1)
        return squared

    def from_level(self, level: Floats) -> Floats:
        """Squared differences between `level` and each trial, shape (1, n)."""
        squared: Floats = ((self.points - level) ** 2).sum(-1)[None, :]
        return squared

    def part(self, chosen: NDArray[np.int64]) -> _Column:
        """Return the column of some of the trials."""
        part = _Column.__new__(_Column)
        part.points, part.levels = self.points[chosen], self.levels
        return part
