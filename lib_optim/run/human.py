"""The human scores of a run: ratings, marks, comparisons, and which images wait for them."""

from __future__ import annotations

import time
from pathlib import Path

from lib_optim.plan.errors import RunError
from lib_optim.plan.records import Score
from lib_optim.plan.scorers import MANUAL, ScorerSpec
from lib_optim.run.asking import Asking
from lib_optim.run.comparing import Answer
from lib_optim.run.control import Control
from lib_optim.run.marks import Mark
from lib_optim.run.score_sheet import ScoreSheet
from lib_optim.run.wanted import by_hand, can_hand_over, rating_keys
from lib_optim.scoring.taste import TASTE

__all__ = ["HUMAN_RANGE", "HumanScores"]

HUMAN_RANGE = (0.0, 10.0)
_HANDED_OVER = "handed_over"


class HumanScores:
    """Takes what people say of images, and knows what they were not asked yet. Thread-safe.

    Args:
        sheet: What is known.
        control: Woken when a score arrives.
        scorers_dir: Weights of scorers, with the saved tastes.
    """

    def __init__(self, sheet: ScoreSheet, control: Control, scorers_dir: Path) -> None:
        self._sheet, self._control = sheet, control
        self._asking = Asking(sheet.store, scorers_dir)
        self._handed_over = sheet.store.note(_HANDED_OVER) == "yes"

    def heard(self, trial: int, image: int, scorer: str) -> None:
        """Take note of an automatic score: that of the taste may say whom the image is put to."""
        sheet = self._sheet
        if scorer == TASTE and not sheet.ended(trial) and self._asking.on(sheet.pass_of[trial]):
            self.ask_or_leave(trial, image)
            self.update_waiting()

    @property
    def manual(self) -> bool:
        """Whether a human scores images in one of the passes so far."""
        return any(run_pass.manual for run_pass in self._sheet.passes.all)

    def waiting(self, trial: int) -> list[int]:
        """Return the images of `trial` that need a human score."""
        with self._sheet.guard:
            if trial not in self._sheet.pass_of or self._sheet.broken(trial):
                return []
            run_pass = self._sheet.pass_of[trial]
            if not run_pass.manual or (self._handed_over and self.can_hand_over(trial)):
                return []
            if self._sheet.comparing.way_of(trial):
                return self._sheet.comparing.waiting(trial)
            left = self._sheet.marks.marked(trial, "mark: unrated")
            return [i for i in self._unrated(trial) if i not in left]

    def _unrated(self, trial: int) -> list[int]:
        run_pass, scores = self._sheet.pass_of[trial], self._sheet.scores_of
        images = [image.index for image in self._sheet.counted(trial)]
        return [i for i in images if not rating_keys(run_pass, i) <= set(scores(trial, i))]

    def score(self, trial: int, image: int, value: float | None, request: str, name: str = "") -> bool:
        """Record a human score (None takes it back); `name` is that of the rating, where there are several.

        Returns:
            Whether anything changed; False for a request id that was seen before.

        Raises:
            RunError: This run takes no human scores, there is no such image or rating, or the value is out of range.
        """
        key = ScorerSpec(MANUAL, name=name).key
        if value is not None and not HUMAN_RANGE[0] <= value <= HUMAN_RANGE[1]:
            raise RunError(f"A score must lie between {HUMAN_RANGE[0]:g} and {HUMAN_RANGE[1]:g}, not {value:g}.")
        with self._sheet.guard:
            known = self._judged_by_hand(trial, image)
            if self._sheet.comparing.way_of(trial):
                raise RunError("This run is judged by comparing images, so they take no ratings.")
            if key not in known:
                raise RunError(f"There is no rating '{name}' in this run; there are {', '.join(map(repr, known))}.")
            score = Score(trial, image, key, value if value is not None else 0.0, request, created=time.time())
            record_it = self._sheet.store.remove_score if value is None else self._sheet.store.add_score
            changed = record_it(score)
            if changed:
                scores = self._sheet.scores_of(trial, image)
                scores.pop(key, None)
                if value is not None:
                    scores[key] = value
                self._sheet.show(trial, image)
                self.update_waiting()
        self._control.wake()
        return changed

    def mark(self, trial: int, image: int, mark: Mark, on: bool, request: str) -> bool:
        """Record what else a person says of an image, or takes back; otherwise as `score`."""
        with self._sheet.guard:
            self._judged_by_hand(trial, image)
            changed = self._sheet.marks.put(trial, image, mark, on, request)
            if changed:
                self._sheet.show(trial, image)
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
        with self._sheet.guard:
            said = self._sheet.comparing
            changed = said.undo(answer, request) if isinstance(answer, str) else said.answer(answer, request)
            if changed is None:
                return None
            for trial, run_pass in self._sheet.pass_of.items():
                if run_pass.id == changed and trial in self._sheet.images:
                    self._sheet.show(trial, *self._sheet.images[trial])
            self.update_waiting()
        self._control.wake()
        return changed

    def _judged_by_hand(self, trial: int, image: int) -> list[str]:
        known = [spec.key for spec in by_hand(self._sheet.pass_of.get(trial, self._sheet.passes.current))]
        if not known:
            raise RunError("This run is not scored by hand; choose 'manual' among the judges to do so.")
        record = self._sheet.images.get(trial, {}).get(image)
        if record is None or record.skipped:
            raise RunError(f"Trial {trial} has no image {image} that could be scored.")
        return known

    def can_hand_over(self, trial: int | None = None) -> bool:
        """Whether there are automatic judges, for each goal, to decide alone: of `trial`, else of the pass going on."""
        return can_hand_over(self._sheet.passes.current if trial is None else self._sheet.pass_of[trial])

    def hand_over(self, on: bool) -> None:
        """Leave the images that are not rated to the automatic judges, or take them back; kept across sessions.

        Raises:
            RunError: There is no automatic judge.
        """
        with self._sheet.guard:
            if on and not self.can_hand_over():
                where = " for one of the goals" if self._sheet.passes.current.record.axes else ""
                raise RunError(
                    f"No automatic judge is chosen beside your own eyes{where}, so there is none to hand over to."
                )
            self._sheet.store.set_note(_HANDED_OVER, "yes" if on else "")
            self._handed_over = on
            self.update_waiting()
        self._control.wake()

    def ask_less(self, on: bool) -> None:
        """Ask only about images that the learned taste is uncertain of or finds promising, or about all; kept.

        Raises:
            RunError: There is no learned taste beside the user's own eyes, or none for one of the goals.
        """
        with self._sheet.guard:
            if on and not (self._asking.possible(self._sheet.passes.current) and self.can_hand_over()):
                raise RunError("Images can be left to your taste only where both My own eyes and My taste judge.")
            self._asking.switch(on)
            for trial, images in self._sheet.images.items():
                for image in images if not self._sheet.ended(trial) else ():
                    self.ask_or_leave(trial, image)
            self.update_waiting()
        self._control.wake()

    def ask_or_leave(self, trial: int, image: int) -> None:
        """Decide whether an image is put to the person or left to the taste."""
        run_pass = self._sheet.pass_of[trial]
        left = self.can_hand_over(trial) and self._asking.leaves(
            run_pass, trial, image, self._sheet.raw, self._sheet.pass_of
        )
        if left != ("mark: unrated" in self._sheet.marks.of(trial, image)):
            self._sheet.marks.put(trial, image, "mark: unrated", on=left)
            self._sheet.show(trial, image)

    def leave_unrated(self, trial: int) -> None:
        """Record which images of a trial that ends while handed over have no rating: its value is made without."""
        with self._sheet.guard:
            if not (self._handed_over and self.can_hand_over(trial)):
                return
            if self._sheet.comparing.way_of(trial) and not self._sheet.comparing.question(trial):
                return  # it has its answers, or there is nothing to compare it with
            unrated = self._unrated(trial)
            for index in unrated:
                self._sheet.marks.put(trial, index, "mark: unrated", on=True)
            self._sheet.show(trial, *unrated)

    def update_waiting(self) -> None:
        """Tell the page which images need a human score: those of all trials that are not ended."""
        if not self.manual:
            return
        with self._sheet.guard:
            self._sheet.view.set_handed_over(self._handed_over, self.can_hand_over())
            waiting = {
                (number, index)
                for number in self._sheet.images
                if (trial := self._sheet.view.trial(number)) and trial.state in ("running", "waiting")
                for index in self.waiting(number)
                if not self._asking.undecided(self._sheet.pass_of[number], index, self._sheet.scores_of(number, index))
            }
            now = self._sheet.passes.current
            self._sheet.view.set_asking(self._asking.possible(now), self._asking.on(now))
            self._sheet.view.set_waiting(waiting)
            self._sheet.view.set_comparing(self._sheet.comparing.shown([trial for trial, _ in waiting]))
