"""Which programs a run was made with: a note in its database, a line each time that it is opened with others."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import time
from typing import TYPE_CHECKING, Any

from lib_optim import __version__

if TYPE_CHECKING:
    from lib_optim.hosts.base import Host
    from lib_optim.run.store import Store

__all__ = ["PACKAGES", "note_versions", "noted_versions", "package_versions"]

PACKAGES = ("torch", "sd-mecha", "optuna", "safetensors", "gradio", "diffusers", "transformers", "numpy")
_NOTE = "versions"


def package_versions() -> dict[str, str]:
    """Return the versions of what matters to a merge, a search and the tab; what is not installed is left out."""
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def note_versions(store: Store, host: Host) -> None:
    """Record with which versions the run goes on, unless they are those of the last time."""
    now: dict[str, Any] = {
        "optim": __version__,
        "host": host.id,
        "host_version": host.version,
        "python": platform.python_version(),
        **package_versions(),
    }
    before = noted_versions(store)
    if not before or {k: v for k, v in before[-1].items() if k != "since"} != now:
        store.set_note(_NOTE, json.dumps([*before, {**now, "since": time.time()}]))


def noted_versions(store: Store) -> list[dict[str, Any]]:
    """Return what was recorded, oldest first; nothing for runs of before versions were."""
    try:
        found = json.loads(store.note(_NOTE) or "[]")
    except (ValueError, RecursionError):
        return []
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
