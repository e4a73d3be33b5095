"""Tries as the page asks for them: one sitting at a time, the last merges that were tried, and what becomes of them."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lib_optim.hosts.base import Host
from lib_optim.merging.hashing import sha256_of
from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import PlanError, RunError
from lib_optim.plan.payload import MAX_SEED, ImageJob
from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import Budget, RunPlan, SamplerSpec, SaveSpec, SharedSpec, VerifySpec
from lib_optim.plan.scorers import MANUAL, ScorerSpec
from lib_optim.run.check import Resolved, check_plan
from lib_optim.run.folder import file_name
from lib_optim.run.recorded import found_model
from lib_optim.run.saving import Saved, save_trial
from lib_optim.run.sitting import Sitting
from lib_optim.run.try_folder import TRIES_FOLDER, TryFolder
from lib_optim.run.trying import Wish

__all__ = ["Tries", "first_jobs", "plan_to_try"]

_PATIENCE = 30.0  # seconds that giving the model back may take before a run may start


class Tries:
    """The tries of one host. Every method may be called from any thread.

    Args:
        host: Where to merge and generate.
        scorers_dir: For the check of plans.
    """

    def __init__(self, host: Host, scorers_dir: Path) -> None:
        self._host, self._scorers_dir = host, scorers_dir
        self._guard = threading.Lock()
        self._sitting: Sitting | None = None
        self._known: set[str] = set()
        self._requests: dict[str, None] = {}

    @property
    def folder(self) -> TryFolder:
        """Where they are kept."""
        return TryFolder(self._host.paths().data / TRIES_FOLDER)

    @property
    def busy(self) -> bool:
        """Whether something is being made."""
        sitting = self._sitting
        return sitting is not None and sitting.busy

    def resolve(self, plan: RunPlan) -> Resolved:
        """Return what `plan`, of which only the merge and the payloads count here, comes to.

        Raises:
            PlanError: It cannot be merged.
        """
        check = check_plan(plan_to_try(plan), self._host, self._scorers_dir)
        if check.resolved is None:
            raise PlanError(check.problems)
        return check.resolved

    def make(
        self,
        resolved: Resolved,
        values: Mapping[str, Value],
        payload: str = "",
        seed: int | None = None,
        parents: bool = False,
        request: str = "",
    ) -> None:
        """Have the merge of `values` made and shown in one image; answers at once. Only while no run goes on.

        While another is made it waits, and takes the place of one that waits already.

        Args:
            resolved: The plan.
            values: A point of its space.
            payload: Name of one of its payloads; the first if empty.
            seed: Of the image; None for the payload's own.
            parents: Whether the models alone are wanted, too.
            request: An id of the click, which counts once.

        Raises:
            PlanError: No such point, payload or seed.
        """
        resolved.space.assign(values)
        job = _job(resolved, payload, seed)
        with self._guard:
            if request and request in self._requests:
                return
            self._requests = dict.fromkeys([*list(self._requests)[-50:], request])
            wish = Wish(resolved, dict(values), job, parents, request)
            if self._sitting is None or not self._sitting.ask(wish):
                if self._sitting is not None and not self._sitting.wait(_PATIENCE):
                    raise RunError("The model of the try before is still being put back; wait a moment.")
                sitting = Sitting(self._host, self.folder, self._known)
                sitting.ask(wish)
                sitting.start()
                self._sitting = sitting

    def stop(self) -> None:
        """End what is being made; the model is given back. Answers at once."""
        with self._guard:
            if self._sitting is not None:
                self._sitting.stop()

    def leave(self) -> None:
        """Give everything back, so that a run may have the host.

        Raises:
            RunError: A try is being made.
        """
        with self._guard:
            if self._sitting is None:
                return
            if self._sitting.busy:
                raise RunError("A merge is being tried; wait for its image, or stop it.")
            self._sitting.stop()
            if not self._sitting.wait(_PATIENCE):
                raise RunError("The model of a try is still being put back; wait a moment, and start again.")
            self._sitting = None

    def close(self, timeout: float) -> bool:
        """Stop, give everything back, and wait for it; return whether that is done."""
        with self._guard:
            if self._sitting is None:
                return True
            self._sitting.stop()
            return self._sitting.wait(timeout)

    def state(self) -> dict[str, Any]:
        """Return what is being made: ``making``, ``request``, ``sentence``, ``error``, ``step``, ``steps``."""
        sitting = self._sitting
        making = sitting is not None and sitting.busy
        progress = self._host.progress() if making else None
        wish = sitting.making if sitting is not None else None
        return {
            "making": making,
            "request": wish.request if wish is not None else "",
            "sentence": sitting.sentence if sitting is not None else "",
            "error": sitting.error if sitting is not None else "",
            "step": progress.step if progress else 0,
            "steps": progress.steps if progress else 0,
        }

    def save(self, number: int, save: SaveSpec | None = None, name: str = "") -> Saved:
        """Save the merge of a try as a checkpoint. Takes seconds.

        Raises:
            RunError: It is not kept any more.
            OptimError: It cannot be saved.
        """
        record = self.folder.read(number)
        cache = self._host.paths().data / "hashes.json"
        models = tuple(found_model(model, self._host) for model in record.plan.models)
        models = tuple(dataclasses.replace(m, sha256=sha256_of(Path(m.path), cache)) for m in models)
        resolved = self.resolve(dataclasses.replace(record.plan, models=models))
        trial = Trial(number, "complete", record.values, "try", record.recipe)
        name = name or f"{file_name(record.plan.name)}-try{number:04d}"
        save = dataclasses.replace(save or record.plan.save, checkpoint=True)
        return save_trial(resolved, trial, self.folder.as_run, self._host, save, name)


def plan_to_try(plan: RunPlan) -> RunPlan:
    """Return `plan` without what says nothing about one merge and one image: judges, search, budget, later passes."""
    return dataclasses.replace(
        plan, scorers=(ScorerSpec(MANUAL),), budget=Budget(1), sampler=SamplerSpec("random", presets=()),
        verify=VerifySpec(0), passes=(), shared=SharedSpec(), save=dataclasses.replace(plan.save, checkpoint=False),
    )  # fmt: skip


def first_jobs(jobs: Sequence[ImageJob]) -> dict[str, ImageJob]:
    """Return the first image of each payload, by its name."""
    found: dict[str, ImageJob] = {}
    for job in jobs:
        found.setdefault(job.payload.name, job)
    return found


def _job(resolved: Resolved, payload: str, seed: int | None) -> ImageJob:
    jobs = first_jobs(resolved.jobs)
    job = jobs.get(payload) if payload else next(iter(jobs.values()))
    if job is None:
        raise PlanError(f"The payload '{payload}' is not one of this plan; choose {' or '.join(jobs)}.")
    if seed is None:
        return job
    if not 0 <= seed <= MAX_SEED:
        raise PlanError(f"The seed must be a whole number from 0 to {MAX_SEED}.")
    return dataclasses.replace(job, seed=seed)
