"""Payloads written, changed and taken away through the routes; and read from pictures."""

from __future__ import annotations

import base64
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from PIL.PngImagePlugin import PngInfo
from starlette.testclient import TestClient

from lib_optim.hosts.base import HostCapabilities, HostScript
from lib_optim.plan.payload import OWN_FIELDS, Payload
from lib_optim.plan.payload_file import load_payload
from lib_optim.ui.payload_fields import FIELDS
from tests.run.test_calibrating import data, picture
from tests.ui.fake import FakeManager

pytestmark = pytest.mark.ui
FULL = HostCapabilities(
    ("sd1",), frozenset(field.name for field in dataclasses.fields(Payload)) - OWN_FIELDS, ("Euler a", "Euler"),
    ("Automatic", "Karras"), True, styles=("photo", "soft, warm"), upscalers=("Latent",),
    scripts=(HostScript("Frame", (("width", 1), ("mask", None))), HostScript("Unit", (("on", True),))),
)  # fmt: skip


@pytest.fixture
def folder(manager: FakeManager) -> Path:
    return manager.host.paths().data / "payloads"


def save(client: TestClient, instead_of: str = "", **fields: Any) -> Any:
    return client.post("/optim/api/payload", json={"payload": fields, "instead_of": instead_of})


def listed(client: TestClient) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in client.get("/optim/api/setup?refresh=1").json()["payloads"]}


def test_a_new_payload_is_a_file_with_what_was_said_and_no_more(client: TestClient, folder: Path) -> None:
    assert save(client, name='My "first" / one', prompt="a cat", steps=9, batch_size=3).json() == {
        "name": 'My "first" / one'
    }
    (path,) = folder.glob("My*.json")
    assert path.parent == folder
    assert json.loads(path.read_text()) == {"name": 'My "first" / one', "prompt": "a cat", "steps": 9, "batch_size": 3}
    row = listed(client)['My "first" / one']
    assert (row["own"], row["images"], row["payload"]["prompt"]) == (True, 3, "a cat")


def test_a_changed_payload_stays_in_its_file_beside_the_others_there(client: TestClient, folder: Path) -> None:
    several = folder / "several.json"
    several.write_text(json.dumps([{"prompt": "one"}, {"name": "two", "prompt": "b", "steps": 7}, {"prompt": "three"}]))
    before = [payload for payload in load_payload(several) if payload.name != "two"]
    assert save(client, "two", name="zwei", prompt="c", steps=20).status_code == 200
    after = load_payload(several)
    assert [payload.name for payload in after] == ["several 1", "zwei", "several 3"]
    assert [payload for payload in after if payload.name != "zwei"] == before
    assert after[1].prompt == "c"
    assert "two" not in listed(client)


def test_one_that_is_taken_away_leaves_the_others_and_its_last_file_is_kept_aside(
    client: TestClient, folder: Path
) -> None:
    several = folder / "several.json"
    several.write_text(json.dumps([{"name": "one"}, {"name": "two"}]))
    client.post("/optim/api/payload_delete", json={"name": "one"})
    assert [payload.name for payload in load_payload(several)] == ["two"]
    client.post("/optim/api/payload_delete", json={"name": "two"})
    assert not several.exists()
    assert (folder / "several.json.deleted").exists()
    assert not {"one", "two"} & set(listed(client))


def test_a_shipped_payload_is_changed_as_a_copy_of_ones_own(client: TestClient, folder: Path) -> None:
    shipped = listed(client)["portrait"]
    assert not shipped["own"]
    assert client.post("/optim/api/payload_delete", json={"name": "portrait"}).status_code == 409
    assert shipped["unable"]  # this host honours few fields; the editor leaves the others out and says so
    fields = {name: value for name, value in shipped["payload"].items() if name not in shipped["unable"]}
    fields["steps"] = 33
    assert save(client, **fields).status_code == 200
    assert (listed(client)["portrait"]["own"], listed(client)["portrait"]["steps"]) == (True, 33)
    assert client.post("/optim/api/payload_delete", json={"name": "portrait"}).status_code == 200
    assert listed(client)["portrait"]["payload"] == shipped["payload"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "x", "steps": 900}, "steps must lie between"),
        ({"name": "", "prompt": "a"}, "no name"),
        ({"name": "x", "widht": 64}, "widht"),
        ({"name": "x", "width": 65}, "multiple of 8"),
        ({"name": "x", "enable_hr": True}, "cannot honour"),
        ({"name": "lighthouse"}, "already"),
        ({"name": "x", "steps": "many"}, "steps"),
        ({"name": "x", "override_settings": {"sd_model_checkpoint": "y"}}, "replace the merged model"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    client: TestClient, folder: Path, fields: dict[str, Any], words: str
) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    refused = save(client, **fields)
    assert refused.status_code == 400
    assert words in refused.json()["error"]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_name_leads_out_of_the_folder_no_way(client: TestClient, folder: Path) -> None:
    for name in ("../../evil", "/etc/evil", "C:\\evil", "CON", ".."):
        assert save(client, name=name).status_code == 200
    outside = [path for path in folder.parent.rglob("*evil*") if path.parent != folder]
    assert outside == []
    assert {"../../evil", "/etc/evil", "C:\\evil", "CON", ".."} <= set(listed(client))


