"""Whom an image is put to: in a run with My own eyes and My taste, the person, or the taste alone.

With the switch on, an image that the taste is certain of and that is not promising (`taste_rule`) is marked ``unrated``
as soon as the taste has scored it: it is left to the automatic judges, in the record, as when the user hands over. All
others wait for the person, as they do with the switch off. Only recorded numbers decide: the taste's score and doubt of
the image, its scores of earlier images of the same payload in the pass, and the ratings in the file of the taste.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.scorers import MANUAL, ScorerSpec
from lib_optim.run.passes import RunPass
from lib_optim.run.store import Store
from lib_optim.run.wanted import automatic_keys, rating_keys
from lib_optim.scoring.doubts import doubt_key
from lib_optim.scoring.taste import TASTE
from lib_optim.scoring.taste_file import find_taste, read_taste
from lib_optim.scoring.taste_rule import worth_asking

__all__ = ["Asking"]

Raw = Mapping[int, Mapping[int, Mapping[str, float]]]
"""Trial to image to key to raw score."""
_NOTE = "ask_less"
_log = logging.getLogger(__name__)


class Asking:
    """The switch, which the run remembers, and what follows from it. Used under the guard of the score sheet.

    Args:
        store: Where the switch is recorded; before it was ever turned, the option ``ask`` of the judge holds.
        scorers_dir: Weights of scorers, with the saved tastes.
    """

    def __init__(self, store: Store, scorers_dir: Path) -> None:
        self._store, self._scorers_dir = store, scorers_dir
        self._switched = store.note(_NOTE)
        self._ratings: dict[str, tuple[float, ...]] = {}

    def possible(self, run_pass: RunPass) -> bool:
        """Whether a pass has both judges, so that there is something to switch. Who compares is asked as before."""
        ids = {spec.id for spec in run_pass.record.deciding}
        return {MANUAL, TASTE} <= ids and run_pass.judging is None

    def on(self, run_pass: RunPass) -> bool:
        """Whether images of this pass may be left to the taste."""
        if not self.possible(run_pass):
            return False
        return self._switched == "yes" if self._switched else bool(_taste_of(run_pass).options.get("ask", False))

    def switch(self, on: bool) -> None:
        """Turn it, for the run as a whole."""
        self._switched = "yes" if on else "no"
        self._store.set_note(_NOTE, self._switched)

    def undecided(self, run_pass: RunPass, image: int, scores: Mapping[str, float]) -> bool:
        """Tell whether it is not known yet to whom an image is put: the taste has still to score it."""
        return self.on(run_pass) and TASTE in automatic_keys(run_pass, image) - set(scores)

    def leaves(self, run_pass: RunPass, trial: int, image: int, raw: Raw, pass_of: Mapping[int, RunPass]) -> bool:
        """Tell whether an image is left to the taste. False while the taste has not scored it, or the person has."""
        own = raw.get(trial, {}).get(image, {})
        doubt, asked_for = own.get(doubt_key(TASTE)), rating_keys(run_pass, image)
        if not self.on(run_pass) or TASTE not in own or doubt is None:
            return False
        if not asked_for or asked_for & set(own):
            return False
        ratings = self._learned_from(_taste_of(run_pass))
        if not ratings:
            return False
        jobs = run_pass.jobs
        payload = jobs[image].payload.name
        before = [
            scores[TASTE]
            for number in sorted(raw)
            if number <= trial and number in pass_of and pass_of[number].id == run_pass.id
            for index, scores in sorted(raw[number].items())
            if (number, index) < (trial, image) and TASTE in scores and jobs[index].payload.name == payload
        ]
        return not worth_asking(own[TASTE], doubt, before, ratings)

    def _learned_from(self, spec: ScorerSpec) -> tuple[float, ...]:
        which = str(spec.options.get("taste") or "")
        if which not in self._ratings:
            try:
                taste = read_taste(find_taste(which, self._scorers_dir))
                self._ratings[which] = tuple(float(rating) for rating in taste.model.ratings)
            except ScorerError as error:  # the scorer says so, too; until then nothing is left to it
                _log.warning("%s", error)
                return ()
        return self._ratings[which]


def _taste_of(run_pass: RunPass) -> ScorerSpec:
    return next(spec for spec in run_pass.record.deciding if spec.id == TASTE)
