"""Judging by comparison in a run: what is asked next, who waits for it, and what the answers make of each trial."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lib_optim.plan.errors import RunError
from lib_optim.plan.judging import Comparison, Judging
from lib_optim.plan.records import ImageRecord
from lib_optim.run.comparisons import Comparisons
from lib_optim.run.questions import Known, Question, next_grid, next_pair
from lib_optim.run.wanted import rating_keys

if TYPE_CHECKING:
    from lib_optim.run.passes import RunPass
    from lib_optim.run.store import Store
    from lib_optim.run.view import RunView

__all__ = ["Answer", "Comparing"]

_UNFINISHED = ("running", "waiting")


@dataclass(frozen=True)
class Answer:
    """What a click says.

    Attributes:
        shown: Trial and image of each picture, from left to right.
        outcome: ``better``, ``tie``, ``broken`` or ``skipped``.
        best: The trial with the best one, for ``better``.
        worst: The trial with the worst one, for ``better``; None: of two, the other one.
        broken: The trials whose images are broken, for ``broken``.
    """

    shown: tuple[tuple[int, int], ...]
    outcome: Literal["better", "tie", "broken", "skipped"]
    best: int | None = None
    worst: int | None = None
    broken: tuple[int, ...] = ()


class Comparing:
    """Used under the guard of the score sheet.

    Args:
        store: The record.
        view: Which state trials are in.
        pass_of: Trial to its pass.
        images: Trial to its images.
        counting: Returns the images of a trial that count.
        left: Returns the images of a trial that are left to the automatic judges: nothing is asked for their sake.
    """

    def __init__(
        self,
        store: Store,
        view: RunView,
        pass_of: Mapping[int, RunPass],
        images: Mapping[int, Mapping[int, ImageRecord]],
        counting: Callable[[int], list[int]],
        left: Callable[[int], Collection[int]],
    ) -> None:
        self._said = Comparisons(store)
        self._view, self._pass_of, self._images = view, pass_of, images
        self._counting, self._left = counting, left

    def way_of(self, trial: int) -> Judging | None:
        """Return how people compare the images of `trial`; None where they do not."""
        return self._pass_of[trial].judging if trial in self._pass_of else None

    @property
    def said(self) -> Comparisons:
        """What was said."""
        return self._said

    def waiting(self, trial: int) -> list[int]:
        """Return the image of `trial` that the next question about it shows; none if nothing is to be asked."""
        question = self.question(trial)
        return [] if question is None else [question.image]

    def question(self, trial: int) -> Question | None:
        """Return the next question about `trial`; None if it has its answers, or there is nothing to compare it with.

        A trial that is complete is asked about again only once an answer is undone: trials that come later must not
        make it wait.
        """
        way = self.way_of(trial)
        if way is None or self._missing(trial, way) <= 0 or not self._made(trial):
            return None
        others = self._others(trial)
        if way.way == "pairs":
            return next_pair(trial, others, self._known(trial, [trial], others))
        beside = [t for t in self._of_pass(trial, ("waiting",)) if t != trial and self._asks(t, way)]
        subjects = sorted([trial, *beside])
        return next_grid(subjects, others, self._known(trial, subjects, others), way.pictures)

    def _comparable(self, trial: int) -> list[int]:
        """Return the images of `trial` that count and whose payload is judged by eye."""
        return [image for image in self._counting(trial) if rating_keys(self._pass_of[trial], image)]

    def _asks(self, trial: int, way: Judging) -> bool:
        return self._made(trial) and not self._said.broken(trial) and self._missing(trial, way) > 0

    def _missing(self, trial: int, way: Judging) -> int:
        given = self._said.given(trial)
        wanted = way.comparisons
        known = self._view.trial(trial)
        if known is not None and known.state == "complete":
            wanted = min(wanted, self._said.given(trial, ever=True))
        return wanted - given

    def _made(self, trial: int) -> bool:
        return len(self._images.get(trial, {})) == len(self._pass_of[trial].jobs)

    def _others(self, trial: int) -> list[int]:
        return [
            number for number in self._of_pass(trial, ("complete",)) if number != trial and self._comparable(number)
        ]

    def _of_pass(self, trial: int, states: Sequence[str]) -> list[int]:
        same = [n for n, run_pass in self._pass_of.items() if run_pass.id == self._pass_of[trial].id]
        return [n for n in sorted(same) if (known := self._view.trial(n)) is not None and known.state in states]

    def _known(self, trial: int, subjects: Sequence[int], others: Sequence[int]) -> Known:
        pass_id = self._pass_of[trial].id
        images = {number: self._comparable(number) for number in others}
        for number in subjects:
            left = self._left(number)
            images[number] = [image for image in self._comparable(number) if image not in left]
        return Known(self._said.strengths(self._pass_of[trial]), images, self._said.answered(pass_id), pass_id)

    def answer(self, answer: Answer, request: str) -> int | None:
        """Record what somebody said; return the pass that it is about, None for a request id that was seen before.

        Raises:
            RunError: The images cannot be compared, or the answer does not fit them.
        """
        trials = [trial for trial, _ in answer.shown]
        worst = answer.worst
        if answer.outcome == "better" and worst is None and len(trials) == 2:
            worst = next((trial for trial in trials if trial != answer.best), None)
        self._refuse(answer, worst)
        states = {trial: self._view.trial(trial) for trial in trials}
        subjects = [trial for trial, known in states.items() if known is not None and known.state in _UNFINISHED]
        better = answer.outcome == "better"
        said = Comparison(
            self._pass_of[trials[0]].id, answer.shown, answer.outcome, answer.best if better else None,
            worst if better else None, answer.broken if answer.outcome == "broken" else (),
            tuple(subjects or [max(trials)]), request, created=time.time(),
        )  # fmt: skip
        return said.pass_id if self._said.put(said) else None

    def undo(self, undoes: str, request: str) -> int | None:
        """Take back what the click `undoes` said; return the pass that it is about, None as `answer`.

        Raises:
            RunError: There is no such answer.
        """
        before = self._said.by_request(undoes)
        if before is None:
            raise RunError("There is no such answer in this run, so it cannot be taken back.")
        gone = Comparison(before.pass_id, (), "undone", request=request, undoes=undoes, created=time.time())
        return gone.pass_id if self._said.put(gone) else None

    def _refuse(self, answer: Answer, worst: int | None) -> None:
        trials = [trial for trial, _ in answer.shown]
        if len(set(trials)) != len(trials) or not 2 <= len(trials) <= 9:
            raise RunError("A comparison is of two to nine images of as many trials.")
        for trial, image in answer.shown:
            if self.way_of(trial) is None:
                raise RunError("This run is not judged by comparing; rate its images, or choose so among the judges.")
            record = self._images.get(trial, {}).get(image)
            if record is None or record.skipped:
                raise RunError(f"Trial {trial} has no image {image} that could be compared.")
        same = {(self._pass_of[trial].id, image) for trial, image in answer.shown}
        if len(same) != 1:
            raise RunError("Only images of the same payload and seed are compared, of trials of the same pass.")
        if answer.outcome == "better" and not (
            answer.best in trials and worst in trials and answer.best != worst
        ):  # fmt: skip
            raise RunError("The best and the worst must be two of the images that were shown.")
        if answer.outcome == "broken" and not (answer.broken and set(answer.broken) <= set(trials)):
            raise RunError("The broken images must be among those that were shown.")

    def shown(self, waiting: Sequence[int]) -> dict[str, Any] | None:
        """Return what the page asks, as JSON; None where nobody compares.

        Args:
            waiting: The trials that wait for answers.
        """
        now = next((way for n in sorted(self._pass_of, reverse=True) if (way := self.way_of(n)) is not None), None)
        if now is None:
            return None
        asked: dict[frozenset[tuple[int, int]], dict[str, Any]] = {}
        for trial in sorted(waiting):
            question = self.question(trial)
            way = self.way_of(trial)
            if question is not None and way is not None:
                asked.setdefault(frozenset(question.shown), self._json(question, way))
        given = sum(comparison.outcome != "broken" for comparison in self._said.standing)
        return {"way": now.way, "questions": list(asked.values()), "given": given}

    def _json(self, question: Question, way: Judging) -> dict[str, Any]:
        records = [self._images[trial][image] for trial, image in question.shown]
        job = self._pass_of[question.shown[0][0]].jobs[question.image]
        return {
            "id": " ".join(f"{trial}.{image}" for trial, image in sorted(question.shown)),
            "way": way.way,
            "shown": [
                {"trial": record.trial, "image": record.index, "file": record.file.rsplit("/", 1)[-1]}
                for record in records
            ],
            "payload": job.payload.name,
            "prompt": job.payload.prompt,
            "seed": job.seed,
            "against_best": question.best is not None,
        }
