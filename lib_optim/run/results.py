"""What a run leaves for people: images on disk, ``trials.csv``, ``best.mecha``, the saved checkpoint."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim import __version__
from lib_optim.plan.errors import StoreError
from lib_optim.plan.records import Score, Trial
from lib_optim.plan.run_plan import DiskSpec
from lib_optim.run.csv_text import csv_line
from lib_optim.run.folder import RunFolder, write_atomic
from lib_optim.run.pictures import encoded

if TYPE_CHECKING:
    from PIL import Image

    from lib_optim.run.check import Resolved

__all__ = ["OPTIM_METADATA", "TrialTable", "image_file", "pixel_hash", "read_image", "save_metadata", "write_image"]

OPTIM_METADATA = "optim"
_AS_PNG = DiskSpec()


def image_file(trial: int, index: int, payload: str, ending: str = ".png") -> str:
    """Return the file of an image, relative to the run folder, with ``/``; safe on every system."""
    safe = "".join(c if c.isalnum() or c in "-_" else "-" for c in payload)[:40]
    return f"images/{trial:05d}-{index:03d}-{safe}{ending}"


def pixel_hash(image: Image.Image) -> str:
    """Return the SHA-256 of the RGB pixels: equal for equal pictures, whatever their metadata."""
    rgb = image.convert("RGB")
    return hashlib.sha256(f"{rgb.size}".encode() + rgb.tobytes()).hexdigest()


def write_image(folder: RunFolder, file: str, image: Image.Image, infotext: str, spec: DiskSpec = _AS_PNG) -> str:
    """Write an image with its infotext where every WebUI looks for it, whole or not at all.

    Returns:
        The hash of its pixels as the file holds them, which are not those of `image` where it is compressed with loss.

    Raises:
        StoreError: It cannot be written.
    """
    from PIL import Image

    data = encoded(image, infotext, spec)
    write_atomic(folder.path / file, data)
    if spec.format == "png":
        return pixel_hash(image)
    with Image.open(io.BytesIO(data)) as written:
        return pixel_hash(written)


def read_image(folder: RunFolder, file: str) -> Image.Image:
    """Read an image of the run.

    Raises:
        StoreError: It is gone or broken.
    """
    from PIL import Image

    try:
        with Image.open(folder.path / file) as image:
            return image.convert("RGB")
    except (OSError, ValueError) as error:
        raise StoreError(f"The image {file} of {folder.name} cannot be read: {error}.") from error


class TrialTable:
    """``trials.csv``: one row per finished trial, appended; rewritten when a run is opened again.

    Args:
        path: The file.
        parameters: Names of the searched parameters.
        scorers: Ids of the scorers; each column holds the mean of the raw scores.
        axes: Names of the objectives, if there are several.
    """

    def __init__(self, path: Path, parameters: Sequence[str], scorers: Sequence[str], axes: Sequence[str] = ()) -> None:
        self._path = path
        self._parameters, self._scorers, self._axes = list(parameters), list(scorers), list(axes)

    def rewrite(self, rows: Sequence[tuple[Trial, str, Sequence[Score]]]) -> None:
        """Write the whole table anew: each trial, what its pass is called, and its scores."""
        head = ["trial", "pass", "state", "value", "origin", "recipe", "merge_s", "generate_s", "score_s", "restore_s"]
        head += [f"axis:{name}" for name in self._axes] + [f"score:{name}" for name in self._scorers]
        lines: list[Sequence[object]] = [head + self._parameters + ["reason"]]
        lines += [self._row(*row) for row in rows]
        write_atomic(self._path, "".join(map(csv_line, lines)))

    def append(self, trial: Trial, run_pass: str, scores: Sequence[Score]) -> None:
        """Add one finished trial.

        Raises:
            StoreError: The file cannot be written.
        """
        try:
            with self._path.open("a", encoding="utf-8", newline="") as file:
                file.write(csv_line(self._row(trial, run_pass, scores)))
        except OSError as error:
            raise StoreError(f"{self._path.name} cannot be written: {error.strerror or error}.") from error

    def _row(self, trial: Trial, run_pass: str, scores: Sequence[Score]) -> list[object]:
        raw = {name: [s.raw for s in scores if s.scorer == name] for name in self._scorers}
        seconds = [round(trial.seconds.get(step, 0.0), 4) for step in ("merge", "generate", "score", "restore")]
        means = [sum(values) / len(values) if values else "" for values in raw.values()]
        values = [trial.values.get(name, "") for name in self._parameters]
        value = "" if trial.value is None else trial.value
        first = [trial.number, run_pass, trial.state, value, trial.origin, trial.recipe]
        axes = [trial.axes.get(axis, "") for axis in self._axes]
        return [*first, *seconds, *axes, *means, *values, trial.reason]


def save_metadata(
    resolved: Resolved, trial: Trial, folder: RunFolder, recipe: str, stored: Mapping[str, object]
) -> Mapping[str, str]:
    """Return our own metadata of a saved checkpoint; the merging package adds recipe text and ancestors.

    ``recipe`` (its digest), ``models`` (their SHA-256) and what `stored` says of the file (``dtype`` …) tell which
    merge it holds.
    """
    content = {
        "run": folder.name,
        "trial": trial.number,
        "value": trial.value,
        "values": dict(trial.values),
        "method": resolved.method.id,
        "recipe": recipe,
        "models": [model.sha256 for model in resolved.plan.models],
        **stored,
        "guide": resolved.plan.guide.to_json(),
        "version": __version__,
    }
    return {OPTIM_METADATA: json.dumps(content, ensure_ascii=False)}
