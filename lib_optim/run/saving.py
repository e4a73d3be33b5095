"""Saving the merge of a trial as a checkpoint, during a run or after it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from lib_optim.hosts.base import Host
from lib_optim.merging.contents import positions_broken
from lib_optim.merging.hashing import sha256_of
from lib_optim.merging.merger import Merger
from lib_optim.merging.save import save_checkpoint
from lib_optim.plan.errors import CheckpointError, StoreError
from lib_optim.plan.header import read_header
from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import SaveSpec
from lib_optim.run.check import Resolved
from lib_optim.run.device import merge_device
from lib_optim.run.folder import RunFolder, file_name
from lib_optim.run.results import OPTIM_METADATA, save_metadata

__all__ = ["Saved", "open_merger", "save_trial"]

_WHICH = {"recipe": "", "models": [], "dtype": "", "pruned": False, "vae": "", "fix_clip": False}
"""What says which merge a file holds and how; with what files of Optim 0.1.0 leave unsaid."""

_VAE = re.compile(r"(?:^|, )VAE: ([^,\n]+)")  # as AUTOMATIC1111 and Forge write them into the infotext
_MODULE = re.compile(r"(?:^|, )Module \d+: ([^,\n]+)")


@dataclasses.dataclass(frozen=True)
class Saved:
    """A saved checkpoint, and what the user should know of it, a sentence each."""

    path: Path
    notes: tuple[str, ...]


def open_merger(resolved: Resolved, host: Host, save: SaveSpec | None = None) -> Merger:
    """Open the models of a plan for merging; the caller closes it.

    Args:
        resolved: The plan.
        host: Whose GPU may compute; a save does so where the run did, so that it holds the same bits.
        save: Open them for this one save: rounding as it will, keeping nothing in memory. For a run if None.

    Raises:
        OptimError: A model cannot be read or the method does not fit.
    """
    r = resolved
    precision = (save or r.plan.save).dtype
    memory = None if save is None else 0
    device = merge_device(r.plan, host)
    for place in dict.fromkeys((device, "cpu")):
        merger = Merger(
            r.method, r.models, r.architecture, r.blocks, r.space, r.plan.seed,
            device=place, precision=precision, memory=memory,
        )  # fmt: skip
        if not merger.slow or place == "cpu":
            return merger
        merger.close()  # a GPU that does not compute what sd-mecha computes there
    raise AssertionError


def save_trial(
    resolved: Resolved,
    trial: Trial,
    folder: RunFolder,
    host: Host,
    save: SaveSpec | None = None,
    name: str = "",
    infotext: str = "",
) -> Saved:
    """Save the merge of `trial` where the host finds its models. Any thread.

    Opens the models itself, so that a trial under way does not wait for it. A file that holds this very merge
    already is kept; one of the same name that holds another is not touched: the new one gets a number.

    Args:
        resolved: The plan.
        trial: Whose merge.
        folder: The run.
        host: Whose models folder.
        save: How; the plan's own if None.
        name: Of the file, without ending; after run and trial if empty.
        infotext: Of one of the trial's images, which says with which VAE they were made.

    Raises:
        OptimError: It cannot be saved, in one sentence.
    """
    save = save or resolved.plan.save
    stem = file_name(name.removesuffix(".safetensors")) if name.strip() else f"{folder.name}-trial{trial.number:04d}"
    parent = host.paths().models / "optim"
    merger = open_merger(resolved, host, save)
    try:
        metadata = save_metadata(resolved, trial, folder, merger.recipe(trial.values).digest, _stored(save))
        for suffix in ("", *(f"-{n}" for n in range(2, 1000))):
            target = parent / f"{stem}{suffix}.safetensors"
            if not target.exists():
                parent.mkdir(parents=True, exist_ok=True)
                save_checkpoint(merger, trial.values, target, save, metadata)
                return Saved(target, tuple(_notes(resolved, save, infotext, host)))
            if _merge_in(target) == _merge_of(metadata):
                return Saved(target, tuple(_notes(resolved, save, infotext, host)))
        raise StoreError(f"{parent} holds too many files called {target.name}; move some elsewhere.")
    except OSError as error:
        raise StoreError(f"{parent} cannot be written to: {error.strerror or error}.") from error
    finally:
        merger.close()


def _stored(save: SaveSpec) -> dict[str, object]:
    vae = sha256_of(Path(save.vae)) if save.vae else ""
    return {"dtype": save.dtype, "pruned": save.pruned, "vae": vae, "fix_clip": save.fix_clip}


def _merge_of(metadata: Mapping[str, str]) -> object:
    content = json.loads(metadata.get(OPTIM_METADATA, "null"))
    if not isinstance(content, dict):
        return None
    return {name: content.get(name, unsaid) for name, unsaid in _WHICH.items()}


def _merge_in(path: Path) -> object:
    try:
        return _merge_of(read_header(path).metadata)
    except (CheckpointError, ValueError):
        return None


def _notes(resolved: Resolved, save: SaveSpec, infotext: str, host: Host) -> Iterator[str]:
    """Yield where the file will not give the images that the trial showed, and why."""
    live = {Path(name.strip()).stem: name.strip() for name in _VAE.findall(infotext)}
    modules = {Path(name.strip()).stem: name.strip() for name in _MODULE.findall(infotext)}
    stored = Path(save.vae).stem if save.vae else ""
    for stem, name in {**live, **modules}.items():
        if stem != stored:
            what = "VAE" if stem in live else "module"
            yield (
                f"The images of this trial were made with the {what} {name}, which the file does not hold: choose it "
                "in the program, or save with that VAE in the file."
            )
    if stored and stored not in {**live, **modules}:
        yield (
            f"The file holds the VAE {Path(save.vae).name}; the trial's images were made without it and look different."
        )
    run = resolved.plan.save.dtype
    if save.dtype != run:
        yield f"The run rounded its merges to {run}; saved in {save.dtype}, the images may differ in details."
    if host.id == "forge" and save.dtype == "fp32" and "text_encoder" in resolved.components:
        yield (
            "Forge reads text encoders in fp16 and then widens their embeddings, so that the file's images may differ "
            "from the trial's in the last digit; fp16 has no such difference."
        )
    header = resolved.headers[0]
    broken = [n for n in header.tensors if n.endswith("embeddings.position_ids") and positions_broken(header, n)]
    if broken:
        kept = "are repaired in the file" if save.fix_clip else "are in the file as they are"
        yield (
            f"CLIP's position ids are broken in {header.path.name} and {kept}"
            + ("; a program that used the broken ones will make different images." if save.fix_clip else ".")
        )
