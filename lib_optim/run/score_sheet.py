"""What is known of the images of a run: their records, raw scores, marks, comparisons and what the guards saw."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from lib_optim.plan.records import ImageRecord, Score, Trial
from lib_optim.run.comparing import Comparing
from lib_optim.run.guarding import Guards
from lib_optim.run.marks import Marks, names_of
from lib_optim.run.passes import Passes, RunPass
from lib_optim.run.store import Store
from lib_optim.run.valuing import Values
from lib_optim.run.view import RunView

__all__ = ["ScoreSheet"]


class ScoreSheet:
    """What is known of images and scores, by trial. Its parts are used under `guard`; its methods take it themselves.

    Args:
        passes: Which images and which scorers a trial has.
        store: The record.
        view: Where scores are shown.
    """

    def __init__(self, passes: Passes, store: Store, view: RunView) -> None:
        self.passes, self.store, self.view = passes, store, view
        self.guard = threading.RLock()
        self.pass_of: dict[int, RunPass] = {}
        self.raw: dict[int, dict[int, dict[str, float]]] = {}
        self.images: dict[int, dict[int, ImageRecord]] = {}
        self.marks = Marks(store)
        self.values = Values(store)
        self.guards = Guards(store, view.error)
        self.comparing = Comparing(store, view, self.pass_of, self.images, self.counting, self.left)

    def begin(self, trial: Trial) -> None:
        """Take note of a trial, before its first image."""
        with self.guard:
            self.pass_of[trial.number] = self.passes.of(trial)
            self.guards.begin(trial)

    def load(self, trial: int) -> None:
        """Take over what the store knows of a trial."""
        with self.guard:
            self.images[trial] = {image.index: image for image in self.store.images(trial)}
            for score in self.store.scores(trial):
                if self.marks.load(score) or self.guards.load(score):
                    continue
                self.raw.setdefault(trial, {}).setdefault(score.image, {})[score.scorer] = score.raw
            for image in self.images[trial].values():
                self.view.put_image(image)
            self.show(trial, *self.images[trial])
            self.guards.waive(trial, self.pass_of[trial])

    def counting(self, trial: int) -> list[int]:
        """Return the images of `trial` that count: not skipped, and of a payload with a score weight."""
        with self.guard:
            if not self.images.get(trial) and self.raw.get(trial):  # of another worker, who has the images
                jobs = self.pass_of[trial].jobs
                return sorted(index for index in self.raw[trial] if jobs[index].payload.score_weight > 0)
            return [image.index for image in self.counted(trial)]

    def counted(self, trial: int) -> list[ImageRecord]:
        """Return the records of the images of `trial` that count and are here."""
        images = self.images.get(trial, {}).values()
        jobs = self.pass_of[trial].jobs if images else ()
        out = self.marks.marked(trial, "mark: left out")
        return [i for i in images if not i.skipped and i.index not in out and jobs[i.index].payload.score_weight > 0]

    def broken(self, trial: int) -> str:
        """Return why `trial` fails because of an image that the user marked or a guard stopped, or an empty string."""
        with self.guard:
            marked = self.marks.broken(trial, self.images.get(trial, {}), self.comparing.said.broken(trial))
            return marked or self.guards.reason(trial, self.counting(trial), self.pass_of[trial])

    def recorded(self, trial: int) -> list[Score]:
        """Return the scores of `trial` that stand, and what comparisons make of it."""
        scores = self.store.scores(trial)
        way = self.comparing.way_of(trial)
        if way is None:
            return scores
        with self.guard:
            raw = self.raw_of(trial)
            return scores + [Score(trial, i, way.key, given[way.key]) for i, given in raw.items() if way.key in given]

    def ended(self, trial: int) -> bool:
        """Whether nothing more is to come of a trial."""
        known = self.view.trial(trial)
        return known is not None and known.state not in ("running", "waiting")

    def scores_of(self, trial: int, image: int) -> dict[str, float]:
        """Return the raw scores of an image, to be read or added to under `guard`."""
        return self.raw.setdefault(trial, {}).setdefault(image, {})

    def raw_of(self, trial: int, sure: bool = False) -> Mapping[int, Mapping[str, float]]:
        """Return the raw scores of `trial`, with what comparisons make of it; only if there are any, with `sure`."""
        raw, said = self.raw.get(trial, {}), self.comparing.said
        if sure and not said.met(trial):
            return raw
        return said.added(self.pass_of[trial], trial, raw, self.counting(trial), self.left(trial))

    def left(self, trial: int) -> set[int]:
        """Return the images of `trial` that are left to the automatic judges."""
        return self.marks.marked(trial, "mark: unrated")

    def show(self, trial: int, *images: int) -> None:
        """Show the scores of `images` of a trial."""
        given, run_pass = self.raw_of(trial, sure=True), self.pass_of[trial]
        combination = self.values.combination(run_pass)
        for image in images:
            raw, marks = given.get(image, {}), self.marks.of(trial, image)
            value = combination.image(raw, run_pass.jobs[image].payload.name, "mark: unrated" in marks)
            self.view.put_scores(trial, image, raw, value, names_of(marks))
