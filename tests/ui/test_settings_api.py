"""Settings and status over their routes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from lib_optim.hosts.standalone import StandaloneHost
from lib_optim.plan.settings import SETTINGS
from lib_optim.run.control import PAUSED
from lib_optim.run.own_folders import methods_folder, scorers_folder
from lib_optim.ui.settings_api import call_of
from tests.ui.fake import FakeManager
from tests.ui.test_routes import start

pytestmark = pytest.mark.ui


def test_settings_are_shown_and_changed(client: TestClient, manager: FakeManager) -> None:
    shown = client.get("/optim/api/settings").json()
    assert [row["key"] for row in shown["rows"]] == [row.key for row in SETTINGS]
    assert shown["own"] is True
    answer = client.post("/optim/api/settings", json={"values": {"poll": 2, "sound": True}}).json()
    assert (answer["values"]["poll"], answer["values"]["sound"]) == (2, True)
    assert manager.host.settings()["poll"] == 2
    refused = client.post("/optim/api/settings", json={"values": {"poll": 99, "sound": 1}})
    assert (refused.status_code, len(refused.json()["problems"])) == (400, 2)
    assert client.post("/optim/api/settings", json={"values": [1]}).status_code == 400


def test_folders_stay_where_they_are_while_a_run_goes_on(client: TestClient, manager: FakeManager) -> None:
    start(client)
    assert manager.active
    same = {"values": {"outputs": "", "sound": True}}
    assert client.post("/optim/api/settings", json=same).status_code == 200
    moved = client.post("/optim/api/settings", json={"values": {"outputs": "elsewhere"}})
    assert (moved.status_code, "while a run goes on" in moved.text) == (409, True)


def test_the_folders_of_the_standalone_program(tmp_path: Path) -> None:
    models = tmp_path / "models"
    host = StandaloneHost(tmp_path, models)
    data = tmp_path.resolve()
    assert host.paths().outputs == data / "outputs"
    assert (methods_folder(host).name, scorers_folder(host).name) == ("methods", "scorers")
    host.change_settings({"outputs": str(tmp_path / "big disk"), "methods": "mine", "scorers": "judges"})
    again = StandaloneHost(tmp_path, models)
    assert again.paths().outputs == tmp_path / "big disk"
    assert (methods_folder(again), scorers_folder(again)) == (data / "mine", data / "judges")


def test_status_says_how_the_run_stands(client: TestClient, manager: FakeManager) -> None:
    idle = client.get("/optim/api/status").json()
    assert (idle["state"], idle["folder"], idle["call"]) == ("idle", "", "")
    folder = start(client, trials=3)
    seen = []
    until = time.monotonic() + 60
    while time.monotonic() < until and (not seen or seen[-1]["state"] != "finished"):
        seen.append(client.get("/optim/api/status").json())
        time.sleep(0.02)
    assert {status["folder"] for status in seen} == {folder}
    assert any(0 < status["part"] < 1 for status in seen)
    assert any(status["trial"] and status["trials"] == 3 for status in seen)
    assert (seen[-1]["state"], seen[-1]["call"]) == ("finished", "done")
    assert client.get("/optim/api/snapshot").json()["call"] == "done"
    assert len(client.get("/optim/api/status").content) < 600


@pytest.mark.parametrize(
    ("state", "sentence", "waiting", "call"),
    [
        ("running", "Going on.", [], ""),
        ("running", "Going on.", [[3, 0]], "turn"),
        ("waiting", "Your turn: score the images of this trial.", [], "turn"),
        ("paused", f"{PAUSED} Your own model is back; continue when you like.", [[3, 0]], ""),
        ("paused", "5 trials in a row failed, the last one because: no disk.", [], "trouble"),
        ("failed", "The disk is full.", [], "trouble"),
        ("finished", "20 trials are done.", [], "done"),
        ("idle", "", [], ""),
    ],
)
def test_when_somebody_should_look(state: str, sentence: str, waiting: list[list[int]], call: str) -> None:
    assert call_of({"state": state, "sentence": sentence, "waiting": waiting}) == call
