"""Optim's settings as the WebUI keeps them: options whose names begin with ``optim_``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lib_optim.plan.settings import SETTINGS, SettingValue, settings_of

__all__ = ["folder_of", "option", "settings"]


def option(key: str) -> str:
    """Return the name of the WebUI's option for the setting `key`."""
    return f"optim_{key}"


def settings() -> dict[str, SettingValue]:
    """Return a value for every row; what the WebUI does not know, or knows wrongly, is the default."""
    from modules import shared

    found: dict[str, Any] = {row.key: getattr(shared.opts, option(row.key), row.default) for row in SETTINGS}
    return settings_of(found)


def folder_of(key: str, data: Path) -> Path | None:
    """Return the folder that a setting names (relative ones lie in `data`), or None."""
    chosen = str(settings()[key]).strip()
    if not chosen:
        return None
    folder = Path(chosen).expanduser()
    return folder if folder.is_absolute() else data / folder
