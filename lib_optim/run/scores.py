"""The scores of a run: automatic ones from the scoring thread, human ones from the page."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim.plan.errors import RunError, ScorerError, StoreError
from lib_optim.plan.records import ImageRecord, Score, Trial
from lib_optim.plan.scorers import MANUAL, ScorerSpec
from lib_optim.run.asking import Asking
from lib_optim.run.comparing import Answer, Comparing
from lib_optim.run.control import Control
from lib_optim.run.folder import RunFolder
from lib_optim.run.guarding import Guards
from lib_optim.run.marks import Mark, Marks, names_of
from lib_optim.run.passes import Passes, RunPass
from lib_optim.run.results import read_image
from lib_optim.run.store import Store
from lib_optim.run.valuing import Values
from lib_optim.run.view import RunView
from lib_optim.run.wanted import automatic, automatic_keys, by_hand, can_hand_over, rating_keys, same_payload
from lib_optim.scoring.base import context_of
from lib_optim.scoring.calibration import silent
from lib_optim.scoring.prompts import scoring_text
from lib_optim.scoring.taste import TASTE
from lib_optim.scoring.worker import ScoringWorker

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["ScoreBook"]

HUMAN_RANGE = (0.0, 10.0)
_HANDED_OVER = "handed_over"
_log = logging.getLogger(__name__)


class ScoreBook:
    """Keeps raw scores in store and view, and knows which are missing. Thread-safe.

    Args:
        passes: Which images and which scorers a trial has.
        store: Where scores are recorded before anything else learns of them.
        view: Where they are shown.
        control: Woken when a score arrives.
        scorers_dir: Weights of scorers.
    """

    def __init__(self, passes: Passes, store: Store, view: RunView, control: Control, scorers_dir: Path) -> None:
        self._passes, self._store, self._view, self._control = passes, store, view, control
        self._scorers_dir = scorers_dir
        self._guard = threading.RLock()
        self._pass_of: dict[int, RunPass] = {}
        self._raw: dict[int, dict[int, dict[str, float]]] = {}
        self._images: dict[int, dict[int, ImageRecord]] = {}
        self._kept: dict[int, dict[int, Image.Image]] = {}  # until all of their payload are there
        self._marks = Marks(store)
        self._values = Values(store)
        self._guards = Guards(store, view.error)
        self._comparing = Comparing(store, view, self._pass_of, self._images, self.counting, self._left)
        self._asking = Asking(store, scorers_dir)
        self._handed_over = store.note(_HANDED_OVER) == "yes"
        self._errors: dict[int, ScorerError] = {}
        self._broken: StoreError | None = None
        self._workers: list[tuple[tuple[ScorerSpec, ...], ScoringWorker]] = []
        self._worker(passes.current)  # what is wrong with a scorer's options shows before anything is made

    def _worker(self, run_pass: RunPass) -> ScoringWorker | None:
        """Return the scoring thread of a pass; passes with the same scorers share one. Others free their memory."""
        wanted = automatic(run_pass)
        if not wanted:
            return None
        with self._guard:
            for specs, worker in self._workers:
                if specs == wanted:
                    return worker
            for _, worker in self._workers:
                worker.unload()
            made = ScoringWorker(wanted, self._scorers_dir, self._scored, self._failed, self._view.say)
            self._workers.append((wanted, made))
            return made

    @property
    def manual(self) -> bool:
        """Whether a human scores images in one of the passes so far."""
        return any(run_pass.manual for run_pass in self._passes.all)

    def begin(self, trial: Trial) -> None:
        """Take note of a trial, before its first image."""
        with self._guard:
            self._pass_of[trial.number] = self._passes.of(trial)
            self._guards.begin(trial)
            for number in [n for n in self._kept if n == trial.number or self._ended(n)]:
                del self._kept[number]

    def _ended(self, trial: int) -> bool:
        known = self._view.trial(trial)
        return known is not None and known.state not in ("running", "waiting")

    def load(self, trial: int) -> None:
        """Take over what the store knows of a trial."""
        with self._guard:
            self._images[trial] = {image.index: image for image in self._store.images(trial)}
            for score in self._store.scores(trial):
                if self._marks.load(score) or self._guards.load(score):
                    continue
                self._raw.setdefault(trial, {}).setdefault(score.image, {})[score.scorer] = score.raw
            for image in self._images[trial].values():
                self._view.put_image(image)
            self._show(trial, *self._images[trial])
            self._guards.waive(trial, self._pass_of[trial])

    def add_image(self, record: ImageRecord, image: Image.Image | None) -> None:
        """Take over a new image and have it scored; `image` is None if it was skipped."""
        with self._guard:
            self._images.setdefault(record.trial, {})[record.index] = record
            if image is not None:
                self._look(record, image)
        self.update_waiting()
        if image is not None:
            self._submit(record, image)
        self._submit_together(record)

    def rescore_missing(self, trial: int, images: Collection[int], folder: RunFolder) -> None:
        """Have those of `images` scored that an interrupted session left without all automatic scores.

        Raises:
            StoreError: An image cannot be read.
        """
        with self._guard:
            self._errors.pop(trial, None)
            todo = [image for image in self._with_others(trial, self._unscored(trial)) if image.index in images]
            for index in self._guards.unseen(trial, self._images.get(trial, {}), self._pass_of[trial]):
                if index in images:
                    self._look(self._images[trial][index], read_image(folder, self._images[trial][index].file))
        self.update_waiting()
        for image in todo:
            self._submit(image, read_image(folder, image.file))
        for image in todo:
            self._submit_together(image)

    def _look(self, record: ImageRecord, image: Image.Image) -> None:
        run_pass = self._pass_of[record.trial]
        self._guards.look(record, image, run_pass)
        self._guards.waive(record.trial, run_pass)

    def wait_for_scorers(self, trial: int) -> None:
        """Wait until every image that counts has its automatic scores, or the user skips the trial.

        Raises:
            ScorerError: A scorer failed on an image of this trial.
            StoreError: A score could not be recorded.
            StopRun: The run is being stopped.
        """
        control = self._control

        def over() -> bool:
            failed = self._broken is not None or trial in self._errors
            return failed or control.skipping_trial or not self._unscored(trial)

        control.wait(over)
        with self._guard:
            if self._broken is not None:
                raise self._broken
            if trial in self._errors:
                raise self._errors.pop(trial)

    def settled(self, trial: int) -> bool:
        """Tell whether nothing of `trial` waits for a scorer or a person."""
        failed = self._broken is not None or trial in self._errors
        return failed or not (self._unscored(trial) or self.waiting(trial))

    def counting(self, trial: int) -> list[int]:
        """Return the images of `trial` that count: not skipped, and of a payload with a score weight."""
        with self._guard:
            if not self._images.get(trial) and self._raw.get(trial):  # of another worker, who has the images
                jobs = self._pass_of[trial].jobs
                return sorted(index for index in self._raw[trial] if jobs[index].payload.score_weight > 0)
            return [image.index for image in self._counting(trial)]

    def _counting(self, trial: int) -> list[ImageRecord]:
        images = self._images.get(trial, {}).values()
        jobs = self._pass_of[trial].jobs if images else ()
        out = self._marks.marked(trial, "mark: left out")
        return [i for i in images if not i.skipped and i.index not in out and jobs[i.index].payload.score_weight > 0]

    def _unscored(self, trial: int) -> list[ImageRecord]:
        with self._guard:
            run_pass, scores = self._pass_of[trial], self._scores_of
            return [
                i for i in self._counting(trial) if not automatic_keys(run_pass, i.index) <= set(scores(trial, i.index))
            ]

    def waiting(self, trial: int) -> list[int]:
        """Return the images of `trial` that need a human score."""
        with self._guard:
            if trial not in self._pass_of or self.broken(trial):
                return []
            run_pass = self._pass_of[trial]
            if not run_pass.manual or (self._handed_over and self.can_hand_over(trial)):
                return []
            if self._comparing.way_of(trial):
                return self._comparing.waiting(trial)
            left = self._marks.marked(trial, "mark: unrated")
            return [i for i in self._unrated(trial) if i not in left]

    def _unrated(self, trial: int) -> list[int]:
        run_pass, scores = self._pass_of[trial], self._scores_of
        images = [image.index for image in self._counting(trial)]
        return [i for i in images if not rating_keys(run_pass, i) <= set(scores(trial, i))]

    def value(self, trial: int, images: Collection[int] | None = None) -> float:
        """Return the trial's combined score, or that of some of its images.

        Raises:
            ScorerError: Nothing was scored.
        """
        with self._guard:
            run_pass = self._pass_of[trial]
            skipped = {i for i, image in self._images.get(trial, {}).items() if image.skipped}
            jobs = [job for job in run_pass.jobs if images is None or job.index in images]
            skipped |= self._marks.marked(trial, "mark: left out")
            unrated = self._marks.marked(trial, "mark: unrated")
            return self._values.combination(run_pass).trial(self._raw_of(trial), jobs, skipped, unrated)

    def calibrates(self, run_pass: RunPass) -> bool:
        """Whether the values of a pass depend on a calibration."""
        return self._values.calibrates(run_pass)

    def provisional(self, run_pass: RunPass) -> bool:
        """Whether the values of a pass wait for its calibration."""
        with self._guard:
            return self._values.provisional(run_pass)

    def inherits(self, run_pass: RunPass) -> bool:
        """Whether all that a search is measured by is known from an earlier one, or from the run it was forked from."""
        with self._guard:
            return self._values.whole(run_pass, self._values.inherited(run_pass, self._before(run_pass)))

    def _before(self, run_pass: RunPass) -> list[RunPass]:
        return [earlier for earlier in self._passes.all if earlier.id < run_pass.id]

    def calibrate(self, run_pass: RunPass, trials: Collection[int]) -> None:
        """Measure the judges of a search on `trials`, for good; its values are others from now on."""
        with self._guard:
            known = self._values.inherited(run_pass, self._before(run_pass))
            raw = {n: {i: dict(self._scores_of(n, i)) for i in self.counting(n)} for n in trials}
            calibration = self._values.measure(run_pass, raw, known)
            self._values.freeze(run_pass, calibration)
            for trial in self._images:
                if self._pass_of[trial].number == run_pass.number:
                    self._show(trial, *self._images[trial])
        for row in silent(calibration):
            self._view.error(
                f"At the start, {row.scorer} gave all images of '{row.payload}' the same score, so it says nothing "
                "there and is left out on that payload."
            )

    def show_calibration(self, run_pass: RunPass) -> None:
        """Show what the scores of a pass are measured by."""
        with self._guard:
            self._view.set_calibration(self._values.to_json(run_pass))

    def axes(self, trial: int, images: Collection[int] | None = None) -> dict[str, float]:
        """Return the trial's value on each axis of its pass, or that of some of its images; empty without axes.

        Raises:
            ScorerError: Nothing was scored.
        """
        with self._guard:
            wanted = self.counting(trial)
            wanted = wanted if images is None else [image for image in wanted if image in images]
            unrated = self._marks.marked(trial, "mark: unrated")
            return self._values.axes(self._pass_of[trial], self._raw_of(trial), wanted, unrated)

    def opinions(self, trial: int, images: Collection[int] | None = None) -> dict[str, float]:
        """Return what the judges that decide nothing think of a trial, or of some of its images: mean raw scores."""
        with self._guard:
            wanted = self.counting(trial) if images is None else images
            return self._values.opinions(self._pass_of[trial], self._raw.get(trial, {}), wanted)

    def human(self, trial: int, image: int, value: float | None, request: str, name: str = "") -> bool:
        """Record a human score (None takes it back); `name` is that of the rating, where there are several.

        Returns:
            Whether anything changed; False for a request id that was seen before.

        Raises:
            RunError: This run takes no human scores, there is no such image or rating, or the value is out of range.
        """
        key = ScorerSpec(MANUAL, name=name).key
        if value is not None and not HUMAN_RANGE[0] <= value <= HUMAN_RANGE[1]:
            raise RunError(f"A score must lie between {HUMAN_RANGE[0]:g} and {HUMAN_RANGE[1]:g}, not {value:g}.")
        with self._guard:
            known = self._judged_by_hand(trial, image)
            if self._comparing.way_of(trial):
                raise RunError("This run is judged by comparing images, so they take no ratings.")
            if key not in known:
                raise RunError(f"There is no rating '{name}' in this run; there are {', '.join(map(repr, known))}.")
            score = Score(trial, image, key, value if value is not None else 0.0, request, created=time.time())
            record_it = self._store.remove_score if value is None else self._store.add_score
            changed = record_it(score)
            if changed:
                scores = self._scores_of(trial, image)
                scores.pop(key, None)
                if value is not None:
                    scores[key] = value
                self._show(trial, image)
                self.update_waiting()
        self._control.wake()
        return changed

    def mark(self, trial: int, image: int, mark: Mark, on: bool, request: str) -> bool:
        """Record what else a person says of an image, or takes back; otherwise as `human`."""
        with self._guard:
            self._judged_by_hand(trial, image)
            changed = self._marks.put(trial, image, mark, on, request)
            if changed:
                self._show(trial, image)
                self.update_waiting()
        self._control.wake()
        return changed

    def compare(self, answer: Answer | str, request: str) -> int | None:
        """Record a comparison, or that the one of the request `answer` is undone.

        Returns:
            The pass whose trials may be worth something else now; None for a request id that was seen before.

        Raises:
            RunError: The images cannot be compared, or there is no such answer.
        """
        with self._guard:
            said = self._comparing
            changed = said.undo(answer, request) if isinstance(answer, str) else said.answer(answer, request)
            if changed is None:
                return None
            for trial, run_pass in self._pass_of.items():
                if run_pass.id == changed and trial in self._images:
                    self._show(trial, *self._images[trial])
            self.update_waiting()
        self._control.wake()
        return changed

    def recorded(self, trial: int) -> list[Score]:
        """Return the scores of `trial` that stand, and what comparisons make of it."""
        scores = self._store.scores(trial)
        way = self._comparing.way_of(trial)
        if way is None:
            return scores
        with self._guard:
            raw = self._raw_of(trial)
            return scores + [Score(trial, i, way.key, given[way.key]) for i, given in raw.items() if way.key in given]

    def _judged_by_hand(self, trial: int, image: int) -> list[str]:
        known = [spec.key for spec in by_hand(self._pass_of.get(trial, self._passes.current))]
        if not known:
            raise RunError("This run is not scored by hand; choose 'manual' among the judges to do so.")
        record = self._images.get(trial, {}).get(image)
        if record is None or record.skipped:
            raise RunError(f"Trial {trial} has no image {image} that could be scored.")
        return known

    def whole(self, trial: int) -> bool:
        """Whether all images of `trial` are there, with their automatic scores."""
        with self._guard:
            return len(self._images.get(trial, {})) == len(self._pass_of[trial].jobs) and not self._unscored(trial)

    def broken(self, trial: int) -> str:
        """Return why `trial` fails because of an image that the user marked or a guard stopped, or an empty string."""
        with self._guard:
            marked = self._marks.broken(trial, self._images.get(trial, {}), self._comparing.said.broken(trial))
            return marked or self._guards.reason(trial, self.counting(trial), self._pass_of[trial])

    def can_hand_over(self, trial: int | None = None) -> bool:
        """Whether there are automatic judges, for each goal, to decide alone: of `trial`, else of the pass going on."""
        return can_hand_over(self._passes.current if trial is None else self._pass_of[trial])

    def hand_over(self, on: bool) -> None:
        """Leave the images that are not rated to the automatic judges, or take them back; kept across sessions.

        Raises:
            RunError: There is no automatic judge.
        """
        with self._guard:
            if on and not self.can_hand_over():
                where = " for one of the goals" if self._passes.current.record.axes else ""
                raise RunError(
                    f"No automatic judge is chosen beside your own eyes{where}, so there is none to hand over to."
                )
            self._store.set_note(_HANDED_OVER, "yes" if on else "")
            self._handed_over = on
            self.update_waiting()
        self._control.wake()

    def ask_less(self, on: bool) -> None:
        """Ask only about images that the learned taste is uncertain of or finds promising, or about all; kept.

        Raises:
            RunError: There is no learned taste beside the user's own eyes, or none for one of the goals.
        """
        with self._guard:
            if on and not (self._asking.possible(self._passes.current) and self.can_hand_over()):
                raise RunError("Images can be left to your taste only where both My own eyes and My taste judge.")
            self._asking.switch(on)
            for trial, images in self._images.items():
                for image in images if not self._ended(trial) else ():
                    self._ask_or_leave(trial, image)
            self.update_waiting()
        self._control.wake()

    def _ask_or_leave(self, trial: int, image: int) -> None:
        run_pass = self._pass_of[trial]
        left = self.can_hand_over(trial) and self._asking.leaves(run_pass, trial, image, self._raw, self._pass_of)
        if left != ("mark: unrated" in self._marks.of(trial, image)):
            self._marks.put(trial, image, "mark: unrated", on=left)
            self._show(trial, image)

    def leave_unrated(self, trial: int) -> None:
        """Record which images of a trial that ends while handed over have no rating: its value is made without."""
        with self._guard:
            if not (self._handed_over and self.can_hand_over(trial)):
                return
            if self._comparing.way_of(trial) and not self._comparing.question(trial):
                return  # it has its answers, or there is nothing to compare it with
            unrated = self._unrated(trial)
            for index in unrated:
                self._marks.put(trial, index, "mark: unrated", on=True)
            self._show(trial, *unrated)

    def update_waiting(self) -> None:
        """Tell the page which images need a human score: those of all trials that are not ended."""
        if not self.manual:
            return
        with self._guard:
            self._view.set_handed_over(self._handed_over, self.can_hand_over())
            waiting = {
                (number, index)
                for number in self._images
                if (trial := self._view.trial(number)) and trial.state in ("running", "waiting")
                for index in self.waiting(number)
                if not self._asking.undecided(self._pass_of[number], index, self._scores_of(number, index))
            }
            now = self._passes.current
            self._view.set_asking(self._asking.possible(now), self._asking.on(now))
            self._view.set_waiting(waiting)
            self._view.set_comparing(self._comparing.shown([trial for trial, _ in waiting]))

    def close(self) -> None:
        """Free the scorers."""
        for _, worker in self._workers:
            worker.close()

    def _submit(self, record: ImageRecord, image: Image.Image) -> None:
        run_pass = self._pass_of[record.trial]
        worker = self._worker(run_pass)
        job = run_pass.jobs[record.index]
        if worker is None or job.payload.score_weight <= 0:
            return
        with self._guard:
            asked = automatic_keys(run_pass, record.index)
            if worker.comparing & asked:
                self._kept.setdefault(record.trial, {})[record.index] = image
            done = asked - worker.comparing <= set(self._scores_of(record.trial, record.index))
        if not done:
            worker.submit(record.trial, record.index, image, scoring_text(job.payload), context_of(job))

    def _submit_together(self, record: ImageRecord) -> None:
        """Have the images of a payload compared, once all of them are there or skipped."""
        run_pass, trial = self._pass_of[record.trial], record.trial
        worker = self._worker(run_pass)
        if worker is None or not worker.comparing & automatic_keys(run_pass, record.index):
            return
        with self._guard:
            images, kept = self._images[trial], self._kept.get(trial, {})
            jobs = same_payload(run_pass, record)
            if any(job.index not in images for job in jobs):
                return
            jobs = [job for job in jobs if not images[job.index].skipped]
            if not jobs or any(job.index not in kept for job in jobs):
                return
            group = [(j.index, kept.pop(j.index), scoring_text(j.payload), context_of(j)) for j in jobs]
        worker.submit_together(trial, group)

    def _with_others(self, trial: int, images: list[ImageRecord]) -> list[ImageRecord]:
        """Return `images`, and where a scorer compares those of a payload, all others of their payloads."""
        run_pass = self._pass_of[trial]
        worker = self._worker(run_pass)
        if worker is None or not worker.comparing:
            return images
        wanted = {job.index for image in images for job in same_payload(run_pass, image)}
        return [image for image in self._counting(trial) if image.index in wanted]

    def _scored(self, trial: int, image: int, scorer: str, raw: float) -> None:
        with self._guard:
            try:
                self._store.add_score(Score(trial, image, scorer, raw, created=time.time()))
            except StoreError as error:  # not the scorer's fault, and not the trial's: the run ends
                _log.exception("A score was not recorded")
                self._broken = error
                self._control.wake()
                return
            self._scores_of(trial, image)[scorer] = raw
            if scorer == TASTE and not self._ended(trial) and self._asking.on(self._pass_of[trial]):
                self._ask_or_leave(trial, image)
                self.update_waiting()
            self._show(trial, image)
        self._control.wake()

    def _failed(self, trial: int, error: ScorerError) -> None:
        _log.error("Scoring trial %d failed", trial, exc_info=error)
        with self._guard:
            self._errors.setdefault(trial, error)
            self._kept.pop(trial, None)
        self._control.wake()

    def _scores_of(self, trial: int, image: int) -> dict[str, float]:
        return self._raw.setdefault(trial, {}).setdefault(image, {})

    def _raw_of(self, trial: int, sure: bool = False) -> Mapping[int, Mapping[str, float]]:
        """Return the raw scores of `trial`, with what comparisons make of it; only if there are any, with `sure`."""
        raw, said = self._raw.get(trial, {}), self._comparing.said
        if sure and not said.met(trial):
            return raw
        return said.added(self._pass_of[trial], trial, raw, self.counting(trial), self._left(trial))

    def _left(self, trial: int) -> set[int]:
        return self._marks.marked(trial, "mark: unrated")

    def _show(self, trial: int, *images: int) -> None:
        given, run_pass = self._raw_of(trial, sure=True), self._pass_of[trial]
        combination = self._values.combination(run_pass)
        for image in images:
            raw, marks = given.get(image, {}), self._marks.of(trial, image)
            value = combination.image(raw, run_pass.jobs[image].payload.name, "mark: unrated" in marks)
            self._view.put_scores(trial, image, raw, value, names_of(marks))
