"""Picture files that somebody sent: opened with care, and what they say of themselves."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from lib_optim.plan.errors import RunError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["infotext_of", "opened_picture"]

FORMATS = ("PNG", "JPEG", "WEBP")
MOST_PIXELS = 64_000_000
_EXIF, _USER_COMMENT = 0x8769, 0x9286  # numbers of the EXIF block and of its field, in the EXIF standard
_UNICODE = b"UNICODE\0"


def infotext_of(image: Image.Image) -> str:
    """Return the WebUI's infotext of an opened picture: PNG's ``parameters``, else EXIF's user comment; or empty."""
    text = image.info.get("parameters")
    if isinstance(text, str):
        return text
    try:
        comment = image.getexif().get_ifd(_EXIF).get(_USER_COMMENT, b"")
    except Exception:  # noqa: BLE001 (Pillow raises what broken EXIF makes it raise; it is only a prompt)
        return ""
    if not isinstance(comment, bytes) or not comment.startswith(_UNICODE):
        return ""
    return comment[len(_UNICODE) :].decode("utf-16-be", errors="replace").strip("\0")


def opened_picture(name: str, data: bytes) -> Image.Image:
    """Return the picture in a file that somebody sent; messages call it `name`.

    Raises:
        RunError: It is none that can be read, or larger than `MOST_PIXELS`.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            size = image.width * image.height
            if size <= MOST_PIXELS:
                image.load()
                return image.copy()
    except Exception as error:  # Pillow raises what a broken file makes it raise: OSError, SyntaxError, struct.error
        raise RunError(f"{name} is no PNG, JPEG or WebP picture that can be read.") from error
    raise RunError(f"{name} has {size / 1e6:.0f} million pixels; judges take up to {MOST_PIXELS // 1_000_000}.")
