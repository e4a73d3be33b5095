"""Forms that the user keeps by name: one JSON file each in a folder of the data folder."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib_optim.plan.errors import RunError
from lib_optim.run.folder import file_name, write_atomic

__all__ = ["PresetStore"]

TRASH = ".trash"
LONGEST_NAME = 80


class PresetStore:
    """One folder of presets.

    Args:
        folder: Made when first written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[dict[str, Any]]:
        """Return name and time of every preset, by name; files that cannot be read are left out."""
        rows = []
        for path in sorted(self._folder.glob("*.json")) if self._folder.is_dir() else ():
            try:
                rows.append({"name": self._read(path)["name"], "saved": path.stat().st_mtime})
            except (RunError, OSError):
                continue
        return sorted(rows, key=lambda row: str(row["name"]).casefold())

    def load(self, name: str) -> dict[str, Any]:
        """Return the form of a preset.

        Raises:
            RunError: There is no such preset, or its file cannot be read.
        """
        return dict(self._read(self._there(name))["form"])

    def save(self, name: str, form: Mapping[str, Any], instead: bool = False) -> None:
        """Keep `form` as `name`.

        Args:
            name: 1 to 80 characters.
            form: What the page shows.
            instead: Whether one of that name may be written over.

        Raises:
            RunError: The name is empty or taken, or the file cannot be written.
        """
        path = self._path(name)
        if path.exists() and not instead:
            raise RunError(f"There is a preset '{self._name_in(path)}' already; write over it, or take another name.")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{self._folder} cannot be made ({error.strerror or error}).") from error
        content = {"version": 1, "name": name.strip(), "form": dict(form)}
        write_atomic(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def rename(self, name: str, new: str) -> None:
        """Give a preset another name.

        Raises:
            RunError: There is no such preset, the new name is empty or taken, or its file cannot be written.
        """
        old, path = self._there(name), self._path(new)
        self.save(new, self._read(old)["form"], instead=path == old)
        if path != old:
            self._away(old, None)

    def trash(self, name: str) -> Path:
        """Move a preset into the trash; return where it is now.

        Raises:
            RunError: There is no such preset, or it cannot be moved.
        """
        path = self._there(name)
        target = self._folder / TRASH / f"{path.stem}-{time.strftime('%Y%m%d-%H%M%S')}.json"
        number = 2
        while target.exists():
            target = target.with_name(f"{target.stem}-{number}.json")
            number += 1
        self._away(path, target)
        return target

    def _away(self, path: Path, target: Path | None) -> None:
        try:
            if target is None:
                path.unlink()
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)
        except OSError as error:
            raise RunError(f"{path.name} can't be moved: {error.strerror or error}.") from error

    def _path(self, name: str) -> Path:
        if not 0 < len(name.strip()) <= LONGEST_NAME:
            raise RunError(f"A preset needs a name of 1 to {LONGEST_NAME} characters.")
        return self._folder / f"{file_name(name.strip())}.json"

    def _there(self, name: str) -> Path:
        path = self._path(name)
        if not path.is_file():
            raise RunError(f"There is no preset '{name[:100]}' any more; choose one from the list.")
        return path

    def _name_in(self, path: Path) -> str:
        try:
            return str(self._read(path)["name"])
        except RunError:
            return path.stem

    @staticmethod
    def _read(path: Path) -> dict[str, Any]:
        try:
            data = json.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"The preset {path.name} cannot be read: {error}.") from error
        if not isinstance(data, dict) or not isinstance(data.get("form"), dict) or not data.get("name"):
            raise RunError(f"The preset {path.name} cannot be read: it holds no form.")
        return data
