"""Where recipes lie: ``.mecha`` files, and the metadata of merged checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from lib_optim.plan.errors import CheckpointError, PlanError
from lib_optim.plan.header import read_header

__all__ = ["RECIPE_FIELDS", "find_models", "has_recipe", "read_recipe"]

RECIPE_FIELDS = ("optim.recipe", "mecha_recipe")
"""Metadata fields of checkpoints that hold a recipe: Optim's, and sd-mecha's own."""

_LARGEST = 64 << 20  # bytes; a recipe with a value per tensor has under one


def read_recipe(path: Path) -> str:
    """Return the text of the recipe in `path`.

    Args:
        path: A ``.mecha`` file, or a ``.safetensors`` file that Optim or sd-mecha saved.

    Raises:
        PlanError: It cannot be read, or carries no recipe.
    """
    try:
        if path.suffix.casefold() == ".safetensors":
            metadata = read_header(path).metadata
            text = next((metadata[name] for name in RECIPE_FIELDS if metadata.get(name)), "")
            if not text:
                raise PlanError(f"{path.name} carries no recipe; only merges of Optim and sd-mecha do.")
            return text
        if path.suffix.casefold() != ".mecha":
            raise PlanError(f"'{path.name}' is no recipe; choose a .mecha file, or a checkpoint that carries one.")
        if path.stat().st_size > _LARGEST:
            raise PlanError(f"{path.name} is too large for a recipe; choose another file.")
        return path.read_text(encoding="utf-8")
    except CheckpointError as error:
        raise PlanError(str(error)) from error
    except UnicodeDecodeError as error:
        raise PlanError(f"{path.name} is no text, so it is no recipe; choose another file.") from error
    except OSError as error:
        raise PlanError(f"{path.name} cannot be read: {error.strerror or error}.") from error


def has_recipe(path: Path) -> bool:
    """Tell whether a checkpoint carries a recipe."""
    try:
        metadata = read_header(path).metadata
    except CheckpointError:
        return False
    return any(metadata.get(name) for name in RECIPE_FIELDS)


def find_models(names: Sequence[str], files: Iterable[Path]) -> list[Path | None]:
    """Return the file for each model of a recipe: the one whose path ends like the name in the recipe.

    Where none does, the one of that file name, if there is just one.
    """
    pool = [(path, PurePosixPath(path.as_posix())) for path in files]

    def one(name: str) -> Path | None:
        wanted = PurePosixPath(name)
        parts = tuple(part for part in wanted.parts if part not in ("/", "."))
        exact = [path for path, posix in pool if posix.parts[-len(parts) :] == parts]
        same = exact or [path for path, posix in pool if posix.name == wanted.name]
        return same[0] if exact or len(same) == 1 else None

    return [one(name) for name in names]
