"""From raw scores to the one number that the search maximises.

One scorer whose higher is better: the value IS its raw score, so that users see numbers they know. In every other
case (several scorers, or one whose lower is better) each raw score is first mapped linearly so that the scorer's
`typical` bad and good become 0 and 1, not clipped, and the value is the mean of those, weighted by `ScorerSpec.weight`.
Both maps are strictly increasing in quality, so within one run they order trials alike for one scorer.

Sums are taken with `math.fsum`, which rounds once: the order of scorers and images cannot change a value's last bit.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.payload import ImageJob
from lib_optim.plan.scorers import MANUAL, ScorerSpec
from lib_optim.scoring.registry import scorer_row

__all__ = ["image_value", "mapped", "trial_value"]


def mapped(scorer: str, raw: float) -> float:
    """Return `raw` on the scale where the scorer's typical bad is 0 and its typical good is 1.

    Raises:
        ScorerError: `raw` is not finite.
    """
    if not math.isfinite(raw):
        raise ScorerError(f"The scorer {scorer} gave {raw}, which is no score; its trial can't be judged.")
    bad, good = scorer_row(scorer).typical
    return (raw - bad) / (good - bad)


def image_value(raw: Mapping[str, float], specs: Sequence[ScorerSpec], unrated: bool = False) -> float | None:
    """Return the value of one image, higher is better, or None while a scorer of `specs` is missing in `raw`.

    Args:
        raw: Scorer key to raw score. Others than those of `specs` are ignored.
        specs: The scorers of the run, at least one, with weights above 0.
        unrated: Whether ratings by hand may be missing; the value is then the mean of the others, on the same scale.

    Raises:
        ScorerError: A raw score is not finite, or there is no scorer.
    """
    if not specs:
        raise ScorerError("No scorer was chosen, so images have no value; choose at least one.")
    given = [spec for spec in specs if spec.key in raw or not (unrated and spec.id == MANUAL)]
    if not given or any(spec.key not in raw for spec in given):
        return None
    values = [mapped(spec.id, raw[spec.key]) for spec in given]
    if len(specs) == 1 and not scorer_row(specs[0].id).lower_is_better:
        return float(raw[specs[0].key])
    return _weighted_mean(values, [spec.weight for spec in given])


def trial_value(
    raw: Mapping[int, Mapping[str, float]],
    jobs: Sequence[ImageJob],
    specs: Sequence[ScorerSpec],
    skipped: Collection[int] = (),
    unrated: Collection[int] = (),
) -> float:
    """Return the value of one trial: the mean of its images' values, weighted by their payload's `score_weight`.

    Args:
        raw: Image index to scorer key to raw score.
        jobs: All images of the trial. Those with weight 0 do not count.
        specs: The scorers of the run.
        skipped: Indices of images that the user skipped; they do not count.
        unrated: Indices of images that the user left to the automatic scorers.

    Raises:
        ScorerError: An image that counts lacks a score, a score is not finite, or no image counts.
    """
    counting = [job for job in jobs if job.payload.score_weight > 0 and job.index not in skipped]
    if not counting:
        raise ScorerError("No image of this trial counts: all were skipped, or their payloads have score weight 0.")
    values: list[float] = []
    for job in counting:
        value = image_value(raw.get(job.index, {}), specs, job.index in unrated)
        if value is None:
            missing = ", ".join(spec.key for spec in specs if spec.key not in raw.get(job.index, {}))
            raise ScorerError(f"Image {job.index + 1} of payload '{job.payload.name}' has no score by {missing}.")
        values.append(value)
    return _weighted_mean(values, [job.payload.score_weight for job in counting])


def _weighted_mean(values: Sequence[float], weights: Sequence[float]) -> float:
    if len(set(values)) == 1:
        return values[0]
    return math.fsum(v * w for v, w in zip(values, weights, strict=True)) / math.fsum(weights)
