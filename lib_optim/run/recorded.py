"""Runs that are not open: their plan looked up again, and their trials, from the run folder."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lib_optim.hosts.base import Host
from lib_optim.merging.hashing import sha256_of
from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import OptimError, PlanError, RunError
from lib_optim.plan.payload import Payload, jobs_of
from lib_optim.plan.records import Trial, Verdict
from lib_optim.plan.run_plan import Budget, ModelRef, SamplerSpec, SharedSpec, VerifySpec
from lib_optim.plan.scorers import MANUAL, ScorerSpec
from lib_optim.run.axes import with_axis_values
from lib_optim.run.check import Resolved, check_plan
from lib_optim.run.choosing import noted_choice
from lib_optim.run.folder import RunFolder, is_file
from lib_optim.run.passes import Passes, RunPass
from lib_optim.run.store import Store

__all__ = ["Recorded", "found_model", "last_search", "recorded_run", "recorded_trial", "winner_of"]


@dataclasses.dataclass(frozen=True)
class Recorded:
    """A run as it stands.

    Attributes:
        resolved: Its plan.
        folder: Its folder.
        trials: All its trials.
        passes: All its passes.
        winner: The best trial: the chosen one, else the verified one, else the best of the last search; None if none
            was scored.
        chosen: The trial that the user chose, if any.
        unchosen: What `winner` would be without that.
    """

    resolved: Resolved
    folder: RunFolder
    trials: tuple[Trial, ...]
    passes: tuple[RunPass, ...]
    winner: int | None
    chosen: int | None = None
    unchosen: int | None = None

    @property
    def last_search(self) -> tuple[Trial, ...]:
        """The trials of the last search that has one with a value: their scores can be compared."""
        last = self._last
        return tuple(trial for trial in self.trials if last is not None and trial.pass_id == last.id)

    @property
    def fixed(self) -> Mapping[str, Value]:
        """What that search did not change."""
        return {} if self._last is None else self._last.record.fixed

    @property
    def _last(self) -> RunPass | None:
        return last_search(self.trials, self.passes)

    @property
    def best(self) -> Trial | None:
        """The trial `winner`."""
        return next((trial for trial in self.trials if trial.number == self.winner), None)


def recorded_run(host: Host, scorers_dir: Path, name: str) -> Recorded:
    """Return the run `name`.

    Only what merging needs has to be there still: models and method, not scorers, payloads or images.

    Raises:
        StoreError: There is no such run, or its files cannot be read.
        PlanError: Its models cannot be merged any more.
    """
    folder = RunFolder.open(host.paths().outputs, name)
    plan = folder.read_plan()
    with contextlib.closing(Store(folder.record())) as store:
        trials = tuple(store.trials())
        passes = Passes(plan, store).all if trials else ()
        trials = tuple(with_axis_values(trials, passes, store))
        verdicts, chosen = store.verdicts(), noted_choice(store)
    plan = dataclasses.replace(plan, models=tuple(found_model(model, host) for model in plan.models))
    mergeable = dataclasses.replace(
        plan, payloads=(Payload("none"),), scorers=(ScorerSpec(MANUAL),), budget=Budget(1),
        sampler=SamplerSpec("random", presets=()), verify=VerifySpec(0), passes=(),
        shared=SharedSpec(),
    )  # fmt: skip
    check = check_plan(mergeable, host, scorers_dir)
    if check.resolved is None:
        raise PlanError(check.problems)
    resolved = dataclasses.replace(check.resolved, plan=plan, jobs=jobs_of(plan.payloads))
    found = Recorded(resolved, folder, trials, passes, None)
    verdict = Verdict.from_json(json.loads(verdicts[-1])) if verdicts else None
    unchosen, kept = winner_of(found.last_search, verdict, chosen)
    return dataclasses.replace(found, winner=unchosen if kept is None else kept, chosen=kept, unchosen=unchosen)


def last_search(trials: Sequence[Trial], passes: Sequence[RunPass]) -> RunPass | None:
    """Return the last search that has a trial with a value; None before there is one."""
    scored = {trial.pass_id for trial in trials if trial.state == "complete"}
    return next((p for p in reversed(passes) if p.searches and p.id in scored), None)


def winner_of(trials: Iterable[Trial], verdict: Verdict | None, chosen: int | None) -> tuple[int | None, int | None]:
    """Return which of the last search's `trials` wins by itself, verified or not, and the user's choice if it holds."""
    scored = {trial.number: trial for trial in trials if trial.state == "complete" and trial.value is not None}
    best = max(scored.values(), key=lambda trial: (trial.value or 0.0, -trial.number), default=None)
    verified = verdict.winner if verdict is not None else None
    unchosen = verified if verified in scored else None if best is None else best.number
    return unchosen, chosen if chosen in scored else None


def recorded_trial(host: Host, scorers_dir: Path, name: str, number: int) -> tuple[Resolved, RunFolder, Trial, str]:
    """Return the plan, the folder, one trial and the infotext of one of its images, of the run `name`.

    Raises:
        RunError: It has no such trial.
        StoreError, PlanError: As `recorded_run`.
    """
    run = recorded_run(host, scorers_dir, name)
    trial = next((trial for trial in run.trials if trial.number == number), None)
    if trial is None:
        raise RunError(f"The run {name} has no trial {number}; choose one of its trials.")
    with contextlib.closing(Store(run.folder.database)) as store:
        infotext = next((image.infotext for image in store.images(number) if image.infotext), "")
    return run.resolved, run.folder, trial, infotext


def found_model(model: ModelRef, host: Host) -> ModelRef:
    """Return `model`, found again by its hash if its file moved.

    Raises:
        PlanError: It is gone.
    """
    if is_file(Path(model.path)) or not model.sha256:
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
