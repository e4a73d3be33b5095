"""Which trial a picture is of."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from starlette.testclient import TestClient

from lib_optim.plan.infotext import infotext_trial
from tests.ui.fake import FakeManager
from tests.ui.test_routes import start

pytestmark = pytest.mark.ui

LINE = "a cat\nNegative prompt: a dog\nSteps: 12, Sampler: Euler, Seed: 3, Size: 64x64, Model: a (Optim merge), "


def picture(infotext: str) -> str:
    """A PNG in base64."""
    info, file = PngInfo(), io.BytesIO()
    info.add_text("parameters", infotext)
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=info)
    return base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize(
    ("rest", "found"),
    [
        ("Optim trial: 2026-11-22-a-b 14, Optim recipe: 1f3a, Version: 1.10.1", ("2026-11-22-a-b", 14, "1f3a")),
        ('Optim trial: "odd, name: 7", Optim recipe: 1f3a', ("odd, name:", 7, "1f3a")),
        ("Optim trial: run 3", ("run", 3, "")),
        ("Optim trial: 3", None),
        ("Optim trial: run three", None),
        ("Version: 1.10.1", None),
    ],
)
def test_the_infotext_names_run_and_trial(rest: str, found: object) -> None:
    assert infotext_trial(LINE + rest) == found
    assert infotext_trial("Optim trial: run 3") is None  # a prompt that only says so


def test_a_picture_leads_to_its_run(client: TestClient, manager: FakeManager) -> None:
    folder = start(client)
    send = {"name": "cat.png", "data": picture(f"{LINE}Optim trial: {folder} 2, Optim recipe: 1f3a")}
    answer = client.post("/optim/api/picture", json=send).json()
    assert answer == {"folder": folder, "trial": 2, "recipe": "1f3a", "kept": True}
    for name in ("gone", "../outputs", ".."):
        send["data"] = picture(f"{LINE}Optim trial: {name} 2")
        assert client.post("/optim/api/picture", json=send).json()["kept"] is False


@pytest.mark.parametrize(("data", "word"), [(picture("a cat"), "names no trial"), ("AAAA", "cat.png")])
def test_any_other_picture_is_refused_in_a_sentence(client: TestClient, data: str, word: str) -> None:
    answer = client.post("/optim/api/picture", json={"name": "cat.png", "data": data})
    assert (answer.status_code // 100, word in answer.json()["error"]) == (4, True)
