"""Which tensors of several checkpoints are merged with each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lib_optim.merging.sources import Source
from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.errors import MergeError

__all__ = ["SharedKeys", "shared_keys"]

# Numbers of places, which some tools stored as fractions: no weights.
_POSITIONS = ".position_ids"


@dataclass(frozen=True)
class SharedKeys:
    """The tensors to merge, in the order of the base's file, by sd-mecha's names.

    Attributes:
        names: What each is called in the base's file.
        blocks: The block of each.
        missing: File name of a model to the keys of the merged blocks that it lacks.
    """

    names: Mapping[str, str]
    blocks: Mapping[str, str]
    missing: Mapping[str, tuple[str, ...]]


def shared_keys(
    sources: Sequence[Source],
    blocks: BlockMap,
    merged: Collection[str],
    alone: Collection[str] = (),
    only: Collection[str] | None = None,
) -> SharedKeys:
    """Return the floating tensors of the `merged` blocks that all `sources` (the base first) have.

    Args:
        sources: The files.
        blocks: The block map.
        merged: Names of blocks.
        alone: Those of them that take nothing but the base's tensors, so that the others need not have them.
        only: The only keys that are wanted; None for all.

    Raises:
        MergeError: There are none, or two files disagree about a tensor's shape.
    """
    base = sources[0]
    block_of = {key: blocks.block_of(name) for key, name in base.names.items()}
    wanted = [
        key
        for key, block in block_of.items()
        if block in merged
        and base.is_floating(key)
        and not key.endswith(_POSITIONS)
        and (only is None or key in only or block in alone)
    ]
    shared = [key for key in wanted if block_of[key] not in alone]
    missing = {
        source.path.name: tuple(key for key in shared if key not in source.names or not source.is_floating(key))
        for source in sources[1:]
    }
    lacking = {key for keys in missing.values() for key in keys}
    keys = [key for key in wanted if key not in lacking]
    if not keys:
        names = " and ".join(source.path.name for source in sources)
        raise MergeError(f"{names} have no tensors in common in the blocks to merge; choose other blocks or models.")
    for source in sources[1:]:
        for key in (key for key in keys if block_of[key] not in alone):
            if source.shape(key) != base.shape(key):
                raise MergeError(
                    f"{base.path.name} and {source.path.name} differ in the shape of '{key}' "
                    f"({_times(base.shape(key))} and {_times(source.shape(key))}), as inpainting and ordinary models "
                    f"do; choose models of one kind or leave block {block_of[key]} out."
                )
    return SharedKeys(
        {key: base.names[key] for key in keys},
        {key: block_of[key] or "" for key in keys},
        {name: lost for name, lost in missing.items() if lost},
    )


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(str(size) for size in shape) or "a single number"
