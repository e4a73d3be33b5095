"""The list of earlier runs, as the page asks for it. What is seldom asked for is imported when it is.

POST /optim/api/run_rename {folder, name}        another name; the date in front stays
POST /optim/api/run_trash {folder}               into the trash folder beside the runs
GET  /optim/api/run_export/{folder}?images=0     the run as a zip file
GET  /optim/api/run_report/{folder}              the run as a web page of its own
GET  /optim/api/run_log/{folder}                 the end of its log: {entries: [{time, level, source, text, more}]}
POST /optim/api/run_import {upload, offset, data}   a piece of a zip file, in base64; pieces come in order
POST /optim/api/run_import_end {upload, name}    unpack it; the answer names the run
"""

from __future__ import annotations

import contextlib
import queue
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from starlette.responses import HTMLResponse, StreamingResponse

from lib_optim.plan.errors import OptimError, RunError
from lib_optim.run.folder import RunFolder
from lib_optim.run.shelf import rename_run, trash_run
from lib_optim.ui.http import Call, Refused

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager

__all__ = ["PIECE", "RunsApi"]

PIECE = 8_000_000
"""Most bytes of one piece of an upload."""
_ID = re.compile(r"[0-9a-z-]{8,64}")
_STALE = 3600.0  # seconds after which an upload that was never ended is forgotten


class RunsApi:
    """The routes.

    Args:
        manager: The run manager.
    """

    def __init__(self, manager: RunManager) -> None:
        self._manager = manager
        self._guard = threading.Lock()
        self._uploads: dict[str, tuple[Path, float]] = {}

    def rename(self, call: Call) -> dict[str, Any]:
        """Give a run another name."""
        folder = _folder(call)
        self._manager.let_go(folder)
        return {"folder": rename_run(self._manager.outputs, folder, str(call.body.get("name") or "")[:200])}

    def trash(self, call: Call) -> dict[str, Any]:
        """Move a run into the trash."""
        folder = _folder(call)
        self._manager.let_go(folder)
        return {"trash": str(trash_run(self._manager.outputs, folder))}

    def export(self, call: Call) -> StreamingResponse:
        """Return the run as a zip file, made while it is being sent."""
        from lib_optim.run.archive import export_run

        folder = RunFolder.open(self._manager.outputs, call.path["folder"])
        pictures = call.query.get("images") != "0"
        name = f"{folder.name.encode('ascii', 'replace').decode().replace('?', '_')}.zip"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        body = _streamed(lambda target: export_run(folder, target, pictures))
        return StreamingResponse(body, media_type="application/zip", headers=headers)

    def report(self, call: Call) -> HTMLResponse:
        """Return the report of a run as it stands."""
        from lib_optim.run.report import POLICY, report_html

        page = report_html(RunFolder.open(self._manager.outputs, call.path["folder"]))
        # The page says the same of itself; a header holds whatever a page may say.
        headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": f"{POLICY}; sandbox",
            "X-Content-Type-Options": "nosniff",
        }
        return HTMLResponse(page, headers=headers)

    def log(self, call: Call) -> dict[str, Any]:
        """Return the end of the log of a run."""
        from lib_optim.run.log_tail import log_tail

        folder = RunFolder.open(self._manager.outputs, call.path["folder"])
        return {"entries": [entry.to_json() for entry in log_tail(folder.log)]}

    def piece(self, call: Call) -> dict[str, Any]:
        """Take a piece of an upload; return how many bytes there are."""
        from lib_optim.run.archive import MOST_BYTES

        upload, offset = str(call.body.get("upload") or ""), call.body.get("offset")
        if not _ID.fullmatch(upload) or isinstance(offset, bool) or not isinstance(offset, int):
            raise Refused(400, "A piece of an upload needs 'upload', 8 to 64 of a-z, 0-9 and -, and 'offset'.")
        data = call.file()
        with self._guard:
            self._forget_stale()
            path, _ = self._uploads.get(upload) or (self._new(), 0.0)
            self._uploads[upload] = (path, time.monotonic())
            size = path.stat().st_size
            if offset < size:  # sent twice, because the answer was lost
                return {"size": size}
            if offset > size:
                raise Refused(409, f"The upload is at {size} bytes, not {offset}; begin it anew.")
            if size + len(data) > MOST_BYTES:
                raise Refused(413, f"The file is larger than {MOST_BYTES // 1_000_000_000} GB.")
            try:
                with path.open("ab") as file:
                    file.write(data)
            except OSError as error:
                raise RunError(f"The upload can't be kept: {error.strerror or error}.") from error
            return {"size": size + len(data)}

    def end(self, call: Call) -> dict[str, Any]:
        """Unpack an upload; it is gone afterwards, whatever it was."""
        from lib_optim.run.archive import import_run

        with self._guard:
            path, _ = self._uploads.pop(str(call.body.get("upload") or ""), (None, 0.0))
        if path is None:
            raise RunError("There is no such upload (any more); send the file again.")
        try:
            name = str(call.body.get("name") or "")[:200]
            return {"folder": import_run(path, self._manager.outputs, name)}
        finally:
            with contextlib.suppress(OSError):
                path.unlink()

    def _new(self) -> Path:
        outputs = self._manager.outputs
        outputs.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".upload-", suffix=".zip", dir=outputs, delete=False) as file:
            return Path(file.name)

    def _forget_stale(self) -> None:
        for upload, (path, touched) in list(self._uploads.items()):
            if time.monotonic() - touched > _STALE:
                del self._uploads[upload]
                with contextlib.suppress(OSError):
                    path.unlink()


def _folder(call: Call) -> str:
    return str(call.body.get("folder") or "")[:300]


class _Pipe:
    """What a thread writes, for another to read piece by piece; at most some pieces ahead."""

    def __init__(self) -> None:
        self._pieces: queue.Queue[bytes | None] = queue.Queue(maxsize=8)
        self._gone = False

    def write(self, data: bytes) -> int:
        while not self._gone:
            with contextlib.suppress(queue.Full):
                self._pieces.put(bytes(data), timeout=0.5)
                return len(data)
        raise OSError("nobody reads it any more")

    def flush(self) -> None:
        """Do nothing: every piece is handed over at once."""

    def finish(self) -> None:
        while not self._gone:
            with contextlib.suppress(queue.Full):
                self._pieces.put(None, timeout=0.5)
                return

    def leave(self) -> None:
        self._gone = True

    def __iter__(self) -> Iterator[bytes]:
        while (piece := self._pieces.get()) is not None:
            yield piece


def _streamed(write: Callable[[IO[bytes]], None]) -> Iterator[bytes]:
    """Yield what `write` writes, on a thread of its own. A failure breaks the download off, so that it is seen."""
    pipe, failed = _Pipe(), list[OptimError]()

    def work() -> None:
        try:
            write(cast("IO[bytes]", pipe))
        except OptimError as error:
            failed.append(error)
        finally:
            pipe.finish()

    threading.Thread(target=work, name="optim export", daemon=True).start()
    try:
        yield from pipe
    finally:
        pipe.leave()
    if failed:
        raise failed[0]
