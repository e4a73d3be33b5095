"""The pictures of many trials: small, only a run's own, and a folder that opens for nobody elsewhere."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from lib_optim.ui import pictures_api
from lib_optim.ui.routes import mount
from lib_optim.ui.thumbs import SIDE, Thumbs
from tests.ui.fake import FakeManager
from tests.ui.test_routes import JSON, start, until

pytestmark = pytest.mark.ui


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    found: list[Path] = []
    monkeypatch.setattr(pictures_api, "_show", found.append)
    return found


def client_at(manager: FakeManager, host: str, address: str) -> TestClient:
    app = Starlette()
    mount(app, manager)  # type: ignore[arg-type]

    async def placed(scope: dict, receive: object, send: object) -> None:  # type: ignore[type-arg]
        await app({**scope, "client": (address, 5)}, receive, send)  # type: ignore[arg-type]

    return TestClient(placed, base_url=f"http://{host}")  # type: ignore[arg-type]


def test_images_of_several_trials_as_the_snapshot_has_them(client: TestClient, manager: FakeManager) -> None:
    start(client, trials=3)
    until(lambda: not manager.active)
    images = client.get("/optim/api/images?trials=1,2,77,x").json()["images"]
    shown = client.get("/optim/api/snapshot?trials=1,2").json()["images"]
    assert images == {number: shown[number] for number in ("1", "2")}
    assert client.get("/optim/api/images").json() == {"images": {}}


def test_thumbnails_are_small_and_of_a_runs_images_only(client: TestClient, manager: FakeManager) -> None:
    folder = start(client, trials=1)
    until(lambda: not manager.active)
    image = client.get("/optim/api/images?trials=0").json()["images"]["0"][0]
    answer = client.get(f"/optim/thumb/{folder}/{image['file']}")
    with Image.open(io.BytesIO(answer.content)) as small:
        assert (small.format, max(small.size)) == ("JPEG", SIDE)
    assert answer.headers["x-content-type-options"] == "nosniff"
    for path in (f"{folder}/..%2fplan.json", f"{folder}/missing.png", "..%2f..%2fetc/passwd"):
        assert client.get(f"/optim/thumb/{path}").status_code == 404, path
    (manager.outputs / folder / "images" / "broken.png").write_bytes(b"no picture")
    answer = client.get(f"/optim/thumb/{folder}/broken.png")
    assert answer.status_code == 400
    assert "broken.png can't be read" in answer.json()["error"]


def test_a_changed_picture_has_another_thumbnail_and_old_ones_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (64, 64), "red").save(path)
    thumbs = Thumbs()
    red = thumbs.of(path)
    assert thumbs.of(path) is red
    Image.new("RGB", (64, 64), "blue").save(path)
    os.utime(path, ns=(1, 1))
    assert thumbs.of(path) != red
    monkeypatch.setattr("lib_optim.ui.thumbs.MOST_BYTES", 1)
    assert thumbs.of(path)
    Image.new("RGB", (64, 64), "green").save(tmp_path / "b.png")
    assert thumbs.of(tmp_path / "b.png")
    assert thumbs._size == 0


@pytest.mark.parametrize(
    ("host", "address", "headers", "status"),
    [
        ("127.0.0.1:7861", "127.0.0.1", {}, 200),
        ("localhost:7861", "::1", {}, 200),
        ("192.168.0.5:7861", "192.168.0.9", {}, 403),
        ("127.0.0.1:7861", "192.168.0.9", {}, 403),
        ("abc.gradio.live", "127.0.0.1", {}, 403),  # a tunnel ends on this machine
        ("127.0.0.1:7861", "127.0.0.1", {"X-Forwarded-For": "10.0.0.1"}, 403),
    ],
)
def test_a_folder_opens_only_for_who_sits_there(
    manager: FakeManager, opened: list[Path], host: str, address: str, headers: dict[str, str], status: int
) -> None:
    (manager.outputs / "run" / "images").mkdir(parents=True)
    (manager.outputs / "run" / "plan.json").write_text("{}")
    client = client_at(manager, host, address)
    answer = client.post("/optim/api/open_folder", content='{"folder": "run"}', headers={**JSON, **headers})
    assert answer.status_code == status, answer.text
    assert opened == ([manager.outputs / "run" / "images"] if status == 200 else [])
    assert client.post("/optim/api/open_folder", content='{"folder": "../x"}', headers=JSON).status_code >= 400
    assert len(opened) <= 1
