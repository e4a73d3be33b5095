"""Settings, and how the run stands in a few words: what the page asks, as JSON.

GET  /optim/api/settings             {rows, values, own}: `own` if they can be changed here, and not in the host's page
POST /optim/api/settings {values}    change some of them; answers like GET
GET  /optim/api/status               {state, sentence, folder, trial, trials, part, call}: for pages that nobody looks
                                     at; `call` is turn, done or trouble where somebody should look, else empty
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import RunError
from lib_optim.plan.settings import FOLDERS, SETTINGS, checked_settings
from lib_optim.run.control import PAUSED
from lib_optim.ui.http import Call, Refused

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager

__all__ = ["SettingsApi", "call_of"]


class SettingsApi:
    """The routes."""

    def __init__(self, manager: RunManager) -> None:
        self._manager = manager

    def shown(self) -> dict[str, Any]:
        """Return all rows with their values."""
        host = self._manager.host
        rows = [row.to_json() for row in SETTINGS]
        return {"rows": rows, "values": dict(host.settings()), "own": host.capabilities().own_settings}

    def change(self, call: Call) -> dict[str, Any]:
        """Change settings; folders only while no run goes on."""
        values = call.body.get("values")
        if not isinstance(values, Mapping):
            raise Refused(400, "'values' must be an object of settings and their values.")
        host = self._manager.host
        now, asked = host.settings(), checked_settings(values)
        if self._manager.active and any(key in asked and asked[key] != now[key] for key in FOLDERS):
            raise RunError("Folders cannot change while a run goes on; stop it first, or wait for its end.")
        host.change_settings(asked)
        return self.shown()

    def status(self) -> dict[str, Any]:
        """Return how the run stands."""
        view = self._manager.view
        shown = self._manager.snapshot(view.revision)
        progress, run = shown["progress"], shown["run"]
        done, most = progress["images_done"], progress["images_all"]
        return {
            "state": shown["state"],
            "sentence": shown["sentence"],
            "folder": run["folder"] if run else "",
            "trial": progress["trial"],
            "trials": progress["trials"],
            "part": min(1.0, done / most) if most else 0.0,
            "call": call_of(shown),
        }


def call_of(shown: Mapping[str, Any]) -> str:
    """Say, of a snapshot, why somebody should look at the page, if so."""
    state, asked_for = shown["state"], shown["sentence"].startswith(PAUSED)
    if state == "failed" or (state == "paused" and not asked_for):
        return "trouble"
    if state == "finished":
        return "done"
    return "turn" if state == "waiting" or (state == "running" and shown["waiting"]) else ""
