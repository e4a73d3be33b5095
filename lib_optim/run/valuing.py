"""What the scores of a pass are worth: its combination, its calibration, and the judges that are only watched.

A calibration is a note in ``run.db``, one per search: made once, from the trials that the search began with, and the
same ever after, in a resume and in the run's verification too. Before it is frozen values are provisional; then they
are all made anew from the raw scores (`History`). A later search and a fork take over what was measured on judges and
payloads that are the same.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from lib_optim.plan.calibration import Calibration, CalibrationRow
from lib_optim.plan.objectives import axes_of
from lib_optim.plan.passes import PassRecord
from lib_optim.plan.records import Trial
from lib_optim.plan.scorers import MANUAL
from lib_optim.run.passes import RunPass
from lib_optim.run.store import Store
from lib_optim.scoring.calibration import calibrated
from lib_optim.scoring.combine import Combination
from lib_optim.scoring.prompts import scoring_text
from lib_optim.search.stopping import is_proposed

__all__ = ["LEAST", "Raw", "Values", "carry", "due"]

LEAST = 5
"""A calibration is made from at least so many scored trials."""
Raw = Mapping[int, Mapping[str, float]]
_DESIGN = ("start:", "preset:", "design:")
_TAKEN = ("rescored:", "best:")
_CARRIED = "calibration taken over"


def _key(search: int) -> str:
    return f"calibration {search}"


def due(trials: Iterable[Trial], starts: int, most: int, alone: bool = True) -> list[Trial]:
    """Return the trials that a search is calibrated on, once its start design is over; before that none.

    They are those of the start design and what the pass took over; where these are fewer than `LEAST`, the first that
    were scored. Every worker of a shared study comes to the same ones, in whatever order it hears of them.

    Args:
        trials: Those of the search, in every state, by number.
        starts: How many points its start design has.
        most: How many trials its budget allows.
        alone: Whether nobody else makes trials of this search.
    """
    trials = list(trials)
    begun = [trial for trial in trials if trial.origin.startswith((*_DESIGN, *_TAKEN))]
    tried = sum(trial.origin.startswith(_DESIGN) for trial in begun)
    # A start that an earlier run has tried is not tried again, so there may be fewer.
    over = tried >= min(starts, most) or (alone and any(is_proposed(trial) for trial in trials))
    if not over or any(trial.state in ("running", "waiting") for trial in begun):
        return []
    scored = [trial for trial in begun if trial.state == "complete"]
    if len(scored) < LEAST:
        scored = [trial for trial in trials if trial.state == "complete"][:LEAST]
        known = {trial.number for trial in trials}
        if len(scored) < LEAST or not (alone or known >= set(range(scored[-1].number))):
            return []
    return scored


class Values:
    """Turns raw scores of the passes of a run into values. Used under the guard of the score sheet.

    Args:
        store: Where calibrations are recorded.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._calibrations: dict[int, Calibration | None] = {}
        self._combinations: dict[tuple[int, str], tuple[PassRecord, Combination]] = {}

    def calibration(self, run_pass: RunPass) -> Calibration | None:
        """Return the calibration of a pass, that of its search for a verification; None before it is frozen."""
        number = run_pass.number
        if number not in self._calibrations:
            text = self._store.note(_key(number))
            self._calibrations[number] = Calibration.from_json(json.loads(text)) if text else None
        return self._calibrations[number]

    @staticmethod
    def calibrates(run_pass: RunPass) -> bool:
        """Whether the values of a pass depend on a calibration."""
        record = run_pass.record
        groups = [[spec for spec in record.deciding if spec.axis == axis] for axis in axes_of(record.deciding)]
        counts = [len(record.deciding), *map(len, groups)]
        automatic = any(spec.id != MANUAL for spec in record.deciding)
        return automatic and any(record.combining.calibrates(count) for count in counts)

    def provisional(self, run_pass: RunPass) -> bool:
        """Whether the values of a pass wait for its calibration."""
        return self.calibrates(run_pass) and self.calibration(run_pass) is None

    def inherited(self, run_pass: RunPass, earlier: Sequence[RunPass]) -> list[CalibrationRow]:
        """Return what a search takes over: judges and payloads that did not change are measured as before."""
        found: dict[tuple[str, str], CalibrationRow] = {}
        carried = [(earlier[0] if earlier else run_pass, _carried(self._store))]
        known = [(old, self.calibration(old)) for old in earlier if old.searches]
        for old, rows in (*carried, *((old, its.rows) for old, its in known if its is not None)):
            found.update({(row.scorer, row.payload): row for row in _unchanged(rows, old, run_pass)})
        return list(found.values())

    @staticmethod
    def whole(run_pass: RunPass, rows: Iterable[CalibrationRow]) -> bool:
        """Whether `rows` are all that a search is measured by."""
        there, record = {(row.scorer, row.payload) for row in rows}, run_pass.record
        specs = [spec for spec in record.deciding if spec.id != MANUAL]
        counting = [payload.name for payload in record.payloads if payload.score_weight > 0]
        return all((spec.key, name) in there for spec in specs for name in counting if spec.judges(name))

    @staticmethod
    def measure(run_pass: RunPass, raw: Mapping[int, Raw], known: Iterable[CalibrationRow]) -> Calibration:
        """Return the calibration that `raw` (by trial, image and judge), of images that count, gives a pass."""
        specs = [spec for spec in run_pass.record.scorers if spec.id != MANUAL]
        scores: dict[tuple[str, str], list[float]] = {}
        for _, images in sorted(raw.items()):
            for index, given in sorted(images.items()):
                payload = run_pass.jobs[index].payload.name
                for spec in specs:
                    if spec.judges(payload) and spec.key in given:
                        scores.setdefault((spec.key, payload), []).append(given[spec.key])
        return calibrated(scores, raw, known)

    def freeze(self, run_pass: RunPass, calibration: Calibration) -> None:
        """Record the calibration of a search, for good."""
        self._store.set_note(_key(run_pass.number), json.dumps(calibration.to_json(), ensure_ascii=False))
        self._calibrations[run_pass.number] = calibration
        self._combinations.clear()

    def combination(self, run_pass: RunPass, axis: str = "") -> Combination:
        """Return what turns scores of a pass into values, those of one of its objectives if `axis` is given.

        Raises:
            ScorerError: No judge decides.
        """
        key, record = (run_pass.id, axis), run_pass.record
        known = self._combinations.get(key)
        if known is None or known[0] is not record:  # a pass that waits may be changed
            specs = [spec for spec in record.deciding if not axis or spec.axis == axis]
            known = record, Combination(specs, record.combining, self.calibration(run_pass))
            self._combinations[key] = known
        return known[1]

    def to_json(self, run_pass: RunPass) -> dict[str, Any] | None:
        """Return the part ``calibration`` of the snapshot; None where values depend on none."""
        if not self.calibrates(run_pass):
            return None
        known = self.calibration(run_pass)
        rows = [row for row in known.rows if row.payload] if known else []
        return {
            "frozen": known is not None,
            "trials": len(known.trials) if known else LEAST,
            "rows": [
                {"scorer": r.scorer, "payload": r.payload, "median": r.median, "spread": r.spread, "n": r.n}
                for r in rows
            ],
        }

    def axes(
        self, run_pass: RunPass, raw: Raw, images: Collection[int], unrated: Collection[int] = ()
    ) -> dict[str, float]:
        """Return the value on each axis, from `images` of one trial; empty where the pass has one objective.

        Args:
            run_pass: Its pass.
            raw: Image index to scorer key to raw score.
            images: Those that count.
            unrated: Those of them that were left to the automatic scorers.

        Raises:
            ScorerError: A score is missing, or no image counts.
        """
        jobs = [job for job in run_pass.jobs if job.index in images]
        return {
            axis: self.combination(run_pass, axis).trial(raw, jobs, unrated=unrated) for axis in run_pass.record.axes
        }

    @staticmethod
    def opinions(run_pass: RunPass, raw: Raw, images: Iterable[int]) -> dict[str, float]:
        """Return what the judges that decide nothing think of some images: the mean of their raw scores."""
        record = run_pass.record
        others = [spec.key for spec in record.scorers if spec not in record.deciding]
        scores = [raw.get(image, {}) for image in images] if others else []
        given = {name: [found[name] for found in scores if name in found] for name in others}
        return {name: math.fsum(values) / len(values) for name, values in given.items() if values}


