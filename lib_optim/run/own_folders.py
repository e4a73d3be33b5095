"""Where the user's own merge methods and scorers lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim.merging.user_methods import METHODS_FOLDER
from lib_optim.scoring.user_scorers import SCORERS_FOLDER

if TYPE_CHECKING:
    from lib_optim.hosts.base import Host

__all__ = ["methods_folder", "scorers_folder"]


def methods_folder(host: Host) -> Path:
    """Return the folder that the settings name, or the usual one; it need not exist."""
    paths = host.paths()
    return paths.methods or paths.data / METHODS_FOLDER


def scorers_folder(host: Host) -> Path:
    """Return the folder that the settings name, or the usual one; it need not exist."""
    paths = host.paths()
    return paths.scorers or paths.data / SCORERS_FOLDER
