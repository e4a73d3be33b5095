"""How a trial of an earlier pass enters a later one: by its images, which are scored again and never made again."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence

from lib_optim.plan.payload import same_picture
from lib_optim.plan.records import ImageRecord, Score, Trial
from lib_optim.plan.scorers import ScorerSpec, by_hand
from lib_optim.run.guarding import GUARD
from lib_optim.run.passes import RunPass
from lib_optim.run.trials import Trials
from lib_optim.run.wanted import rating_keys
from lib_optim.scoring.prompts import scoring_text
from lib_optim.scoring.registry import scorer_row
from lib_optim.search.stopping import rescored_origin

__all__ = ["entered", "entrants", "untried_start"]


def entrants(trials: Iterable[Trial], coming: RunPass) -> list[Trial]:
    """Return the trials that lie in the space of `coming`, of equal ones the latest, by number.

    Args:
        trials: Those of all earlier searches, in every state.
        coming: The pass; its fixed values are known.
    """
    fixed = coming.record.fixed
    found: dict[str, Trial] = {}
    for trial in trials:
        if trial.state == "complete" and all(trial.values.get(name) == value for name, value in fixed.items()):
            found[repr(sorted(trial.values.items()))] = trial
    return sorted(found.values(), key=lambda trial: trial.number)


def entered(
    trial: Trial, number: int, before: RunPass, coming: RunPass, images: Sequence[ImageRecord], scores: Sequence[Score]
) -> tuple[Trial, list[ImageRecord], list[Score]] | None:
    """Return `trial` as trial `number` of the pass `coming`, with its images and what of its scores still holds.

    None if an image that the pass asks for was never made, or if a human would have to look at it again.
    """
    there = {image.index: image for image in images if not image.skipped}
    taken: list[ImageRecord] = []
    kept: list[Score] = []
    same = {spec.key for spec in coming.record.scorers if any(_same_judge(spec, old) for old in before.record.scorers)}
    for job in coming.jobs:
        old = next((j for j in before.jobs if j.index in there and same_picture(j, job)), None)
        if old is None:
            return None
        record = there[old.index]
        taken.append(dataclasses.replace(record, trial=number, index=job.index, payload=job.payload.name))
        same_text = scoring_text(old.payload) == scoring_text(job.payload)
        given = [s for s in scores if s.image == old.index and s.scorer in same and (same_text or by_hand(s.scorer))]
        given += [s for s in scores if s.image == old.index and s.scorer == GUARD]
        asked = rating_keys(coming, job.index)
        if job.payload.score_weight > 0 and not asked <= {score.scorer for score in given}:
            return None
        kept += [dataclasses.replace(score, trial=number, image=job.index, request="") for score in given]
    again = Trial(
        number, "running", trial.values, rescored_origin(trial.number), trial.recipe, started=time.time(),
        pass_id=coming.id,
    )  # fmt: skip
    return again, taken, kept


def untried_start(run_pass: RunPass, trials: Trials) -> Trial | None:
    """Return the trial (of `trials`) that a later pass starts from, unless its merge is in it already."""
    start = None if run_pass.record.start is None else trials[run_pass.record.start]
    if start is None or any(t.values == start.values for t in trials.of(run_pass)):
        return None
    return start


def _same_judge(a: ScorerSpec, b: ScorerSpec) -> bool:
    """Whether both give an image the same raw score: neither weight nor device matters.

    One that compares images with each other does not: they may have other company now.
    """
    return a.key == b.key and dict(a.options) == dict(b.options) and not scorer_row(a.id).across
