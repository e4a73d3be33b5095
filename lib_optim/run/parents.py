"""A parent alone, in the place of the merge: what "Try it" shows beside it.

Model A is the live model as it is. Any other is what its merge at weight 1 comes to: its own U-Net and text encoders,
and its VAE where the try merges that, or A with all of a LoRA. Whatever else an image depends on stays as in the try.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from lib_optim.hosts.base import Host
from lib_optim.merging.merger import Merger
from lib_optim.merging.methods import merge_method
from lib_optim.plan.blocks import BlockMap, block_map
from lib_optim.plan.dimensions import Setting, Space
from lib_optim.plan.payload import OWN_FIELDS, ImageJob
from lib_optim.run.check import Resolved
from lib_optim.run.device import merge_device

__all__ = ["LETTERS", "open_parent", "parent_components", "parent_file"]

LETTERS = "ABCDEFGH"
_WHOLE = frozenset({"unet", "text_encoder"})


def parent_components(resolved: Resolved, host: Host) -> frozenset[str]:
    """Return the components that a parent's image shows: the model's own, but for the VAE, unless that is merged."""
    able = _WHOLE if host.capabilities().text_encoder else _WHOLE - {"text_encoder"}
    present = {resolved.architecture.component_of(key) for key in resolved.headers[0].tensors}
    return resolved.components | (able & {component for component in present if component})


def open_parent(resolved: Resolved, model: Path, host: Host) -> Merger:
    """Open `model`, one of the plan's but A, to be written over A as a whole; the caller closes it.

    Its only point is the empty one.

    Raises:
        OptimError: As `Merger`.
    """
    blocks = _blocks(resolved)
    names = tuple(b.name for b in blocks.blocks if b.component in parent_components(resolved, host))
    settings = tuple(Setting(f"{name}_alpha", 1.0, "alpha", (name,)) for name in names)
    return Merger(
        merge_method("weighted_sum"), (resolved.models[0], model), resolved.architecture, blocks,
        Space((), settings, names), 0, device=merge_device(resolved.plan, host), precision="fp32", memory=0,
    )  # fmt: skip


def parent_file(resolved: Resolved, letter: str, job: ImageJob, host: Host) -> str:
    """Return the name of a parent's image: the same for whatever makes the same picture.

    Call when A is loaded: what the user chose beside the checkpoint (a VAE) counts.
    """
    payload = {name: value for name, value in job.payload.to_json().items() if name not in OWN_FIELDS}
    files = [_stamp(resolved.models[i]) for i in dict.fromkeys((0, LETTERS.index(letter)))]
    shown = sorted(parent_components(resolved, host)) if letter != "A" else []
    state = {name: repr(value) for name, value in host.state().details.items()}
    what = [files, shown, {**payload, "seed": job.seed, "subseed": job.subseed}, state]
    digest = hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()
    return f"parent-{digest[:16]}.png"


def _blocks(resolved: Resolved) -> BlockMap:
    return block_map(resolved.architecture.block_map or "")  # the usual ones: those of the user may leave gaps


def _stamp(path: Path) -> list[object]:
    stat = path.stat()
    return [str(path), stat.st_size, stat.st_mtime_ns]
