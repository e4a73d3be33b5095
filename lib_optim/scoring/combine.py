"""From raw scores to the one number that the search maximises.

1. **Scale.** One judge whose higher is better keeps its raw scores, so that users see numbers they know, unless
   `Combining.scale` says ``calibrated``. In every other case a raw score s is mapped, strictly increasing in quality:

   - ``typical``: linearly, so that the judge's `typical` bad and good become 0 and 1, not clipped;
   - ``calibrated``: z = (s − median) / spread of its scores on this payload at the start of the search
     (`lib_optim.scoring.calibration`), turned round where lower is better; within ±3 as it is, beyond that
     ±(3 + ln(1 + |z| − 3)): an outlier counts as one, is not clipped, and cannot outweigh everything else. Ratings by
     hand are on a scale of the person's own already, and at the start there are few: (rating − 5) / 2.5, always.
     Until the calibration is frozen, values are provisional, and of the typical scale.

2. **Image**: the mean (`Combining.mean`) over the judges of its payload, by their weights. A judge whose scores on a
   payload were all the same at the start says nothing there, and is left out on the calibrated scale.
3. **Payload**: (1 − λ) · mean over its seeds + λ · the worst of them, λ = `Combining.spread`. With two seeds this is
   their mean less λ standard deviations. A penalty on the standard deviation itself could fall when a score rises;
   this form cannot, for 0 <= λ <= 1.
4. **Trial**: the mean (`Combining.payload_mean`) over the payloads, by score weight times number of images.

For the means that need positive numbers, bad = 0 and good = 1 on the typical scale, -3 and 3 on the calibrated one.
No step falls when a score gets better, so neither does the value. Sums are taken with `math.fsum`, which rounds once:
the order of scorers and images cannot change a value's last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence

from lib_optim.plan.calibration import Calibration
from lib_optim.plan.combining import AS_BEFORE, Combining
from lib_optim.plan.errors import ScorerError
from lib_optim.plan.payload import ImageJob
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring.means import mean_of
from lib_optim.scoring.registry import scorer_row

__all__ = ["Combination", "bent", "image_value", "mapped", "trial_value"]

_LINEAR = 3.0  # a z score up to here is taken as it is
_BY_HAND = (5.0, 2.5)  # median and spread of a rating from 0 to 10
_Map = Callable[[float], float]


def bent(z: float) -> float:
    """Return `z` as it is within ±3, and beyond that growing like its logarithm."""
    far = abs(z) - _LINEAR
    return z if far <= 0 else math.copysign(_LINEAR + math.log1p(far), z)


def mapped(scorer: str, raw: float) -> float:
    """Return `raw` on the scale where the scorer's typical bad is 0 and its typical good is 1.

    Raises:
        ScorerError: `raw` is not finite.
    """
    bad, good = scorer_row(scorer).typical
    return (_finite(scorer, raw) - bad) / (good - bad)


class Combination:
    """What turns the raw scores of a pass, or of one of its objectives, into values. Immutable, and quick to ask.

    Args:
        specs: The scorers that decide, at least one, with weights above 0.
        how: The user's choice.
        calibration: The frozen one, or None before.

    Raises:
        ScorerError: There is no scorer.
        PlanError: There is no such scorer any more.
    """

    def __init__(
        self, specs: Sequence[ScorerSpec], how: Combining = AS_BEFORE, calibration: Calibration | None = None
    ) -> None:
        if not specs:
            raise ScorerError("No scorer was chosen, so images have no value; choose at least one.")
        self.specs, self._how = tuple(specs), how
        self._rows = {spec.key: scorer_row(spec.id) for spec in specs}
        self._calibration = calibration if how.calibrates(len(specs)) else None
        only = self._rows[specs[0].key]
        self._raw = self._calibration is None and len(specs) == 1 and not only.lower_is_better
        self._ends = only.typical if self._raw else (-_LINEAR, _LINEAR) if self._calibration else (0.0, 1.0)
        self._judges: dict[str, list[tuple[ScorerSpec, _Map]]] = {}

    def judges(self, payload: str) -> list[tuple[ScorerSpec, _Map]]:
        """Return who says something of the images of a payload, and what brings their raw scores to one scale."""
        found = self._judges.get(payload)
        if found is None:
            asked = ((spec, self._map(spec, payload)) for spec in self.specs if spec.judges(payload))
            found = self._judges[payload] = [(spec, scale) for spec, scale in asked if scale is not None]
        return found

    def _map(self, spec: ScorerSpec, payload: str) -> _Map | None:
        row, name = self._rows[spec.key], spec.id
        if self._raw:
            return lambda raw: _finite(name, raw)
        if self._calibration is None:
            bad, good = row.typical
            return lambda raw: (_finite(name, raw) - bad) / (good - bad)
        middle, spread = _BY_HAND
        if not row.manual:
            known = self._calibration.row(spec.key, payload)
            if known is None or known.spread <= 0:
                return None
            middle, spread = known.median, -known.spread if row.lower_is_better else known.spread
        return lambda raw: bent((_finite(name, raw) - middle) / spread)

    def image(self, raw: Mapping[str, float], payload: str, unrated: bool = False) -> float | None:
        """Return the value of one image, higher is better; see `image_value`. None also where nobody judges it."""
        judges = self.judges(payload)
        if unrated:
            judges = [(spec, scale) for spec, scale in judges if spec.key in raw or not self._rows[spec.key].manual]
        if not judges or any(spec.key not in raw for spec, _ in judges):
            return None
        values = [scale(raw[spec.key]) for spec, scale in judges]
        return mean_of(self._how.mean, values, [spec.weight for spec, _ in judges], *self._ends)

    def trial(
        self,
        raw: Mapping[int, Mapping[str, float]],
        jobs: Sequence[ImageJob],
        skipped: Collection[int] = (),
        unrated: Collection[int] = (),
    ) -> float:
        """Return the value of one trial; see `trial_value`."""
        counting = [job for job in jobs if job.payload.score_weight > 0 and job.index not in skipped]
        if not counting:
            raise ScorerError("No image of this trial counts: all were skipped, or their payloads have score weight 0.")
        counting = [job for job in counting if self.judges(job.payload.name)]
        if not counting:
            raise ScorerError("No judge looks at the payloads of those images of this trial that count.")
        values = [self._counted(raw.get(job.index, {}), job, job.index in unrated) for job in counting]
        weights = [job.payload.score_weight for job in counting]
        if self._how.payload_mean == "arithmetic" and not self._how.spread:
            return mean_of("arithmetic", values, weights)
        groups: dict[str, list[int]] = {}
        for i, job in enumerate(counting):
            groups.setdefault(job.payload.name, []).append(i)
        each = [self._payload([values[i] for i in group]) for group in groups.values()]
        shares = [math.fsum(weights[i] for i in group) for group in groups.values()]
        return mean_of(self._how.payload_mean, each, shares, *self._ends)

    def _counted(self, raw: Mapping[str, float], job: ImageJob, unrated: bool) -> float:
        value = self.image(raw, job.payload.name, unrated)
        if value is None:
            missing = ", ".join(spec.key for spec, _ in self.judges(job.payload.name) if spec.key not in raw)
            raise ScorerError(f"Image {job.index + 1} of payload '{job.payload.name}' has no score by {missing}.")
        return value

    def _payload(self, seeds: Sequence[float]) -> float:
        mean, worst = mean_of("arithmetic", seeds, [1.0] * len(seeds)), min(seeds)
        return (1 - self._how.spread) * mean + self._how.spread * worst if mean != worst else mean


def image_value(
    raw: Mapping[str, float],
    specs: Sequence[ScorerSpec],
    unrated: bool = False,
    payload: str = "",
    how: Combining = AS_BEFORE,
) -> float | None:
    """Return the value of one image, higher is better, or None while a scorer of `specs` is missing in `raw`.

    Args:
        raw: Scorer key to raw score. Others than those of `specs` are ignored.
        specs: The scorers of the run, at least one, with weights above 0.
        unrated: Whether ratings by hand may be missing; the value is then the mean of the others, on the same scale.
        payload: The name of its payload.
        how: How scores are combined, without a calibration.

    Raises:
        ScorerError: A raw score is not finite, or there is no scorer.
    """
    return Combination(specs, how).image(raw, payload, unrated)


def trial_value(
    raw: Mapping[int, Mapping[str, float]],
    jobs: Sequence[ImageJob],
    specs: Sequence[ScorerSpec],
    skipped: Collection[int] = (),
    unrated: Collection[int] = (),
    how: Combining = AS_BEFORE,
    calibration: Calibration | None = None,
) -> float:
    """Return the value of one trial: the mean over its payloads, weighted by their `score_weight`.

    Args:
        raw: Image index to scorer key to raw score.
        jobs: All images of the trial. Those with weight 0 do not count.
        specs: The scorers of the run.
        skipped: Indices of images that the user skipped; they do not count.
        unrated: Indices of images that the user left to the automatic scorers.
        how: How scores are combined.
        calibration: The frozen one, or None before.

    Raises:
        ScorerError: An image that counts lacks a score, a score is not finite, or no image counts.
    """
    return Combination(specs, how, calibration).trial(raw, jobs, skipped, unrated)


def _finite(scorer: str, raw: float) -> float:
    if not math.isfinite(raw):
        raise ScorerError(f"The scorer {scorer} gave {raw}, which is no score; its trial can't be judged.")
    return float(raw)
