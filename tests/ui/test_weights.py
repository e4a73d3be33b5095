"""Pasting block weights into the form, copying those of a trial, saving in another way: the routes."""

from __future__ import annotations

import base64
import io
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from starlette.testclient import TestClient

from lib_optim.plan.blocks import block_map
from lib_optim.plan.run_plan import SaveSpec
from lib_optim.plan.weight_names import main_blocks
from lib_optim.plan.weight_strings import parse_weights
from lib_optim.ui.weights import lines_around, lines_fixed
from tests.ui.fake import FakeManager

pytestmark = pytest.mark.ui

SD1 = block_map("sd1")


def ask(client: TestClient, **body: Any) -> dict[str, Any]:
    base = client.get("/optim/api/setup").json()["form"]["models"][0]
    answer = client.post("/optim/api/weights", json={"base": base, **body})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_text_is_understood_and_becomes_lines(client: TestClient) -> None:
    found = ask(client, text="base:.5,in00:1,out:0.25", width=0.2)
    assert found["weights"] == {"BASE": 0.5, "IN00": 1.0, "FINAL": 0.25}
    assert found["around"].splitlines()[:3] == ["BASE: 0.3..0.7", "IN00: 0.8..1", "FINAL: 0.05..0.45"]
    assert found["around"].splitlines()[3].startswith("# as in model A: IN01, ")
    assert found["fixed"].splitlines()[:4] == ["BASE: =0.5", "IN00: =1", "FINAL: =0.25", "IN01: 0..1"]
    assert ask(client, text="1,2")["problems"][0].startswith("2 numbers cannot be used for SD1")
    assert ask(client, text="0", base="")["problems"] == ["Choose model A first: the weights are for its blocks."]


def test_27_numbers_ask_which_order(client: TestClient) -> None:
    text = ",".join(str(i) for i in range(27))
    found = ask(client, text=text)
    assert [row["id"] for row in found["orders"]] == ["ends-last", "time-before-out", "sliders"]
    assert "OUT, TIME_EMBED" in found["orders"][0]["title"]
    assert found["weights"] == {}
    assert ask(client, text=text, order="sliders")["weights"]["FINAL"] == 13


def test_an_image_and_a_checkpoint(client: TestClient) -> None:
    info = PngInfo()
    info.add_text("parameters", "x\nSteps: 1, ModelMixer alpha b: 0.25")
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG", pnginfo=info)
    found = ask(client, png=base64.b64encode(buffer.getvalue()).decode())
    assert set(found["weights"].values()) == {0.25}
    assert client.post("/optim/api/weights", json={"base": _base(client), "png": "§"}).status_code == 400
    assert "says nothing of block weights" in ask(client, checkpoint=_base(client))["problems"][0]
    assert "not in the list" in ask(client, checkpoint="/etc/passwd")["problems"][0]


def _base(client: TestClient) -> str:
    return str(client.get("/optim/api/setup").json()["form"]["models"][0])


def test_lines_search_what_they_were_made_of() -> None:
    weights = dict(parse_weights("all:0.95,base:-0.5,in03:1.4", SD1).weights)
    lines = dict(line.split(": ") for line in lines_around(weights, SD1, 0.1).splitlines())
    assert lines["BASE"] == "-0.5..-0.4"
    assert lines["IN03"] == "1.3..1.4"
    assert lines["IN04"] == "0.85..1"
    assert list(lines) == list(main_blocks(SD1))
    assert lines_fixed({**weights, "TIME": 0.95}, SD1).count("TIME") == 0  # as IN00, which it follows


def test_the_form_takes_starts_and_the_run_begins_with_them(client: TestClient) -> None:
    form = client.get("/optim/api/setup").json()["form"]
    form["start"] = [{"name": "pasted", "weights": {"IN03": 0.25}}]
    assert client.post("/optim/api/check", json={"form": form}).json()["problems"] == []
    form["start"] = [{"name": "pasted", "weights": {"IN03": 7}}]
    (problem,) = client.post("/optim/api/check", json={"form": form}).json()["problems"]
    assert problem["where"] == "sampler.start"
    assert "IN03_alpha 7, which lies outside 0..1" in problem["sentence"]


def test_weights_of_a_trial_and_a_save_in_another_way(client: TestClient, manager: FakeManager, tmp_path: Path) -> None:
    form = client.get("/optim/api/setup").json()["form"]
    assert client.post("/optim/api/start", json={"form": {**form, "trials": 2}}).status_code == 200
    limit = time.monotonic() + 20
    while manager.view.best is None:
        assert time.monotonic() < limit
        time.sleep(0.02)
    texts = client.post("/optim/api/block_weights", json={"trial": 0}).json()["weights"]["alpha"]
    assert len(texts["classic"].split(",")) == 26
    save = {"dtype": "fp32", "pruned": True, "vae": str(tmp_path / "x.safetensors"), "fix_clip": True}
    body = {"command": "save_trial", "trial": 0, "save": save, "name": "mine"}
    answer = client.post("/optim/api/command", json=body).json()
    assert answer["path"].endswith("mine.safetensors")
    assert answer["notes"] == ["The file holds another VAE."]
    assert manager.saves == [(SaveSpec("fp32", pruned=True, vae=save["vae"], fix_clip=True), "mine")]
    assert manager.snapshot()["saved_notes"] == {answer["path"]: answer["notes"]}
    bad = client.post("/optim/api/command", json={**body, "save": {"dtype": "int4"}})
    assert bad.status_code == 400
    assert "'save.dtype' must be one of" in bad.json()["error"]
