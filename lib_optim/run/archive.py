"""A run as one zip file: to keep, to show, or to take to another machine; and back again.

What goes in: plan, record, table, recipe, report, images and the pictures that they begin from. What stays: the log,
which holds paths of this machine, and the lock. What comes out is looked at as if a stranger had made it: names that
we know, nothing outside the folder, bounded sizes, a plan that reads and a database of ours.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lib_optim.plan.errors import OptimError, RunError
from lib_optim.plan.run_plan import RunPlan
from lib_optim.run.folder import RunFolder, file_name
from lib_optim.run.init_images import RUN_FOLDER
from lib_optim.run.pictures import ENDINGS
from lib_optim.run.store import Store

__all__ = ["MOST_BYTES", "export_run", "import_run"]

MOST_BYTES = 50_000_000_000
"""What an archive may hold unpacked."""
_MOST_FILES = 200_000
_FILES = ("plan.json", "run.db", "trials.csv", "best.mecha", "report.html")
_IMAGE = re.compile(r"images/[^/\\\x00-\x1f:*?\"<>|]{1,200}\.(?:png|jpg|webp)")
_INIT = re.compile(rf"{RUN_FOLDER}/[0-9a-f]{{32}}\.png")
_SPARE = 256 * 2**20  # bytes that stay free on the disk


def export_run(folder: RunFolder, target: IO[bytes], images: bool = True) -> None:
    """Write the run into `target`, which need not be seekable. A run that is going on is exported as it stands.

    Args:
        folder: The run.
        target: Open for writing.
        images: Whether its images go along.

    Raises:
        RunError: A file cannot be read.
    """
    try:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive, tempfile.TemporaryDirectory() as scratch:
            for name in _FILES:
                path = folder.path / name
                if name == "run.db" and path.is_file():
                    path = _copied(path, Path(scratch) / name)
                if path.is_file():
                    archive.write(path, f"{folder.name}/{name}")
            for path in sorted(p for p in folder.images.glob("*") if p.suffix in ENDINGS) if images else ():
                archive.write(path, f"{folder.name}/images/{path.name}", zipfile.ZIP_STORED)  # they are packed already
            for path in sorted((folder.path / RUN_FOLDER).glob("*.png")):
                archive.write(path, f"{folder.name}/{RUN_FOLDER}/{path.name}", zipfile.ZIP_STORED)
    except (OSError, sqlite3.Error) as error:
        raise RunError(f"{folder.name} can't be exported: {error}.") from error


def import_run(archive: Path, outputs: Path, name: str = "") -> str:
    """Unpack a run that `export_run` wrote, below `outputs`; return the name of its folder.

    Args:
        archive: The zip file.
        outputs: Where run folders are.
        name: What to call it; empty: as it was called. A name that is taken gets a number.

    Raises:
        RunError: It is no zip file of a run, it holds what does not belong there, or the disk is too full. Nothing
            is left behind then.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            members, called = _looked_at(packed)
            _refuse_full(sum(member.file_size for member in members.values()), outputs)
            outputs.mkdir(parents=True, exist_ok=True)
            with _scratch(outputs) as scratch:
                for below in ("images", RUN_FOLDER):
                    (scratch / below).mkdir()
                for relative, member in members.items():
                    _unpack(packed, member, scratch / relative)
                _refuse_stranger(scratch)
                return _moved(scratch, outputs, file_name(name or called))
    except zipfile.BadZipFile as error:
        raise RunError(f"{archive.name} is no zip file, or a damaged one ({error}).") from error
    except (OSError, RuntimeError, NotImplementedError, EOFError, ValueError, zlib.error, sqlite3.Error) as error:
        raise RunError(f"{archive.name} can't be imported: {error}.") from error


def _copied(database: Path, target: Path) -> Path:
    """Copy a database that may be in use, whole."""
    source = sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)
    with contextlib.closing(source), contextlib.closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    return target


def _looked_at(packed: zipfile.ZipFile) -> tuple[dict[str, zipfile.ZipInfo], str]:
    """Return the files of the one run in the archive, by their place in its folder, and how the folder was called."""
    found: dict[str, zipfile.ZipInfo] = {}
    tops: set[str] = set()
    infos = [info for info in packed.infolist() if not info.filename.endswith("/")]
    if len(infos) > _MOST_FILES:
        raise RunError(f"The archive holds {len(infos)} files, which is more than any run of ours.")
    for info in infos:
        top, _, relative = info.filename.partition("/")
        known = relative in _FILES or _IMAGE.fullmatch(relative) or _INIT.fullmatch(relative)
        if not known or file_name(top) != top or (info.external_attr >> 16) & 0o170000 == 0o120000 or relative in found:
            raise RunError(f"The archive holds '{info.filename[:100]}', which belongs to no run; nothing was imported.")
        found[relative] = info
        tops.add(top)
    if len(tops) != 1 or not {"plan.json", "run.db"} <= found.keys():
        raise RunError("The archive holds no run, or more than one: plan.json and run.db in one folder are needed.")
    return found, tops.pop()


def _refuse_full(size: int, outputs: Path) -> None:
    if size > MOST_BYTES:
        raise RunError(f"The archive unpacks to {size / 1e9:.0f} GB; {MOST_BYTES / 1e9:.0f} GB are the most.")
    parent = next(path for path in (outputs, *outputs.parents) if path.exists())
    free = shutil.disk_usage(parent).free
    if size + _SPARE > free:
        raise RunError(f"The archive unpacks to {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free on the disk.")


@contextlib.contextmanager
def _scratch(outputs: Path) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix=".import-", dir=outputs))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _unpack(packed: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    with packed.open(member) as source, target.open("xb") as file:
        left = member.file_size
        while block := source.read(min(1 << 20, left + 1)):
            left -= len(block)
            if left < 0:  # the header said less
                raise RunError(f"'{member.filename[:100]}' is larger than the archive says; nothing was imported.")
            file.write(block)


def _refuse_stranger(folder: Path) -> None:
    """See to it that plan and database are ours before the folder becomes a run."""
    try:
        RunPlan.from_json(json.loads((folder / "plan.json").read_text(encoding="utf-8")))
        with contextlib.closing(Store(folder / "run.db")) as store:
            for trial in store.trials():
                odd = [image.file for image in store.images(trial.number) if not _plain(image.file)]
                if odd:
                    raise RunError(
                        f"Its trial {trial.number} names the image '{odd[0][:100]}', which is no plain name."
                    )
    except (OptimError, ValueError, RecursionError) as error:
        raise RunError(f"The archive holds no run that this Optim can read: {error}") from error


def _plain(file: str) -> bool:
    return not file or _IMAGE.fullmatch(file) is not None


def _moved(scratch: Path, outputs: Path, name: str) -> str:
    for suffix in ("", *(f"-{n}" for n in range(2, 10_000))):
        target = outputs / f"{name}{suffix}"
        if not target.exists():
            scratch.rename(target)
            return target.name
    raise RunError(f"{outputs} already holds ten thousand runs called {name}.")
