"""What a picture file says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["infotext_of"]

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
