"""Settings of a host that has no page for them: a small JSON file."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from lib_optim.plan.errors import HostError
from lib_optim.plan.settings import SettingValue, checked_settings, settings_of

__all__ = ["SettingsFile"]

_log = logging.getLogger(__name__)


class SettingsFile:
    """`path` need not exist. What cannot be read counts as not set; a row's own default is not written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values = settings_of(self._read())

    def values(self) -> dict[str, SettingValue]:
        """Return a value for every row of `plan.settings`."""
        return dict(self._values)

    def change(self, values: Mapping[str, object]) -> None:
        """Take over `values`, some of the rows', and keep them.

        Raises:
            PlanError: Unknown keys or impossible values.
            HostError: The file cannot be written; nothing was changed.
        """
        after = {**self._values, **checked_settings(values)}
        defaults = settings_of({})
        kept = {key: value for key, value in after.items() if value != defaults[key]}
        beside = self._path.with_suffix(".new")
        try:
            beside.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            beside.replace(self._path)
        except OSError as error:
            raise HostError(f"The settings cannot be kept in {self._path}: {error.strerror}.") from error
        self._values = after

    def _read(self) -> Mapping[str, object]:
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            _log.warning("The settings in %s cannot be read: %s", self._path, error)
            return {}
        return data if isinstance(data, dict) else {}
