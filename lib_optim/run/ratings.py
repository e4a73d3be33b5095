"""What people said of a run's images, as a table: read from its folder, whether it goes on or has ended."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lib_optim.plan.records import Score
from lib_optim.plan.scorers import MANUAL, by_hand
from lib_optim.run.csv_text import csv_line
from lib_optim.run.folder import RunFolder
from lib_optim.run.marks import known_mark, names_of
from lib_optim.run.passes import Passes
from lib_optim.run.store import Store

__all__ = ["FORMATS", "Rating", "count_rated", "ratings_of", "ratings_text", "whole_ratings"]

FORMATS = ("csv", "json")


@dataclass(frozen=True)
class Rating:
    """One rating, or an image that was only marked (`value` None).

    Attributes:
        run: Name of the run folder.
        trial: Number.
        image: Index in the trial.
        file: Of the image, relative to the run folder.
        payload: Its name.
        seed: Of the image.
        category: Name of the rating where there are several, else empty.
        value: 0 to 10.
        time: When it was given, Unix time.
        marks: ``broken``, ``left out``, ``unrated`` (left to the automatic judges).
        prompt: As typed.
        weight: Of the rating in its pass; no part of the table.
    """

    run: str
    trial: int
    image: int
    file: str
    payload: str
    seed: int
    category: str
    value: float | None
    time: float
    marks: tuple[str, ...]
    prompt: str
    weight: float = 1.0


def ratings_of(folder: RunFolder) -> list[Rating]:
    """Return all ratings that stand, by trial, image and category; and a row for each image that has marks only.

    Raises:
        StoreError: Plan or database cannot be read.
    """
    plan = folder.read_plan()
    if not folder.record().is_file():
        return []
    with contextlib.closing(Store(folder.database)) as store:
        trials = {trial.number: trial for trial in store.trials()}
        if not trials:
            return []
        passes = {run_pass.id: run_pass for run_pass in Passes(plan, store).all}
        given: dict[tuple[int, int], list[Score]] = {}
        for score in store.scores():
            given.setdefault((score.trial, score.image), []).append(score)
        images = store.images()
    found: list[Rating] = []
    for image in sorted(images, key=lambda image: (image.trial, image.index)):
        said = given.get((image.trial, image.index), [])
        run_pass = passes[trials[image.trial].pass_id]
        weights = {spec.key: spec.weight for spec in run_pass.record.scorers if spec.id == MANUAL}
        prompt = run_pass.jobs[image.index].payload.prompt if image.index < len(run_pass.jobs) else ""
        marks = [mark for score in said if (mark := known_mark(score.scorer)) is not None]
        row = Rating(
            folder.name, image.trial, image.index, image.file, image.payload, image.seed, "", None, 0.0,
            tuple(names_of(marks)), prompt,
        )  # fmt: skip
        rated = [
            dataclasses.replace(
                row, category=score.scorer.partition(": ")[2], value=score.raw, time=score.created,
                weight=weights.get(score.scorer, 1.0),
            )
            for score in said
            if by_hand(score.scorer)
        ]  # fmt: skip
        latest = max((score.created for score in said if known_mark(score.scorer) is not None), default=0.0)
        found += rated or ([dataclasses.replace(row, time=latest)] if marks else [])
    return found


def whole_ratings(ratings: Iterable[Rating]) -> list[tuple[Rating, float]]:
    """Return one rating per image file, the weighted mean over its categories where there are several, oldest first.

    Images that were marked as broken or left out are left out here, too; of those that a later pass or a fork has
    again, the rating given last counts.
    """
    by_image: dict[tuple[str, int, int], list[Rating]] = {}
    for rating in ratings:
        if rating.value is not None and not {"broken", "left out"} & set(rating.marks):
            by_image.setdefault((rating.run, rating.trial, rating.image), []).append(rating)
    latest: dict[tuple[str, str], tuple[Rating, float]] = {}
    for rows in by_image.values():
        last = max(rows, key=lambda row: row.time)
        weight = sum(row.weight for row in rows)
        value = sum(row.weight * (row.value or 0.0) for row in rows) / weight
        known = latest.get((last.run, last.file))
        if known is None or known[0].time <= last.time:
            latest[last.run, last.file] = (last, value)
    return sorted(latest.values(), key=lambda pair: (pair[0].time, pair[0].run, pair[0].trial, pair[0].image))


def count_rated(folder: RunFolder) -> int:
    """Return how many images of a run have a rating.

    Raises:
        StoreError: The database cannot be read.
    """
    with contextlib.closing(Store(folder.database)) as store:
        return len({(score.trial, score.image) for score in store.scores() if by_hand(score.scorer)})


def ratings_text(ratings: Sequence[Rating], kind: str) -> str:
    """Return `ratings` as `kind`: ``csv`` (texts that a spreadsheet would run have a ``'`` before them) or ``json``."""
    names = [field.name for field in dataclasses.fields(Rating) if field.name != "weight"]
    rows = [{name: getattr(rating, name) for name in names} | {"time": _moment(rating.time)} for rating in ratings]
    if kind == "json":
        return json.dumps({"version": 1, "ratings": rows}, indent=1, ensure_ascii=False) + "\n"
    return csv_line(names) + "".join(csv_line([_cell(row[name]) for name in names]) for row in rows)


def _cell(value: object) -> object:
    if value is None:
        return ""
    return "; ".join(value) if isinstance(value, tuple) else value


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds else ""
