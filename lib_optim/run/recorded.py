"""Runs that are not open: their plan looked up again, and their trials, from the run folder."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

from lib_optim.hosts.base import Host
from lib_optim.merging.hashing import sha256_of
from lib_optim.plan.errors import OptimError, PlanError, RunError
from lib_optim.plan.payload import Payload
from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import Budget, ModelRef, SamplerSpec, VerifySpec
from lib_optim.plan.scorers import MANUAL, ScorerSpec
from lib_optim.run.check import Resolved, check_plan
from lib_optim.run.folder import RunFolder
from lib_optim.run.store import Store

__all__ = ["found_model", "recorded_trial"]


def recorded_trial(host: Host, scorers_dir: Path, name: str, number: int) -> tuple[Resolved, RunFolder, Trial, str]:
    """Return the plan, the folder, one trial and the infotext of one of its images, of the run `name`.

    Only what merging needs has to be there still: models and method, not scorers, payloads or images.

    Raises:
        StoreError: There is no such run, or its files cannot be read.
        RunError: It has no such trial.
        PlanError: Its models cannot be merged any more.
    """
    folder = RunFolder.open(host.paths().outputs, name)
    store = Store(folder.database)
    try:
        trial = next((trial for trial in store.trials() if trial.number == number), None)
        infotext = next((image.infotext for image in store.images(number) if image.infotext), "")
    finally:
        store.close()
    if trial is None:
        raise RunError(f"The run {name} has no trial {number}; choose one of its trials.")
    plan = folder.read_plan()
    plan = dataclasses.replace(plan, models=tuple(found_model(model, host) for model in plan.models))
    mergeable = dataclasses.replace(
        plan, payloads=(Payload("none"),), scorers=(ScorerSpec(MANUAL),), budget=Budget(1),
        sampler=SamplerSpec("random", presets=()), verify=VerifySpec(0), passes=(),
    )  # fmt: skip
    check = check_plan(mergeable, host, scorers_dir)
    if check.resolved is None:
        raise PlanError(check.problems)
    return dataclasses.replace(check.resolved, plan=plan), folder, trial, infotext


def found_model(model: ModelRef, host: Host) -> ModelRef:
    """Return `model`, found again by its hash if its file moved.

    Raises:
        PlanError: It is gone.
    """
    if Path(model.path).is_file() or not model.sha256:
        return model
    cache = host.paths().data / "hashes.json"
    for checkpoint in host.checkpoints(refresh=True):
        with contextlib.suppress(OSError, OptimError):
            if (checkpoint.sha256 or sha256_of(checkpoint.path, cache)) == model.sha256:
                return dataclasses.replace(model, path=str(checkpoint.path), title=checkpoint.title)
    loras = host.paths().loras
    for path in loras.rglob(Path(model.path).name) if loras is not None and loras.is_dir() else ():
        with contextlib.suppress(OSError, OptimError):
            if sha256_of(path, cache) == model.sha256:
                return dataclasses.replace(model, path=str(path))
    raise PlanError(
        f"{Path(model.path).name} is gone, and no other file has its SHA-256 {model.sha256[:10]}…; put it back."
    )
