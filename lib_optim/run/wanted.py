"""Which judges an image of a pass needs: those of its payload, automatic ones and a person's ratings."""

from __future__ import annotations

from lib_optim.plan.payload import ImageJob
from lib_optim.plan.records import ImageRecord
from lib_optim.plan.scorers import MANUAL, ScorerSpec
from lib_optim.run.passes import RunPass

__all__ = ["automatic", "automatic_keys", "by_hand", "can_hand_over", "rating_keys", "same_payload"]


def automatic(run_pass: RunPass) -> tuple[ScorerSpec, ...]:
    """Return the automatic judges of a pass, those that are only watched included."""
    return tuple(spec for spec in run_pass.record.scorers if spec.id != MANUAL)


def by_hand(run_pass: RunPass) -> tuple[ScorerSpec, ...]:
    """Return the ratings that a pass asks a person for."""
    return tuple(spec for spec in run_pass.record.scorers if spec.id == MANUAL)


def automatic_keys(run_pass: RunPass, index: int) -> set[str]:
    """Return the automatic judges of the image `index`."""
    payload = run_pass.jobs[index].payload.name
    return {spec.key for spec in automatic(run_pass) if spec.judges(payload)}


def rating_keys(run_pass: RunPass, index: int) -> set[str]:
    """Return the ratings that a person is asked for the image `index`."""
    payload = run_pass.jobs[index].payload.name
    return {spec.key for spec in by_hand(run_pass) if spec.judges(payload)}


def same_payload(run_pass: RunPass, image: ImageRecord) -> list[ImageJob]:
    """Return the images of a trial that belong to the payload of `image`."""
    payload = run_pass.jobs[image.index].payload
    return [job for job in run_pass.jobs if job.payload.name == payload.name]


def can_hand_over(run_pass: RunPass) -> bool:
    """Whether there are automatic judges, for each goal and each payload that counts, to decide alone."""
    specs, axes = run_pass.record.deciding, run_pass.record.axes
    goals = [[spec for spec in specs if spec.axis == axis] for axis in axes] or [list(specs)]
    counting = [payload for payload in run_pass.record.payloads if payload.score_weight > 0]
    judged = ([spec for spec in goal if spec.judges(p.name)] for goal in goals for p in counting)
    alone = all(any(spec.id != MANUAL for spec in judges) for judges in judged if judges)
    return alone and all(any(spec.id != MANUAL for spec in goal) for goal in goals)