def test_a_file_that_cannot_be_read_is_left_alone(client: TestClient, folder: Path) -> None:
    (folder / "mine.json").write_text("{broken")
    assert save(client, name="mine").status_code == 200
    assert (folder / "mine.json").read_text() == "{broken"
    assert "mine" in listed(client)


def test_a_picture_says_what_made_it(client: TestClient) -> None:
    info = PngInfo()
    info.add_text("parameters", "a cat\nSteps: 8, Seed: 5, Size: 256x384, Clip skip: 2, Odd: 1")
    encoded = base64.b64encode(data(picture(1), pnginfo=info)).decode()
    answer = client.post("/optim/api/payload_read", json={"name": "cat", "data": encoded}).json()
    assert answer["payload"]["prompt"] == "a cat"
    assert (answer["payload"]["width"], answer["payload"]["height"], answer["payload"]["seed"]) == (256, 384, 5)
    assert answer["left"] == ["Odd", "clip_skip"]  # which this host cannot honour
    assert save(client, **answer["payload"]).status_code == 200


@pytest.mark.parametrize("content", [data(picture(1)), b"nonsense"])
def test_a_picture_without_settings_says_so(client: TestClient, content: bytes) -> None:
    encoded = base64.b64encode(content).decode()
    refused = client.post("/optim/api/payload_read", json={"name": "cat", "data": encoded})
    assert 400 <= refused.status_code < 500
    assert refused.json()["error"].endswith(".")


def test_the_editor_asks_for_what_the_host_honours_and_for_nothing_else(client: TestClient) -> None:
    names = {row["name"] for row in client.get("/optim/api/setup").json()["payload_fields"]}
    assert {"name", "prompt", "seed", "steps", "width", "height", "batch_size", "score_weight", "caption"} <= names
    assert not {"enable_hr", "clip_skip", "scheduler"} & names
    assert names <= {row.name for row in FIELDS}


def test_a_picture_to_begin_from_is_kept_beside_the_payloads_once(client: TestClient, folder: Path) -> None:
    def put(name: str, seed: int) -> str:
        encoded = base64.b64encode(data(picture(seed))).decode()
        return str(client.post("/optim/api/payload_picture", json={"name": name, "data": encoded}).json()["name"])

    assert put("../my house.jpg", 1) == "my-house.png"
    assert put("my house.png", 1) == "my-house.png"  # the same again
    assert put("my house.png", 2) == "my-house 2.png"
    assert {path.name for path in folder.glob("*.png")} == {"my-house.png", "my-house 2.png"}
    refused = client.post("/optim/api/payload_picture", json={"name": "x", "data": base64.b64encode(b"x").decode()})
    assert refused.status_code == 409


def test_what_the_host_offers_by_name_is_there_to_choose(
    client: TestClient, manager: FakeManager, folder: Path
) -> None:
    manager.host.can = FULL
    (folder / "start.PNG").write_bytes(b"")
    rows = {row["name"]: row for row in client.get("/optim/api/setup").json()["payload_fields"]}
    assert rows["styles"]["choices"] == ["photo", "soft, warm"]
    assert rows["hr_upscaler"]["choices"] == ["Latent"]
    assert rows["init_image"]["choices"] == ["start.PNG"]
    assert rows["resize_mode"]["choices"][1] == [1, "crop it"]
    assert rows["alwayson_scripts"]["choices"] == [
        {"name": "Frame", "arguments": [["width", 1], ["mask", None]]},
        {"name": "Unit", "arguments": [["on", True]]},
    ]
    scripts = {"Frame": {"args": [3]}}
    assert save(client, name="x", styles=["soft, warm"], alwayson_scripts=scripts).status_code == 200
    assert json.loads((folder / "x.json").read_text())["alwayson_scripts"] == scripts
    assert "Did you mean 'Frame'" in save(client, name="y", alwayson_scripts={"Fram": {}}).json()["error"]


def test_every_field_of_a_payload_is_in_the_editor_or_left_out_for_a_reason() -> None:
    counted_otherwise, written_at_start = {"n_iter"}, {"init_digest"}
    fields = {field.name for field in dataclasses.fields(Payload)}
    assert fields - {row.name for row in FIELDS} == counted_otherwise | written_at_start


def test_a_payload_of_a_yaml_file_is_changed_in_a_file_of_its_own(client: TestClient, folder: Path) -> None:
    text = "steps: 9\ncastle:\n  prompt: a castle\nlake:\n  prompt: a lake\n"
    (folder / "mine.yaml").write_text(text)
    (folder / "bad.yaml").write_text("prompt: a\nstepz: 9\n")
    setup = client.get("/optim/api/setup?refresh=1").json()
    assert setup["payload_problems"] == ["bad.yaml, line 2: 'stepz' is not a field of bad.yaml. Did you mean 'steps'?"]
    assert listed(client)["castle"]["steps"] == 9
    assert save(client, "castle", name="castle", prompt="a red castle").status_code == 200
    assert listed(client)["castle"]["prompt"] == "a red castle"
    assert (folder / "mine.yaml").read_text() == text
    assert client.post("/optim/api/payload_delete", json={"name": "castle"}).status_code == 200
    assert listed(client)["castle"]["prompt"] == "a castle"
    refused = client.post("/optim/api/payload_delete", json={"name": "lake"})
    assert refused.json()["error"] == "'lake' stands in mine.yaml; take it out there, or remove the file."
