"""Learn my taste and ratings as files, as a program would ask for them."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from starlette.testclient import TestClient

from lib_optim.run.folder import RunFolder
from tests.ui.fake import FakeManager
from tests.ui.rated import rate_folder
from tests.ui.test_routes import default_form, start, until

pytestmark = pytest.mark.ui


def rated(client: TestClient, manager: FakeManager, images: int, left: int = 0, name: str = "mine") -> str:
    scorers = [{"id": "manual", "weight": 1, "options": {}}]
    folder = start(client, name=name, trials=1, scorers=scorers)
    manager.stop()
    until(lambda: not manager.active)
    rate_folder(RunFolder.open(manager.outputs, folder), images, left)
    return folder


def taste(client: TestClient, folder: str, **query: Any) -> dict[str, Any]:
    answer = client.get("/optim/api/taste", params={"folder": folder, **query})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def train(client: TestClient, *folders: str) -> dict[str, Any]:
    answer = client.post("/optim/api/taste", json={"folders": list(folders)})
    assert answer.status_code == 200, answer.text
    until(lambda: taste(client, folders[0])["job"]["state"] != "running", 60)
    return dict(taste(client, folders[0])["job"])


def test_a_taste_is_learned_saved_and_never_written_over(client: TestClient, manager: FakeManager) -> None:
    folder = rated(client, manager, 22, left=3)
    before = taste(client, folder)
    assert (before["rated"], before["left"], before["least"], before["tastes"]) == (22, 3, 20, [])
    assert before["way"] == "packaged"
    assert "needs the file" in next(way["problem"] for way in before["ways"] if way["id"] == "clip")
    refused = client.post("/optim/api/taste_save", json={"name": "early"})
    assert (refused.status_code, refused.json()["error"]) == (
        409, "Nothing was learned since the program began; train first.",
    )  # fmt: skip
    job = train(client, folder)
    assert (job["state"], job["ratings"], job["gone"]) == ("done", 22, 0)
    assert -1 <= job["agreement"] <= 1
    assert client.post("/optim/api/taste_save", json={"name": "light"}).json()["name"] == "light"
    again = client.post("/optim/api/taste_save", json={"name": "light"})
    assert again.status_code == 409
    assert "runs may use it" in again.json()["error"]
    assert client.post("/optim/api/taste_save", json={"name": "../out"}).status_code == 400
    (saved,) = taste(client, folder)["tastes"]
    assert (saved["name"], saved["ratings"], saved["runs"], saved["problem"]) == ("light", 22, [folder], "")
    # The judge can now be chosen: the form's own check reads the file.
    scorers = [{"id": "taste", "weight": 1, "options": {"taste": "light"}}]
    check = client.post("/optim/api/check", json={"form": default_form(client, scorers=scorers)}).json()
    assert check["problems"] == []
    scorers[0]["options"] = {"taste": "other"}
    check = client.post("/optim/api/check", json={"form": default_form(client, scorers=scorers)}).json()
    assert "There is no saved taste 'other'; there are light." in check["problems"][0]["sentence"]


def test_too_few_ratings_say_how_many_are_needed_and_those_of_other_runs_help(
    client: TestClient, manager: FakeManager
) -> None:
    first, second = rated(client, manager, 12, name="first"), rated(client, manager, 9, name="second")
    job = train(client, first)
    assert job == {"state": "failed", "text": "12 images are rated; a taste can be learned from 20 on."}
    assert taste(client, first, runs=1)["runs"] == [{"folder": second, "rated": 9}]
    assert train(client, first, second)["ratings"] == 21


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"folders": []}, 400), ({"folders": [1]}, 400), ({"folders": ["no such run"]}, 400),
     ({"folders": ["../.."]}, 400)],
)  # fmt: skip
def test_bad_requests_are_refused(client: TestClient, body: dict[str, Any], status: int) -> None:
    assert client.post("/optim/api/taste", json=body).status_code == status
    assert client.get("/optim/api/taste", params={"folder": "../.."}).status_code == 400
    assert client.get("/optim/api/ratings", params={"folder": "../.."}).status_code == 400


def test_ratings_are_downloaded(client: TestClient, manager: FakeManager) -> None:
    folder = rated(client, manager, 3, left=1)
    answer = client.get("/optim/api/ratings", params={"folder": folder})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert f"{folder}-ratings.csv" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["trial"], row["value"], row["marks"]) for row in rows] == [
        ("0", "0.0", ""), ("1", "1.0", ""), ("2", "2.0", ""), ("3", "", "unrated"),
    ]  # fmt: skip
    assert rows[0]["time"] == "2023-11-14T22:13:20Z"
    told = client.get("/optim/api/ratings", params={"folder": folder, "format": "json"}).json()
    assert [row["value"] for row in told["ratings"]] == [0.0, 1.0, 2.0, None]
    assert client.get("/optim/api/ratings", params={"folder": folder, "format": "xls"}).status_code == 400


def test_the_switch_is_a_command(client: TestClient, manager: FakeManager) -> None:
    for name in ("ask_less", "ask_all"):
        assert client.post("/optim/api/command", json={"command": name}).json() == {"done": name}
    assert manager.commands[-2:] == ["ask_less", "ask_all"]
