"""A new run from an earlier one: what stays the same is taken over, what changed is scored anew.

A trial of the parent enters the fork if its merge is one that the fork's space holds, with the recipe that its images
were made with, and all images that the fork asks for are stored. Their files are linked (copied where a disk cannot
link), scores of unchanged judges are kept, and the worker lets the other judges score the stored images: nothing is
generated again. The parent's folder is only read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib_optim.hosts.base import Host
from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import StoreError
from lib_optim.plan.payload import ImageJob, same_picture
from lib_optim.plan.records import ImageRecord, Score, Trial
from lib_optim.plan.scorers import by_hand
from lib_optim.run.check import Resolved
from lib_optim.run.comparisons import Comparisons, taken_over
from lib_optim.run.folder import RunFolder
from lib_optim.run.guarding import GUARD, carry_waived
from lib_optim.run.passes import Passes, RunPass
from lib_optim.run.recorded import Recorded
from lib_optim.run.results import image_file
from lib_optim.run.sameness import same_judges, same_models, translated
from lib_optim.run.saving import open_merger
from lib_optim.run.store import Store
from lib_optim.run.valuing import carry
from lib_optim.scoring.prompts import scoring_text
from lib_optim.search.stopping import rescored_origin

__all__ = ["Taken", "take_over"]


@dataclass(frozen=True)
class Taken:
    """What entered the fork.

    Attributes:
        trials: Numbers of the trials that need no new image.
        best: The parent's best trial, if it enters with images still to be made; they are made first.
        outside: How many trials lie outside the fork's space.
        remade: How many would need images made again, because payloads, seeds or the merge changed.
    """

    trials: tuple[int, ...] = ()
    best: int | None = None
    outside: int = 0
    remade: int = 0

    @property
    def sentence(self) -> str:
        """Say it."""
        said = f"{_count(len(self.trials), 'trial')} taken over without generating anything"
        if self.best is not None:
            said += f", and the best one, trial {self.best}, is made again first"
        if self.outside:
            said += f"; {_count(self.outside, 'trial')} outside what is searched now"
        if self.remade:
            said += f"; {_count(self.remade, 'trial')} left out whose images would have to be made again"
        return said + "."


@dataclass(frozen=True)
class _Entrant:
    """A trial that lies in the fork's space; `found` are its images that the fork asks for, by the fork's index."""

    trial: Trial
    values: Mapping[str, Value]
    recipe: str
    found: Mapping[int, ImageRecord]


def take_over(parent: Recorded, fork: Resolved, target: RunFolder, host: Host) -> Taken:
    """Fill the empty folder `target` with what the run `parent` has for the plan of `fork`.

    The plan is written last: a folder without one is no run, so a fork that was killed half-way leaves none.

    Raises:
        StoreError: A file cannot be read or written.
        OptimError: The models cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        merger = stack.enter_context(contextlib.closing(open_merger(fork, host, fork.plan.save)))
        record = stack.enter_context(contextlib.closing(Store(parent.folder.record())))
        store = stack.enter_context(contextlib.closing(Store(target.database)))
        passes = {run_pass.id: run_pass for run_pass in parent.passes if run_pass.searches}
        coming = Passes(fork.plan, store).current
        reusable = same_models(parent.resolved, fork)
        entrants: dict[str, _Entrant] = {}
        outside = 0
        for trial in parent.trials:
            if trial.pass_id not in passes:
                continue  # a verification: on other seeds, for the winner alone
            values = translated(trial.values, parent.resolved.space, fork.space)
            if values is None:
                outside += 1
                continue
            digest = merger.recipe(values).digest
            same = reusable and digest == trial.recipe and trial.state != "skipped"
            images = dict(_images(record, trial, passes[trial.pass_id].jobs, coming.jobs)) if same else {}
            key = repr(sorted(values.items()))
            known = entrants.get(key)  # a later pass has its trials of an earlier one again
            if known is None or len(images) >= len(known.found):
                entrants[key] = _Entrant(trial, values, digest, images)
        whole = [e for e in entrants.values() if len(e.found) == len(coming.jobs)]
        rest = [e for e in entrants.values() if len(e.found) < len(coming.jobs)]
        best = next((e for e in rest if parent.best is not None and e.trial.values == parent.best.values), None)
        entering = sorted([*whole, *([best] if best else [])], key=lambda e: e.trial.number)
        for entrant in entering:
            _enter(entrant, passes[entrant.trial.pass_id], coming, parent.folder, target, record, store)
        if coming.judging is not None:
            found = {e.trial.number: {old.index: index for index, old in e.found.items()} for e in entering}
            for comparison in taken_over(Comparisons(record), found, coming.id):
                store.add_comparison(comparison)
        store.set_note("first_number", str(max((trial.number for trial in parent.trials), default=-1) + 1))
        store.set_note("forked_from", parent.folder.name)
        carry_waived(record, store)
        last = next((p for p in reversed(parent.passes) if p.searches and p.record.begun), None)
        if last is not None:
            carry(record, store, last, coming)
    target.write_plan(fork.plan)
    numbers = tuple(sorted(e.trial.number for e in whole))
    return Taken(numbers, best.trial.number if best else None, outside, len(rest) - bool(best))


def _images(
    record: Store, trial: Trial, before: Sequence[ImageJob], now: Sequence[ImageJob]
) -> Iterator[tuple[int, ImageRecord]]:
    """Yield what is stored of the images that `now` asks for: the new index, and the record."""
    stored = {image.index: image for image in record.images(trial.number)}
    for job in now:
        old = next((j for j in before if j.index in stored and same_picture(j, job)), None)
        if old is not None:
            yield job.index, stored[old.index]


def _enter(
    entrant: _Entrant,
    before: RunPass,
    coming: RunPass,
    source: RunFolder,
    target: RunFolder,
    record: Store,
    store: Store,
) -> None:
    number, jobs = entrant.trial.number, {job.index: job for job in coming.jobs}
    judges = {*same_judges(before.record.scorers, coming.record.scorers), GUARD}
    given = record.scores(number)
    images: list[ImageRecord] = []
    scores: list[Score] = []
    for index, image in entrant.found.items():
        payload, old = jobs[index].payload, before.jobs[image.index].payload
        file = "" if image.skipped else image_file(number, index, payload.name, Path(image.file).suffix)
        if file:
            _link(source.path / image.file, target.path / file)
        images.append(dataclasses.replace(image, trial=number, index=index, payload=payload.name, file=file))
        same_text = scoring_text(old) == scoring_text(payload)
        for score in given:
            if (
                score.image == image.index
                and score.scorer in judges
                and (same_text or score.scorer == GUARD or by_hand(score.scorer))
            ):
                # Two new images may be one old one: a request counts once.
                request = f"{score.request} {index}" if score.request else ""
                scores.append(dataclasses.replace(score, image=index, request=request))
    origin = rescored_origin(number) if len(images) == len(jobs) else entrant.trial.origin
    # The time that it took belongs to the parent's budget.
    entered = Trial(
        number, "running", entrant.values, origin, entrant.recipe, started=entrant.trial.started, pass_id=coming.id
    )
    store.put_entered(entered, images, scores)


def _link(source: Path, target: Path) -> None:
    try:
        try:
            os.link(source, target)
        except OSError:  # another disk, or one that has no links
            shutil.copyfile(source, target)
    except OSError as error:
        raise StoreError(
            f"{source.name} of {source.parent.parent.name} cannot be taken over ({error.strerror or error}); is the "
            "disk full, or was the image removed?"
        ) from error


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
