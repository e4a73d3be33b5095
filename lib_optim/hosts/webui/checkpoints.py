"""The WebUI's checkpoint list."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from lib_optim.hosts.base import Checkpoint
from lib_optim.plan.errors import HostError

_LOOKS, _PAUSE = 20, 0.02  # seconds

__all__ = ["checkpoints", "chosen_info", "info_of", "same_file"]


def checkpoints(refresh: bool) -> tuple[Checkpoint, ...]:
    """Return the list in the WebUI's order; `refresh` looks at the folders again."""
    from modules import sd_models

    if refresh:
        sd_models.list_models()
    return tuple(
        Checkpoint(info.title, Path(info.filename).absolute(), (info.sha256 or "").lower()) for info in _listed()
    )


def _listed() -> list[Any]:
    """The list when nobody is at it: the WebUI empties it before it looks at the folders, Forge at every page load."""
    from modules import sd_models

    before: list[Any] | None = None
    for _ in range(_LOOKS):
        now = list(sd_models.checkpoints_list.values())
        if now and before is not None and len(now) == len(before):
            return now
        before = now
        time.sleep(_PAUSE)
    return before or []


def info_of(path: Path | str) -> Any:
    """Return the WebUI's own entry for the file `path`.

    Raises:
        HostError: It is not on the list.
    """
    from modules import sd_models

    for _ in range(2):
        for info in _listed():
            if same_file(info.filename, path):
                return info
        sd_models.list_models()
    raise HostError(f"{Path(path).name} is not among the checkpoints of this WebUI; put it into its models folder.")


def chosen_info() -> Any:
    """Return the entry that the user has chosen, which the WebUI would load for its next image; None without any."""
    from modules import sd_models

    try:
        return sd_models.select_checkpoint()
    except FileNotFoundError:
        return None


def same_file(one: Path | str, other: Path | str) -> bool:
    """Tell whether two paths name one file."""
    return _plain(one) == _plain(other)


def _plain(path: Path | str) -> str:
    return os.path.normcase(os.path.realpath(path))
