"""Whether the winner can be saved as the plan wants it, and how large the file will be."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from lib_optim.merging.contents import saved_bytes
from lib_optim.plan.architectures import Architecture
from lib_optim.plan.errors import CheckpointError, Problem
from lib_optim.plan.header import CheckpointHeader
from lib_optim.plan.run_plan import SaveSpec

__all__ = ["save_size"]


def save_size(
    save: SaveSpec,
    base: CheckpointHeader,
    architecture: Architecture,
    components: Collection[str],
    problems: list[Problem],
) -> int:
    """Return the size of the checkpoint that `save` asks for, 0 for none.

    Args:
        save: Of the plan; looked at even where nothing is saved at the end, as trials may be saved by hand.
        base: Header of model A.
        architecture: Of model A.
        components: That are merged.
        problems: Gets a sentence where it cannot be done.
    """
    if save.vae and "vae" in components:
        problems.append(
            Problem(
                "save.vae",
                f"The VAE is merged, so {Path(save.vae).name} cannot be stored instead of it; take one of the two out.",
            )
        )
    try:
        size = saved_bytes(base, architecture, save)
    except CheckpointError as error:
        problems.append(Problem("save.vae", str(error)))
        return 0
    return size if save.checkpoint else 0
