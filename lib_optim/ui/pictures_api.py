"""The pictures of many trials, as the gallery asks for them.

GET  /optim/api/images?trials=3,4     the images of these trials of the open or last run, as in the snapshot
GET  /optim/thumb/{folder}/{file}     an image of a run, small
POST /optim/api/open_folder {folder}  show the run's images in this machine's file manager; only for who sits at it
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from lib_optim.plan.errors import RunError
from lib_optim.run.folder import RunFolder
from lib_optim.ui.http import Call, Refused
from lib_optim.ui.thumbs import Thumbs

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager

__all__ = ["PicturesApi", "asked_trials"]

MOST_TRIALS = 60
"""Most trials in one answer."""


def asked_trials(call: Call, most: int) -> list[int]:
    """Return the numbers of ``trials`` in the address, at most `most` of them."""
    return [int(part) for part in call.query.get("trials", "").split(",")[:most] if part.strip().isdigit()]


class PicturesApi:
    """The routes.

    Args:
        manager: The run manager.
    """

    def __init__(self, manager: RunManager) -> None:
        self._manager = manager
        self._thumbs = Thumbs()

    def images(self, call: Call) -> dict[str, Any]:
        """Return the images of some trials."""
        return {"images": self._manager.view.images(asked_trials(call, MOST_TRIALS))}

    def thumb(self, call: Call) -> Response:
        """Return a small picture."""
        path = self._manager.image_path(call.path["folder"], call.path["file"])
        if path is None:
            raise Refused(404, "There is no such image.")
        headers = {"Cache-Control": "private, max-age=86400, immutable", "X-Content-Type-Options": "nosniff"}
        return Response(self._thumbs.of(path), media_type="image/jpeg", headers=headers)

    def open_folder(self, call: Call) -> dict[str, Any]:
        """Show the images of a run in the file manager.

        Raises:
            Refused: Whoever asks may sit elsewhere.
            RunError: There is no file manager.
        """
        if not call.local:
            raise Refused(403, "Folders open only on the machine that runs this program, not from elsewhere.")
        folder = RunFolder.open(self._manager.outputs, str(call.body.get("folder") or "")[:300])
        path = folder.images if folder.images.is_dir() else folder.path
        _show(path)
        return {"path": str(path)}


def _show(path: Path) -> None:
    """Open `path` as the system does."""
    if sys.platform == "win32":
        os.startfile(path)
        return
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    opener = "open" if sys.platform == "darwin" else shutil.which("xdg-open") if screen else None
    if opener is None:
        raise RunError(f"This machine has no file manager that could open it; the folder is {path}.")
    subprocess.Popen([opener, str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
