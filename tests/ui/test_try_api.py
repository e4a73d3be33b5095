"""The routes of "Try it", over a real host with the demo pair."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from lib_optim.ui.routes import mount
from tests.rig import Rig
from tests.ui.fake import FakeManager

pytestmark = pytest.mark.ui


@pytest.fixture
def served(rig: Rig) -> Iterator[TestClient]:
    app = FastAPI()
    mount(app, rig.manager)
    with TestClient(app) as made:
        yield made


def form_of(client: TestClient, **changes: Any) -> dict[str, Any]:
    form = client.get("/optim/api/setup").json()["form"]
    form["vary"]["mode"] = "groups"
    return {**form, **changes}


def post(client: TestClient, path: str, status: int = 200, **body: Any) -> Any:
    answer = client.post(f"/optim/api/{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_the_sliders_follow_the_form(client: TestClient, manager: FakeManager) -> None:
    """Headers are enough for that; what has nothing to do with a merge may be wrong."""
    form = form_of(client, scorers=[], trials=0)
    space = post(client, "try_space", form=form)
    assert space["problems"] == []
    names = [row["name"] for row in space["parameters"]]
    assert space["values"] == dict.fromkeys(names, 0.5)
    assert [row["name"] for row in space["payloads"]] == form["payloads"]
    assert all(row["seed"] >= 0 for row in space["payloads"])
    assert [row["model"] for row in space["models"]] == ["A", "B"]
    assert "GRAD_V" in space["presets"]
    moved = {**space["values"], names[0]: 0.25}
    every = {**form, "vary": {**form["vary"], "mode": "blocks"}}
    kept = post(client, "try_space", form=every, point={"values": moved})
    assert len(kept["parameters"]) == 26
    assert post(client, "try_space", form=form, point={"values": moved})["values"] == moved
    assert set(post(client, "try_space", form=form, point={"preset": "all B"})["values"].values()) == {1.0}
    pasted = post(client, "try_space", form=every, point={"weights": {"IN05": 0.75}})
    assert pasted["values"]["IN05_alpha"] == 0.75
    assert pasted["values"]["IN06_alpha"] == 0
    wrong = post(client, "try_space", form=form, point={"weights": {"IN99": 1}}, now=moved)
    assert "IN99" in wrong["problems"][0]
    assert wrong["values"] == moved
    gone = post(client, "try_space", form=form, point={"folder": "nothing", "trial": 1}, now=moved)
    assert (gone["values"], len(gone["problems"])) == (moved, 1)
    empty = post(client, "try_space", form={**form, "models": [form["models"][0], "", ""]})
    assert empty["parameters"] == []
    assert empty["problems"]


def test_make_look_save_and_take_as_a_parent(served: TestClient, rig: Rig) -> None:
    form = form_of(served)
    space = post(served, "try_space", form=form)
    names = [row["name"] for row in space["parameters"]]
    values = dict.fromkeys(names, 1)  # as JSON of a page has it
    asked = {"form": form, "values": values, "payload": space["payloads"][1]["name"], "seed": None, "request": "click"}
    state = post(served, "try", **asked)
    assert state["making"]
    assert not post(served, "try_stop")["error"]
    rig.until(lambda: not served.get("/optim/api/try").json()["making"])
    post(served, "try", **{**asked, "request": "again", "parents": True})
    rig.until(lambda: not served.get("/optim/api/try").json()["making"])
    state = served.get("/optim/api/try").json()
    (only,) = state["tries"]
    assert (only["request"], only["payload"]) == ("again", asked["payload"])
    assert only["values"] == dict.fromkeys(names, 1.0)
    assert only["models"] == ["demo-a.safetensors", "demo-b.safetensors"]
    for file in (only["file"], *(row["file"] for row in only["parents"])):
        shown = served.get(f"/optim/try_image/{file}")
        assert shown.headers["content-type"] == "image/png"
        assert shown.headers["x-content-type-options"] == "nosniff"
    for file in ("00009.png", "00001.json", "..%2f..%2fhashes.json", "parent-x.png"):
        assert served.get(f"/optim/try_image/{file}").status_code == 404
    weights = post(served, "try_weights", form=form, values=values)["weights"]
    assert weights["alpha"]["classic"].split(",") == ["1"] * 26
    saved = post(served, "try_save", **{"try": 1, "save": {**form["save"], "checkpoint": True}, "name": "mine"})
    assert Path(saved["path"]).name == "mine.safetensors"
    assert any(row["path"] == saved["path"] for row in served.get("/optim/api/setup").json()["models"])
    assert rig.has_originals()


def test_a_trial_is_dialled_and_becomes_a_parent(served: TestClient, rig: Rig) -> None:
    snapshot = rig.run()
    folder = snapshot["run"]["folder"]
    form = form_of(served)
    for trial in (None, 1):
        number = snapshot["best"]["trial"] if trial is None else trial
        point = post(served, "try_space", form=form, point={"folder": folder, "trial": trial})
        assert point["problems"] == []
        means = snapshot["trials"][number]["values"]
        groups = {row["name"]: row["blocks"] for row in point["parameters"]}
        inner = next(name for name, blocks in groups.items() if "IN05" in blocks and "OUT05" not in blocks)
        assert point["values"][inner] == pytest.approx(means["in_alpha"])
    parent = post(served, "parent", folder=folder, trial=None)
    assert parent["trial"] == snapshot["best"]["trial"]
    assert Path(parent["path"]).is_file()
    listed = {row["path"] for row in served.get("/optim/api/setup").json()["models"]}
    assert parent["path"] in listed
    assert post(served, "parent", folder=folder, trial=parent["trial"])["path"] == parent["path"]  # saved once
    assert "no trial 9" in post(served, "parent", 409, folder=folder, trial=9)["error"]


def test_what_is_refused(client: TestClient, manager: FakeManager) -> None:
    form = form_of(client)
    for body in ({"values": {}}, {"form": form}, {"form": form, "values": {}, "seed": "1"}):
        post(client, "try", 400, **body)
    post(client, "try_save", 400, **{"try": "1"})
    assert "no longer kept" in post(client, "try_save", 409, **{"try": 3})["error"]
    post(client, "parent", 400, folder="", trial="x")
    post(client, "start", form=form)
    assert "run is going on" in post(client, "try", 409, form=form, values={})["error"]
