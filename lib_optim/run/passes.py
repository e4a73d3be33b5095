"""The passes of a run: recorded when they begin, found again by the trials that belong to them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import cached_property

from lib_optim.plan.bounds import Value
from lib_optim.plan.judging import Judging, judging_of
from lib_optim.plan.passes import PassRecord, first_pass, last_pass, later_pass, verification_of
from lib_optim.plan.payload import ImageJob, jobs_of
from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import RunPlan
from lib_optim.plan.scorers import MANUAL, ratings_json
from lib_optim.run.store import Store

__all__ = ["Passes", "RunPass"]


@dataclasses.dataclass(frozen=True)
class RunPass:
    """A recorded pass. `id` is that of the database, `number` counts the searches from 1; a verification has the
    number of the search that it verifies."""

    id: int
    number: int
    record: PassRecord

    @cached_property
    def jobs(self) -> tuple[ImageJob, ...]:
        """The images of each of its trials."""
        return jobs_of(self.record.payloads)

    @property
    def searches(self) -> bool:
        """Whether its trials belong to a search: those of a verification never enter one."""
        return self.record.kind == "search"

    @property
    def label(self) -> str:
        """What it is called in tables: ``1``, ``2``, ``verification``."""
        return str(self.number) if self.searches else "verification"

    @property
    def manual(self) -> bool:
        """Whether a human scores its images."""
        return any(spec.id == MANUAL for spec in self.record.scorers)

    @cached_property
    def judging(self) -> Judging | None:
        """How a human compares its images; None where nobody does: they are rated, or judged by scorers alone."""
        return judging_of(self.record.scorers)

    @property
    def ratings(self) -> list[dict[str, object]]:
        """What a human says of an image, as JSON: ``key`` of the score, ``name`` and ``weight``; empty if nothing."""
        return ratings_json(self.record.scorers) if self.judging is None else []

    @property
    def known_jobs(self) -> int:
        """How many of its images, the first ones, belong to payloads that are not held out."""
        known = self.record.payloads[: len(self.record.payloads) - self.record.held_out]
        return len(jobs_of(known))


class Passes:
    """The passes of one run.

    Args:
        plan: The plan, seeds drawn. What it says of the first pass holds: a resumed run may get another budget.
        store: The record.
        trials: A new number of trials for the search that was going on, or None. That of the first pass is the plan's.
    """

    def __init__(self, plan: RunPlan, store: Store, trials: int | None = None) -> None:
        self._plan, self._store = plan, store
        self._passes: list[RunPass] = []
        rows = store.passes() or [(self._add(first_pass(plan)), "")]
        for i, (pass_id, text) in enumerate(rows):
            record = PassRecord.from_json(json.loads(text)) if i else first_pass(plan)
            self._passes.append(RunPass(pass_id, self._number(record), record))
        if trials is not None and self.current.number > 1:
            record = self.current.record
            budget = dataclasses.replace(record.budget, trials=trials)
            self._replace(self.current, dataclasses.replace(record, budget=budget))

    @property
    def current(self) -> RunPass:
        """The search that goes on, or that was the last."""
        return next(p for p in reversed(self._passes) if p.searches and p.record.begun)

    @property
    def waiting(self) -> RunPass | None:
        """The search that waits for the end of the trial under way."""
        return next((p for p in self._passes if not p.record.begun), None)

    def next(self) -> RunPass | None:
        """Return the search that comes next, recorded but not begun; None after the last one."""
        planned = self.current.record.planned + 1
        if self.waiting is None and planned <= len(self._plan.passes):
            self._record(later_pass(self._plan, planned))
        return self.waiting

    def change(self, record: PassRecord) -> RunPass:
        """Record a pass that shall begin after the trial under way, instead of one that waits for that already."""
        if self.waiting is not None:
            return self._replace(self.waiting, record)
        return self._record(record)

    def prepare(self, run_pass: RunPass, start: int | None, fixed: Mapping[str, Value]) -> RunPass:
        """Record where a waiting pass starts from. It waits on until `begin`."""
        return self._replace(run_pass, dataclasses.replace(run_pass.record, start=start, fixed=fixed))

    def begin(self, run_pass: RunPass) -> RunPass:
        """Record that a pass goes on from here: it is the current one."""
        return self._replace(run_pass, dataclasses.replace(run_pass.record, begun=True))

    @property
    def more(self) -> bool:
        """Whether the plan has another pass after the current one."""
        return self.current.record.planned < len(self._plan.passes)

    @property
    def images_to_come(self) -> int:
        """How many images the planned passes after the current one make at most."""
        planned = range(self.current.record.planned + 1, len(self._plan.passes) + 1)
        records = [later_pass(self._plan, i) for i in planned]
        return sum(len(jobs := jobs_of(r.payloads)) * r.budget.most_trials(len(jobs)) for r in records)

    @property
    def all(self) -> tuple[RunPass, ...]:
        """Every pass, in the order in which they began."""
        return tuple(self._passes)

    def of(self, trial: Trial) -> RunPass:
        """Return the pass of a trial."""
        return next(run_pass for run_pass in self._passes if run_pass.id == trial.pass_id)

    @property
    def finalists(self) -> int:
        """How many of the best are to be verified."""
        return self._plan.verify.finalists

    @property
    def verification_images(self) -> int:
        """How many images the whole verification makes."""
        last = last_pass(self._plan) if self.more else self.current.record
        record = verification_of(last, self._plan)
        return self.finalists * len(jobs_of(record.payloads))

    @property
    def verification(self) -> RunPass | None:
        """The verification of the current search, if it was recorded."""
        record = verification_of(self.current.record, self._plan)
        return next((run_pass for run_pass in self._passes if run_pass.record == record), None)

    def verify(self) -> RunPass:
        """Return the verification of the current search; records it at the first call."""
        return self.verification or self._record(verification_of(self.current.record, self._plan))

    def _record(self, record: PassRecord) -> RunPass:
        self._passes.append(RunPass(self._add(record), self._number(record), record))
        return self._passes[-1]

    def _replace(self, run_pass: RunPass, record: PassRecord) -> RunPass:
        self._store.put_pass(run_pass.id, json.dumps(record.to_json(), ensure_ascii=False))
        changed = RunPass(run_pass.id, run_pass.number, record)
        self._passes[self._passes.index(run_pass)] = changed
        return changed

    def _add(self, record: PassRecord) -> int:
        return self._store.add_pass(json.dumps(record.to_json(), ensure_ascii=False))

    def _number(self, record: PassRecord) -> int:
        return sum(run_pass.searches for run_pass in self._passes) + (record.kind == "search")
