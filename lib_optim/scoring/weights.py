"""Where a scorer's weights are, and how they get there.

The network is touched by `obtain` with ``download=True`` only, which is the plan's own option ``download``.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.base import Progress, WeightFile

__all__ = ["find", "missing_files", "missing_sentence", "obtain", "weights_folder"]

_CHUNK = 1 << 20
_TIMEOUT = 60.0
_REPORT_EVERY = 0.5
_MB = 10**6


def weights_folder(scorer: str, options: Mapping[str, Any], models_dir: Path) -> Path:
    """Return the folder with the scorer's weights: its option ``folder`` if set, else its own in `models_dir`."""
    chosen = str(options.get("folder", "") or "").strip()
    return Path(chosen) if chosen else Path(models_dir) / scorer


def find(file: WeightFile, folder: Path) -> Path | None:
    """Return where `file` is in `folder`, under its own or another allowed name, or None."""
    candidates = (folder / name for name in (file.name, *file.instead))
    return next((path for path in candidates if path.is_file()), None)


def missing_sentence(title: str, file: WeightFile, folder: Path) -> str:
    """Return the sentence that tells which file is missing, where it can be had and where to put it."""
    size = f" ({file.bytes / _MB:,.0f} MB)" if file.bytes >= _MB else ""
    return (
        f"{title} needs the file {file.name}{size}, which is not in {folder}: get it from {file.url} and put it "
        "there, or allow the download."
    )


def missing_files(
    title: str, scorer: str, files: Sequence[WeightFile], options: Mapping[str, Any], models_dir: Path
) -> list[tuple[str, str]]:
    """Return what the plan check says of files that are missing and may not be downloaded."""
    folder = weights_folder(scorer, options, models_dir)
    if options.get("download", False):
        return []
    return [("folder", missing_sentence(title, file, folder)) for file in files if find(file, folder) is None]


def obtain(title: str, file: WeightFile, folder: Path, download: bool, progress: Progress | None = None) -> Path:
    """Return the path of `file` in `folder`, downloading it first if it is missing and `download` allows it.

    Args:
        title: Of the scorer, for messages.
        file: What is needed.
        folder: Where it is or goes to; made if a download needs it.
        download: Whether the network may be touched.
        progress: Told about every half second; what it raises ends the download, which a later call resumes.

    Raises:
        ScorerError: Missing and not allowed; server out of reach; wrong size or hash; disk full.
    """
    path = find(file, folder)
    if path is not None:
        return path
    if not download:
        raise ScorerError(missing_sentence(title, file, folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _fetch(title, file, folder / file.name, progress)
    except urllib.error.HTTPError as error:
        reason = f"the server answered {error.code} {error.reason}"
    except (OSError, http.client.HTTPException) as error:
        reason = " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__
    raise ScorerError(
        f"{title}: downloading {file.url} failed because {reason}; try again (it goes on where it stopped), or put "
        f"{file.name} into {folder} yourself."
    )


class _Announced(urllib.request.HTTPRedirectHandler):
    """Follows redirects and keeps the hash that Hugging Face announces on the first of them."""

    def __init__(self) -> None:
        self.sha256 = ""

    def note(self, headers: Mapping[str, str]) -> None:
        found = re.fullmatch(r'"?([0-9a-f]{64})"?', headers.get("X-Linked-ETag") or "")
        self.sha256 = found.group(1) if found else self.sha256

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        self.note(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch(title: str, file: WeightFile, target: Path, progress: Progress | None) -> Path:
    part = target.with_name(target.name + ".part")
    announced = _Announced()
    opener = urllib.request.build_opener(announced)
    response = _opened(opener, file.url, part)
    with response:
        announced.note(response.headers)
        wanted = file.sha256 or announced.sha256
        if not wanted:
            raise ScorerError(
                f"{title}: {file.url} announces no SHA-256, so a download could not be checked; get {file.name} "
                f"yourself and put it into {target.parent}."
            )
        resumed = response.status == http.client.PARTIAL_CONTENT
        done = part.stat().st_size if resumed else 0
        total = done + int(response.headers.get("Content-Length") or 0)
        limit = file.bytes if file.sha256 else 2 * file.bytes or sys.maxsize
        if total > limit or (file.sha256 and total not in {done, limit}):
            raise ScorerError(f"{title}: {file.url} has {total:,} bytes, not the {file.bytes:,} of {file.name}.")
        if shutil.disk_usage(target.parent).free < total - done:
            raise ScorerError(f"{title}: {file.name} needs {(total - done) / _MB:,.0f} MB on the disk of {target}.")
        _stream(response, part, "ab" if resumed else "wb", limit, _reporter(title, file.name, total, progress))
    return _checked(title, part, target, wanted, total)


def _opened(opener: urllib.request.OpenerDirector, url: str, part: Path) -> Any:
    # The addresses are those of the registry's rows, which nobody but us writes: hence no check of their scheme.
    headers = {"User-Agent": "optim"}
    if part.exists() and part.stat().st_size:
        resume = urllib.request.Request(url, headers={**headers, "Range": f"bytes={part.stat().st_size}-"})  # noqa: S310
        try:
            return opener.open(resume, timeout=_TIMEOUT)
        except urllib.error.HTTPError as error:
            if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
            part.unlink()
    return opener.open(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)  # noqa: S310


def _stream(response: Any, part: Path, mode: str, limit: int, report: Progress | None) -> None:
    with part.open(mode) as out:
        while chunk := response.read(_CHUNK):
            if out.tell() + len(chunk) > limit:
                raise ScorerError(f"{response.url} sends more than the {limit:,} bytes that were expected.")
            out.write(chunk)
            if report is not None:
                report(f"{out.tell() / _MB:,.0f}")
        out.flush()
        os.fsync(out.fileno())


def _reporter(title: str, name: str, total: int, progress: Progress | None) -> Progress | None:
    if progress is None:
        return None
    last = 0.0

    def report(megabytes: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _REPORT_EVERY:
            last = time.monotonic()
            progress(f"{title}: downloading {name}, {megabytes} of {total / _MB:,.0f} MB.")

    return report


def _checked(title: str, part: Path, target: Path, wanted: str, total: int) -> Path:
    size = part.stat().st_size
    if size < total:
        raise ScorerError(
            f"{title}: the connection ended after {size:,} of {total:,} bytes of {target.name}; try again, and it goes "
            "on there."
        )
    digest = hashlib.sha256()
    with part.open("rb") as written:
        while chunk := written.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != wanted:
        part.unlink()
        raise ScorerError(f"{title}: {target.name} came with a wrong SHA-256 and was thrown away; try again later.")
    part.replace(target)
    return target
