"""Block weights from files: a merged checkpoint, or an image that a merge made."""

from __future__ import annotations

import io
from pathlib import Path

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.errors import PlanError
from lib_optim.plan.header import read_header
from lib_optim.plan.weight_records import weights_of_infotext, weights_of_metadata
from lib_optim.plan.weight_strings import BlockWeights
from lib_optim.scoring.picture_text import infotext_of

__all__ = ["weights_of_checkpoint", "weights_of_image"]


def weights_of_checkpoint(path: Path, blocks: BlockMap) -> BlockWeights:
    """Return the block weights that a checkpoint's metadata hold.

    Raises:
        CheckpointError: The file cannot be read.
        PlanError: It holds none.
    """
    return weights_of_metadata(read_header(path).metadata, blocks)


def weights_of_image(data: bytes, blocks: BlockMap) -> BlockWeights:
    """Return the block weights that an image's infotext holds; the beginning of a PNG or JPEG is enough.

    Raises:
        PlanError: It is no image, or holds none.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            infotext = infotext_of(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise PlanError("The file is no image that can be read; choose a PNG or JPEG as the WebUI saves it.") from error
    if not infotext.strip():
        raise PlanError("The image holds no infotext: only the file as the program saved it does, not a copy of it.")
    return weights_of_infotext(infotext, blocks)
