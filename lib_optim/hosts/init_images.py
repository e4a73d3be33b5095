"""The pictures that images begin from, kept by the digest of their pixels below the host's data folder.

A payload names a file of the user's, which may change or go away in mid-run; what a run uses is the picture of this
digest. A copy in the run's folder goes along where the run goes (`lib_optim.run.init_images`).
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim.plan.errors import HostError

if TYPE_CHECKING:
    from PIL import Image

    from lib_optim.plan.payload import Payload

__all__ = ["INIT_FOLDER", "init_picture", "kept_file", "picture_digest", "plain_picture"]

INIT_FOLDER = "init_images"
"""Below `HostPaths.data`."""


def plain_picture(image: Image.Image) -> Image.Image:
    """Return a picture as a generation takes it: upright, mode RGB, what is transparent in it white."""
    from PIL import Image, ImageOps

    upright = ImageOps.exif_transpose(image).convert("RGBA")
    white = Image.new("RGBA", upright.size, "white")
    return Image.alpha_composite(white, upright).convert("RGB")


def picture_digest(image: Image.Image) -> str:
    """Return 32 hex digits that tell the pixels of an RGB picture from all others."""
    return hashlib.sha256(f"{image.width}x{image.height} ".encode() + image.tobytes()).hexdigest()[:32]


def kept_file(data: Path, digest: str) -> Path:
    """Return where the picture of `digest` lies, or would lie.

    Raises:
        HostError: It is no digest.
    """
    if not re.fullmatch(r"[0-9a-f]{32}", digest):
        raise HostError(f"'{digest[:40]}' is no digest of a picture.")
    return data / INIT_FOLDER / f"{digest}.png"


def init_picture(data: Path, payload: Payload) -> Image.Image:
    """Return the picture (mode RGB) that the images of `payload` begin from.

    Raises:
        HostError: It is gone, or not what it was.
    """
    from PIL import Image

    said = f"The init image {payload.init_image} of payload '{payload.name}'"
    if not payload.init_digest:
        raise HostError(f"{said} was not looked up; start the run anew.")
    path = kept_file(data, payload.init_digest)
    try:
        with Image.open(path, formats=("PNG",)) as image:
            picture = image.convert("RGB")
    except (OSError, ValueError) as error:
        raise HostError(
            f"The init image {payload.init_image} of payload '{payload.name}' is gone ({error})."
        ) from error
    if picture_digest(picture) != payload.init_digest:
        raise HostError(f"{said} is not what it was.")
    return picture
