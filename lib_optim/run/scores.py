"""The scores of a run: automatic ones from the scoring thread, human ones from the page."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim.plan.records import ImageRecord, Trial
from lib_optim.run.automatic import AutomaticScores
from lib_optim.run.control import Control
from lib_optim.run.folder import RunFolder
from lib_optim.run.human import HumanScores
from lib_optim.run.passes import Passes
from lib_optim.run.results import read_image
from lib_optim.run.score_sheet import ScoreSheet
from lib_optim.run.store import Store
from lib_optim.run.view import RunView
from lib_optim.run.worth import Worth

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["ScoreBook"]


class ScoreBook:
    """All about the scores of a run; raw ones are kept in store and view. Thread-safe.

    Args:
        passes: Which images and which scorers a trial has.
        store: Where scores are recorded before anything else learns of them.
        view: Where they are shown.
        control: Woken when a score arrives.
        scorers_dir: Weights of scorers.

    Attributes:
        sheet: What is known.
        worth: What trials are worth by it.
        human: What people say.
        automatic: What scorers say.
    """

    def __init__(self, passes: Passes, store: Store, view: RunView, control: Control, scorers_dir: Path) -> None:
        self.sheet = ScoreSheet(passes, store, view)
        self.worth = Worth(self.sheet)
        self.human = HumanScores(self.sheet, control, scorers_dir)
        self.automatic = AutomaticScores(self.sheet, control, scorers_dir, self.human.heard)

    def begin(self, trial: Trial) -> None:
        """Take note of a trial, before its first image."""
        with self.sheet.guard:
            self.sheet.begin(trial)
            self.automatic.begin(trial.number)

    def add_image(self, record: ImageRecord, image: Image.Image | None) -> None:
        """Take over a new image and have it scored; `image` is None if it was skipped."""
        with self.sheet.guard:
            self.sheet.images.setdefault(record.trial, {})[record.index] = record
            if image is not None:
                self._look(record, image)
        self.human.update_waiting()
        if image is not None:
            self.automatic.submit(record, image)
        self.automatic.submit_together(record)

    def rescore_missing(self, trial: int, images: Collection[int], folder: RunFolder) -> None:
        """Have those of `images` scored that an interrupted session left without all automatic scores.

        Raises:
            StoreError: An image cannot be read.
        """
        sheet, automatic = self.sheet, self.automatic
        with sheet.guard:
            automatic.forgive(trial)
            todo = [image for image in automatic.with_others(trial, automatic.unscored(trial)) if image.index in images]
            for index in sheet.guards.unseen(trial, sheet.images.get(trial, {}), sheet.pass_of[trial]):
                if index in images:
                    self._look(sheet.images[trial][index], read_image(folder, sheet.images[trial][index].file))
        self.human.update_waiting()
        for image in todo:
            automatic.submit(image, read_image(folder, image.file))
        for image in todo:
            automatic.submit_together(image)

    def _look(self, record: ImageRecord, image: Image.Image) -> None:
        run_pass = self.sheet.pass_of[record.trial]
        self.sheet.guards.look(record, image, run_pass)
        self.sheet.guards.waive(record.trial, run_pass)

    def settled(self, trial: int) -> bool:
        """Tell whether nothing of `trial` waits for a scorer or a person."""
        return self.automatic.failed(trial) or not (self.automatic.unscored(trial) or self.human.waiting(trial))

    def whole(self, trial: int) -> bool:
        """Whether all images of `trial` are there, with their automatic scores."""
        sheet = self.sheet
        with sheet.guard:
            there = len(sheet.images.get(trial, {})) == len(sheet.pass_of[trial].jobs)
            return there and not self.automatic.unscored(trial)
