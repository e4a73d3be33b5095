"""What people say while a run goes on, and which trials it moves."""

from __future__ import annotations

from lib_optim.run.comparing import Answer
from lib_optim.run.history import History
from lib_optim.run.marks import Mark
from lib_optim.run.scores import ScoreBook
from lib_optim.run.store import Store

__all__ = ["Hearing"]


class Hearing:
    """Takes what people say of images, whose trials get new values, end, or wait again. Thread-safe.

    Args:
        history: The trials.
        book: The scores.
        store: The record.
    """

    def __init__(self, history: History, book: ScoreBook, store: Store) -> None:
        self._history, self._human, self._store = history, book.human, store

    def hand_over(self, on: bool) -> None:
        """Leave the images that are not rated to the automatic judges, or take them back.

        Raises:
            RunError: There is no automatic judge.
        """
        with self._history.guard:
            waiting = self._history.resting()
            self._human.hand_over(on)
            for trial in waiting:
                self._history.heard(trial.number)

    def ask_less(self, on: bool) -> None:
        """Ask only about images that the learned taste is uncertain of or finds promising, or about all.

        Raises:
            RunError: See `HumanScores.ask_less`.
        """
        with self._history.guard:
            waiting = self._history.resting()
            self._human.ask_less(on)
            for trial in waiting:
                self._history.heard(trial.number)

    def score(self, trial: int, image: int, value: float | None, request: str, name: str = "") -> None:
        """Take a human score (None takes it back). A complete trial gets its new value, or waits again.

        Raises:
            RunError: See `HumanScores.score`.
        """
        with self._history.guard:
            if self._human.score(trial, image, value, request, name):
                self._history.heard(trial)

    def mark(self, trial: int, image: int, mark: Mark, on: bool, request: str) -> None:
        """Take a mark, or take it back: a trial with a broken image fails, and comes back without the mark.

        Raises:
            RunError: See `HumanScores.score`.
        """
        with self._history.guard:
            if self._human.mark(trial, image, mark, on, request):
                self._history.heard(trial)

    def compare(self, answer: Answer | str, request: str) -> None:
        """Take a comparison, or (the request of one) take it back: it may move the value of every trial of its pass.

        Raises:
            RunError: See `HumanScores.compare`.
        """
        with self._history.guard:
            pass_id = self._human.compare(answer, request)
            if pass_id is not None:
                self._history.heard_of_pass(pass_id)
