"""What becomes of a trial when its calibration, or what people say of its images, changes."""

from __future__ import annotations

import dataclasses
import time

from lib_optim.plan.records import Trial
from lib_optim.run.choosing import Objectives
from lib_optim.run.marks import ALL_LEFT_OUT, rejudged
from lib_optim.run.passes import Passes
from lib_optim.run.scores import ScoreBook

__all__ = ["revalued"]


def revalued(trial: Trial, at_work: bool, passes: Passes, book: ScoreBook, objectives: Objectives) -> Trial | None:
    """Return `trial` in line with its calibration and what people said of its images; None if it stays as it is.

    Args:
        trial: It, as recorded.
        at_work: Whether the worker takes it to its end: a score must not end it before.
        passes: The passes.
        book: The scores.
        objectives: What the axes are.
    """
    run_pass, number = passes.of(trial), trial.number
    if run_pass.manual:
        left = trial.state == "waiting" and not at_work
        if not (trial.state == "complete" or left or rejudged(trial.reason)):
            return None
        now = _judged(trial, book)
    elif book.worth.calibrates(run_pass) and trial.state == "complete":
        now = dataclasses.replace(trial, value=book.worth.value(number, book.sheet.counting(number)))
    else:
        return None
    now = objectives.valued(now)
    same = (now.state, now.value, now.reason, now.axes) == (trial.state, trial.value, trial.reason, trial.axes)
    return None if same else now


def _judged(trial: Trial, book: ScoreBook) -> Trial:
    number = trial.number
    if broken := book.sheet.broken(number):
        return dataclasses.replace(trial, state="failed", value=None, reason=broken)
    if not book.whole(number):  # it was given up half-way
        return dataclasses.replace(trial, state="running", value=None, reason="")
    if book.human.waiting(number):
        return dataclasses.replace(trial, state="waiting", value=None, reason="")
    if not book.sheet.counting(number):
        return dataclasses.replace(trial, state="skipped", value=None, reason=ALL_LEFT_OUT)
    book.human.leave_unrated(number)
    value, finished = book.worth.value(number), trial.finished if trial.state == "complete" else time.time()
    return dataclasses.replace(trial, state="complete", value=value, reason="", finished=finished)
