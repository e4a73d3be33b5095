"""Images as files: PNG, JPEG or WebP, each with its infotext where the WebUI writes it and looks for it."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib_optim.plan.run_plan import DiskSpec

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["ENDINGS", "bytes_per_pixel", "encoded", "ending_of", "exif_of", "format_problem"]


@dataclass(frozen=True)
class _Format:
    """How Pillow calls a format, its files' ending, and bytes per pixel by quality.

    The latter were measured with Pillow 10.4 on five photographs as PNG (1.6 to 1.9 bytes per pixel, as generated
    images are); the mean of them.
    """

    name: str
    ending: str
    sizes: Mapping[int, float]


_FORMATS: Mapping[str, _Format] = {
    "png": _Format("PNG", ".png", {100: 1.7}),
    "jpeg": _Format("JPEG", ".jpg", {50: 0.12, 80: 0.21, 90: 0.30, 95: 0.43, 100: 0.85}),
    "webp": _Format("WEBP", ".webp", {50: 0.09, 80: 0.15, 90: 0.25, 95: 0.35, 100: 0.49}),
}

ENDINGS = tuple(row.ending for row in _FORMATS.values())
"""How the files of a run's images end."""

_JPEG_COMMENT = 65_478
"""Bytes of text that fit into the one EXIF segment of a JPEG."""


def ending_of(spec: DiskSpec) -> str:
    """Return how the files of a run end."""
    return _FORMATS[spec.format].ending


def bytes_per_pixel(spec: DiskSpec) -> float:
    """Return about how many bytes a pixel takes; between two measured qualities, on the line between them."""
    sizes = _FORMATS[spec.format].sizes
    below = max((quality for quality in sizes if quality <= spec.quality), default=min(sizes))
    above = min((quality for quality in sizes if quality >= spec.quality), default=max(sizes))
    part = (spec.quality - below) / (above - below) if above > below else 0.0
    return sizes[below] + part * (sizes[above] - sizes[below])


def format_problem(spec: DiskSpec) -> str:
    """Return why images cannot be written so, in one sentence, or an empty string."""
    from PIL import features

    if not 50 <= spec.quality <= 100:
        return f"The quality of JPEG and WebP images must lie between 50 and 100, not {spec.quality}."
    if spec.format == "webp" and not features.check("webp"):
        return "The Pillow package that is installed here writes no WebP; choose PNG or JPEG."
    return ""


def encoded(image: Image.Image, infotext: str, spec: DiskSpec) -> bytes:
    """Return the file of an image: PNG with the text chunk ``parameters``, else with the EXIF user comment."""
    from PIL.PngImagePlugin import PngInfo

    buffer, rgb = io.BytesIO(), image.convert("RGB")
    if spec.format == "png":
        info = PngInfo()
        info.add_text("parameters", infotext)
        rgb.save(buffer, "PNG", pnginfo=info, compress_level=4)
    else:
        rgb.save(buffer, _FORMATS[spec.format].name, quality=spec.quality, exif=exif_of(infotext))
    return buffer.getvalue()


def exif_of(text: str) -> bytes:
    """Return an EXIF block whose user comment is `text`, byte for byte as A1111 (piexif) writes it.

    Written by hand: Pillow gives the comment the wrong type, which piexif cannot read. What is too long for a JPEG is
    cut off; the run's database holds all of it.
    """
    cut = text.encode("utf-16-be", "replace")[:_JPEG_COMMENT].decode("utf-16-be", "ignore")
    comment = b"UNICODE\0" + cut.encode("utf-16-be")
    # Big-endian TIFF: a directory at byte 8 with one entry, where the EXIF directory is (26); that has one entry,
    # whose bytes follow it (40). Kinds: 4 is a number of 4 bytes, 7 is bytes.
    root = struct.pack(">HHHIII", 1, 0x8769, 4, 1, 26, 0)
    directory = struct.pack(">HHHII", 1, 0x9286, 7, len(comment), 40)
    return b"Exif\0\0MM\0*" + struct.pack(">I", 8) + root + directory + comment
