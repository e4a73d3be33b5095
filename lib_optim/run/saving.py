"""Saving the merge of a trial as a checkpoint, during a run or after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from lib_optim.hosts.base import Host
from lib_optim.merging.merger import Merger
from lib_optim.merging.save import save_checkpoint
from lib_optim.plan.errors import CheckpointError, StoreError
from lib_optim.plan.header import read_header
from lib_optim.plan.records import Trial
from lib_optim.run.check import Resolved
from lib_optim.run.folder import RunFolder
from lib_optim.run.results import OPTIM_METADATA, save_metadata

__all__ = ["open_merger", "save_trial"]


def open_merger(resolved: Resolved) -> Merger:
    """Open the models of a plan for merging; the caller closes it.

    Raises:
        OptimError: A model cannot be read or the method does not fit.
    """
    r = resolved
    return Merger(r.method, r.models, r.architecture, r.blocks, r.space, r.plan.seed, precision=r.plan.save.dtype)


def save_trial(resolved: Resolved, trial: Trial, folder: RunFolder, host: Host) -> Path:
    """Save the merge of `trial` where the host finds its models; return the file. Any thread.

    Opens the models itself, so that a trial under way does not wait for it. A file that holds this very merge
    already is kept; one of the same name that holds another is not touched: the new one gets a number.

    Raises:
        OptimError: It cannot be saved, in one sentence.
    """
    merger = open_merger(resolved)
    try:
        parent = host.paths().models / "optim"
        metadata = save_metadata(resolved, trial, folder, merger.recipe(trial.values).digest)
        for suffix in ("", *(f"-{n}" for n in range(2, 1000))):
            target = parent / f"{folder.name}-trial{trial.number:04d}{suffix}.safetensors"
            if not target.exists():
                parent.mkdir(parents=True, exist_ok=True)
                return save_checkpoint(merger, trial.values, target, resolved.plan.save.dtype, metadata)
            if _merge_in(target) == _merge_of(metadata):
                return target
        raise StoreError(f"{parent} holds too many files called {target.name}; move some elsewhere.")
    except OSError as error:
        raise StoreError(f"{parent} cannot be written to: {error.strerror or error}.") from error
    finally:
        merger.close()


def _merge_of(metadata: Mapping[str, str]) -> object:
    content = json.loads(metadata.get(OPTIM_METADATA, "null"))
    if not isinstance(content, dict):
        return None
    return {name: value for name, value in content.items() if name in ("recipe", "models", "dtype")}


def _merge_in(path: Path) -> object:
    try:
        return _merge_of(read_header(path).metadata)
    except (CheckpointError, ValueError):
        return None
