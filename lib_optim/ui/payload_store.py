"""The user's own payload files: written and removed one payload at a time, whatever else a file holds."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.hosts.init_images import plain_picture
from lib_optim.plan.errors import PlanError, RunError
from lib_optim.plan.payload import Payload
from lib_optim.plan.payload_file import load_payload, payload_files
from lib_optim.run.folder import file_name, write_atomic

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["PICTURES", "PayloadStore", "pictures_in"]

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
"""Ends of the names of pictures that images can begin from."""


def pictures_in(folder: Path) -> list[str]:
    """Return the names of the pictures in the folder of the user's payloads."""
    files = folder.iterdir() if folder.is_dir() else ()
    return sorted(file.name for file in files if file.suffix.lower() in PICTURES and not file.name.startswith("."))


class PayloadStore:
    """One folder of ``*.json`` files, each with one payload or a list of them.

    Files of another format or shape are never written: a payload of theirs that is changed gets a JSON file of its own,
    which counts from then on.

    Args:
        folder: Made when first written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, payload: Payload, instead_of: str = "") -> Path:
        """Write `payload`, in place of the one called `instead_of` if the folder has it, else to a file of its own.

        Returns:
            The file.

        Raises:
            PlanError: The payload has problems, or another of the same name is there.
            RunError: The file cannot be written.
        """
        problems = payload.problems("payload")
        if problems:
            raise PlanError(problems)
        known = self._places()
        if payload.name != instead_of and payload.name in known:
            raise PlanError(f"You have a payload '{payload.name}' already; give this one another name.")
        path, at = known.get(instead_of, (self._free(payload.name), 0))
        entries = self._entries(path) if instead_of in known else [None]
        entries[at] = _entry(payload)
        self._write(path, entries)
        return path

    def delete(self, name: str) -> None:
        """Take a payload away. The file's last one takes the file with it, which is renamed to ``….json.deleted``.

        Raises:
            RunError: The user has no such payload, or the file cannot be changed.
        """
        known = self._places()
        if name not in known:
            for file in payload_files(self._folder):
                if name in _names(file):
                    raise RunError(f"'{name}' stands in {file.name}; take it out there, or remove the file.")
            raise RunError(
                f"'{name}' is no payload of your own, so it can't be deleted; leave it out of the plan instead."
            )
        path, at = known[name]
        entries = self._entries(path)
        del entries[at]
        if entries:
            self._write(path, entries)
            return
        try:
            path.replace(path.with_name(f"{path.name}.deleted"))
        except OSError as error:
            raise RunError(f"{path.name} can't be deleted: {error.strerror or error}.") from error

    def keep_picture(self, name: str, picture: Image.Image) -> str:
        """Write a picture that images begin from, as PNG; return its file name. One that is there already is not kept
        twice; another one of that name gets a number.

        Raises:
            RunError: It cannot be written.
        """
        plain = plain_picture(picture)
        data = io.BytesIO()
        plain.save(data, format="PNG")
        stem = file_name(Path(name).stem)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for suffix in ("", *(f" {i}" for i in range(2, 1000))):
                path = self._folder / f"{stem}{suffix}.png"
                if not path.exists():
                    write_atomic(path, data.getvalue())
                elif path.read_bytes() != data.getvalue():
                    continue
                return path.name
        except OSError as error:
            raise RunError(f"{stem}.png can't be written: {error.strerror or error}.") from error
        raise RunError(f"There are a thousand pictures called {stem} already; give this one another name.")

    def _places(self) -> dict[str, tuple[Path, int]]:
        """Return where each payload stands; files that cannot be read are left alone."""
        found: dict[str, tuple[Path, int]] = {}
        for path in sorted(self._folder.glob("*.json")) if self._folder.is_dir() else ():
            try:
                payloads = load_payload(path)
            except PlanError:
                continue
            if _is_plain(path):
                found.update({payload.name: (path, at) for at, payload in enumerate(payloads)})
        return found

    def _entries(self, path: Path) -> list[Any]:
        """Return what a file holds, each payload with its name: that of a file with one may be the file's own."""
        data = json.loads(path.read_text(encoding="utf-8-sig"))
        entries = data if isinstance(data, list) else [data]
        names = [payload.name for payload in load_payload(path)]
        return [{"name": name, **entry} for name, entry in zip(names, entries, strict=True)]

    def _free(self, name: str) -> Path:
        stem = file_name(name)
        taken = [self._folder / f"{stem}{suffix}.json" for suffix in ("", *(f" {i}" for i in range(2, 1000)))]
        return next(path for path in taken if not path.exists())

    def _write(self, path: Path, entries: list[Any]) -> None:
        data = entries[0] if len(entries) == 1 else entries
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomic(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            raise RunError(f"{path.name} can't be written: {error.strerror or error}.") from error


def _is_plain(path: Path) -> bool:
    """Whether a file is one that we write: payloads by name or common fields are another program's, or done by hand."""
    data = json.loads(path.read_text(encoding="utf-8-sig"))
    rows = data if isinstance(data, list) else [data]
    fields = {f.name for f in dataclasses.fields(Payload)} | {"version"}
    return all(isinstance(row, Mapping) and set(row) <= fields for row in rows)


def _names(path: Path) -> set[str]:
    try:
        return {payload.name for payload in load_payload(path)}
    except PlanError:
        return set()


def _entry(payload: Payload) -> Mapping[str, Any]:
    """Return what differs from the defaults: what a person would have written."""
    blank = Payload(payload.name)
    fields = [f.name for f in dataclasses.fields(Payload)]
    changed = {name for name in fields if getattr(payload, name) != getattr(blank, name)}
    return {name: value for name, value in payload.to_json().items() if name == "name" or name in changed}