def _unchanged(rows: Iterable[CalibrationRow], before: RunPass, now: RunPass) -> list[CalibrationRow]:
    """Return those of `rows` whose judge and payload are the same in both passes: options and prompt."""
    options = {spec.key: dict(spec.options) for spec in before.record.scorers}
    judges = {spec.key for spec in now.record.scorers if options.get(spec.key) == dict(spec.options)}
    texts = {payload.name: scoring_text(payload) for payload in before.record.payloads}
    names = {payload.name for payload in now.record.payloads if texts.get(payload.name) == scoring_text(payload)}
    return [row for row in rows if row.scorer in judges and row.payload in names]


def _carried(store: Store) -> tuple[CalibrationRow, ...]:
    """Return what a fork took over from its parent's calibration."""
    text = store.note(_CARRIED)
    return Calibration.from_json(json.loads(text)).rows if text else ()


def carry(source: Store, target: Store, before: RunPass, now: RunPass) -> None:
    """Have the fork in `target`, which begins with `now`, measure what is unchanged as the search `before` did."""
    text = source.note(_key(before.number))
    if text:
        known = Calibration.from_json(json.loads(text))
        known = dataclasses.replace(known, rows=tuple(_unchanged(known.rows, before, now)))
        target.set_note(_CARRIED, json.dumps(known.to_json(), ensure_ascii=False))
