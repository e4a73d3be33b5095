"""A learned taste on the disk: one safetensors file of model, network that it was learned with, and agreement."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.nearest import did_you_mean
from lib_optim.scoring.embeddings import Identity
from lib_optim.scoring.taste_model import TasteModel

__all__ = [
    "FOLDER",
    "SUFFIX",
    "Taste",
    "find_taste",
    "read_taste",
    "saved_tastes",
    "spearman",
    "taste_path",
    "write_taste",
]

FOLDER = "taste"
"""Below the scorers' models folder."""
SUFFIX = ".safetensors"
_VERSION = 1
_FORMAT = "optim taste"
_ARRAYS = ("mean", "components", "seen", "ratings")


@dataclass(frozen=True)
class Taste:
    """A model and where it comes from.

    Attributes:
        model: What predicts.
        identity: Of the embedding that it reads.
        agreement: Spearman's rank correlation of cross-validated predictions with the ratings; nan if it has none.
        created: Unix time.
        runs: Names of the run folders that the ratings come from.
    """

    model: TasteModel
    identity: Identity
    agreement: float
    created: float
    runs: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many ratings it was learned from."""
        return len(self.model.ratings)

    def to_json(self) -> dict[str, Any]:
        """Return what the page shows of it."""
        return {
            "ratings": self.count,
            "agreement": None if math.isnan(self.agreement) else round(self.agreement, 3),
            "embedding": str(self.identity),
            "way": self.identity.way,
            "created": self.created,
            "date": time.strftime("%Y-%m-%d %H:%M", time.localtime(self.created)),
            "runs": list(self.runs),
        }


def spearman(one: Sequence[float] | NDArray[np.float64], other: Sequence[float] | NDArray[np.float64]) -> float:
    """Return the rank correlation, ties at their mean rank; nan if one of them is constant."""
    from scipy.stats import rankdata

    a, b = (rankdata(np.asarray(values)) for values in (one, other))
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


def taste_path(name: str, models: Path) -> Path:
    """Return where the taste `name` is saved.

    Raises:
        ScorerError: The name is no file name.
    """
    cleaned = name.strip()
    if not re.fullmatch(r"[\w][\w .-]{0,59}", cleaned) or cleaned.endswith("."):
        raise ScorerError(f"'{name}' cannot name a taste; use up to 60 letters, digits, spaces, '-' and '_'.")
    return models / FOLDER / f"{cleaned}{SUFFIX}"


def find_taste(which: str, models: Path) -> Path:
    """Return the file of a taste, given by its name or its path.

    Raises:
        ScorerError: There is none.
    """
    text = which.strip()
    if not text:
        raise ScorerError("My taste needs the name of a saved taste; train one in the rating panel of a run first.")
    if "/" in text or "\\" in text or text.endswith(SUFFIX):
        path = Path(text)
    else:
        path = taste_path(text, models)
    if path.is_file():
        return path
    names = [name for name, _ in saved_tastes(models)]
    there = f"there are {', '.join(names)}" if names else "none is saved so far"
    raise ScorerError(f"There is no saved taste '{text}'; {there}.{did_you_mean(text, names)}")


def saved_tastes(models: Path) -> list[tuple[str, Path]]:
    """Return name and file of the saved tastes, by name."""
    folder = models / FOLDER
    files = sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
    return [(path.name.removesuffix(SUFFIX), path) for path in files if path.is_file()]


def write_taste(taste: Taste, path: Path) -> None:
    """Write `taste` so that `path` holds either the old or the new file, whole.

    Raises:
        ScorerError: It cannot be written.
    """
    from safetensors.numpy import save

    model = taste.model
    head = {
        "format": _FORMAT, "version": _VERSION, "identity": asdict(taste.identity), "created": taste.created,
        "agreement": None if math.isnan(taste.agreement) else taste.agreement, "ratings": taste.count,
        "runs": list(taste.runs), "scale": model.scale, "length": model.length, "signal": model.signal,
        "ratio": model.ratio,
    }  # fmt: skip
    arrays = {name: np.ascontiguousarray(getattr(model, name)) for name in _ARRAYS}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(save(arrays, metadata={"optim": json.dumps(head, sort_keys=True)}))
        part.replace(path)
    except OSError as error:
        raise ScorerError(f"The taste cannot be saved as {path} ({error.strerror or error}).") from error


def read_taste(path: Path) -> Taste:
    """Read a file that `write_taste` wrote.

    Raises:
        ScorerError: It is no taste, from a newer Optim, or damaged.
    """
    from safetensors import safe_open

    try:
        with safe_open(str(path), framework="np") as file:
            head: Mapping[str, Any] = json.loads((file.metadata() or {}).get("optim", "{}"))
            _refuse_foreign(path, head)
            arrays = {name: file.get_tensor(name).astype(np.float64) for name in _ARRAYS}
        numbers = {name: float(head[name]) for name in ("scale", "length", "signal", "ratio")}
        _refuse_damage(path, arrays, numbers)
        identity = Identity(str(head["identity"]["way"]), str(head["identity"]["sha256"]))
        agreement = math.nan if head["agreement"] is None else float(head["agreement"])
        runs = tuple(str(run) for run in head["runs"])
        return Taste(TasteModel(**arrays, **numbers), identity, agreement, float(head["created"]), runs)
    except ScorerError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ScorerError(f"The taste {path.name} can't be read: {reason}.") from error


def _refuse_foreign(path: Path, head: Mapping[str, Any]) -> None:
    if head.get("format") != _FORMAT:
        raise ScorerError(f"{path.name} is no saved taste; choose a file that the rating panel saved.")
    if head.get("version") != _VERSION:
        raise ScorerError(f"{path.name} was saved by a newer Optim; update, or train the taste again.")


def _refuse_damage(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]], numbers: Mapping[str, float]) -> None:
    mean, components, seen, ratings = (arrays[name] for name in _ARRAYS)
    shapes = mean.ndim == ratings.ndim == 1 and components.ndim == seen.ndim == 2
    fits = shapes and components.shape == (seen.shape[1], len(mean)) and len(seen) == len(ratings) >= 1
    finite = all(np.isfinite(array).all() for array in arrays.values()) and all(map(math.isfinite, numbers.values()))
    if not (fits and finite and numbers["ratio"] > 0 and numbers["signal"] >= 0 and numbers["scale"] > 0):
        raise ScorerError(f"The taste {path.name} is damaged; train it again.")
