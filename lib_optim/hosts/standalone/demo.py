"""Two small Stable Diffusion 1 checkpoints to play with, put together in a second and never downloaded.

They draw: houses, trees, fish and the like, in the colour, at the place and at the time of day that the prompt says
(the words are in ``scoring/demo_words.py``). Both were fine-tuned from one ancestor, A to draw the right thing in any
colour, B to draw anything in the right colour, so that a merge can be better than both. ``tools/demo_pair`` trained
them on pictures that it draws itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim.hosts.standalone.demo_layout import demo_shapes
from lib_optim.hosts.standalone.demo_pieces import OWN, assembled

if TYPE_CHECKING:
    import torch

__all__ = ["DEMO_NAMES", "demo_shapes", "demo_tensors", "make_demo_checkpoints"]

DEMO_NAMES = OWN
_METADATA = {"format": "pt"}  # of one entry: several have no fixed order in the file


def make_demo_checkpoints(folder: Path) -> tuple[Path, ...]:
    """Write the two checkpoints (half precision, under 25 MB each) into `folder` and return their paths."""
    from safetensors.torch import save

    paths = []
    for variant, name in enumerate(DEMO_NAMES):
        path, partial = folder / name, folder / f"{name}.part"
        partial.write_bytes(save(demo_tensors(variant), metadata=_METADATA))  # save_file's can be read by nobody else
        partial.replace(path)
        paths.append(path)
    return tuple(paths)


def demo_tensors(variant: int) -> dict[str, torch.Tensor]:
    """Return a checkpoint, fp16. Variant 0 is A, 1 is B."""
    return assembled(variant)
