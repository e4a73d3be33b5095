"""Saving the merge of a trial as a checkpoint, during a run or after it."""

from __future__ import annotations

from pathlib import Path

from lib_optim.hosts.base import Host
from lib_optim.merging.merger import Merger
from lib_optim.merging.save import save_checkpoint
from lib_optim.plan.records import Trial
from lib_optim.run.check import Resolved
from lib_optim.run.folder import RunFolder
from lib_optim.run.results import save_metadata

__all__ = ["open_merger", "save_trial"]


def open_merger(resolved: Resolved) -> Merger:
    """Open the models of a plan for merging; the caller closes it.

    Raises:
        OptimError: A model cannot be read or the method does not fit.
    """
    r = resolved
    return Merger(r.method, r.models, r.architecture, r.blocks, r.space, r.plan.seed)


def save_trial(resolved: Resolved, merger: Merger, trial: Trial, folder: RunFolder, host: Host) -> Path:
    """Save the merge of `trial` where the host finds its models; return the file.

    A file of this very trial that is already there is kept: the same recipe gives the same file.

    Raises:
        OptimError: It cannot be saved, in one sentence.
    """
    target = host.paths().models / "optim" / f"{folder.name}-trial{trial.number:04d}.safetensors"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        metadata = save_metadata(resolved, trial, folder)
        save_checkpoint(merger, trial.values, target, resolved.plan.save.dtype, metadata)
    return target
