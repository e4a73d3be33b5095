"""Earlier runs renamed, put away, exported and imported through the routes."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from lib_optim.run.folder import RunFolder
from lib_optim.ui.runs_api import PIECE
from tests.run.test_archive import packed, run  # noqa: F401 (a fixture)
from tests.ui.fake import FakeManager

pytestmark = pytest.mark.ui


@pytest.fixture
def outputs(manager: FakeManager) -> Path:
    return manager.host.paths().outputs


def send(client: TestClient, data: bytes, size: int = 700, upload: str = "upload-1") -> Any:
    for at in range(0, len(data), size):
        piece = base64.b64encode(data[at : at + size]).decode()
        answer = client.post("/optim/api/run_import", json={"upload": upload, "offset": at, "data": piece})
        assert answer.status_code == 200, answer.text
        # the same piece again, because its answer was lost
        again = client.post("/optim/api/run_import", json={"upload": upload, "offset": at, "data": piece})
        assert again.json() == answer.json()
    return client.post("/optim/api/run_import_end", json={"upload": upload})


def test_a_run_goes_out_as_a_zip_file_and_comes_in_again(client: TestClient, run: RunFolder, outputs: Path) -> None:
    answer = client.get(f"/optim/api/run_export/{run.name}")
    assert answer.headers["content-disposition"] == f'attachment; filename="{run.name}.zip"'
    names = set(zipfile.ZipFile(io.BytesIO(answer.content)).namelist())
    assert f"{run.name}/images/0001-00-p.png" in names
    assert not any("log" in name for name in names)
    without = client.get(f"/optim/api/run_export/{run.name}?images=0").content
    assert not any("images" in name for name in zipfile.ZipFile(io.BytesIO(without)).namelist())
    assert send(client, answer.content).json() == {"folder": f"{run.name}-2"}
    assert {path.name for path in outputs.iterdir()} == {run.name, f"{run.name}-2"}  # no upload is left
    assert client.get("/optim/api/run_export/nothing").status_code == 400


def test_an_upload_that_is_no_run_is_refused_and_gone(client: TestClient, run: RunFolder, outputs: Path) -> None:
    refused = send(client, b"no zip" * 300)
    assert refused.status_code == 409
    assert "no zip file" in refused.json()["error"]
    assert [path.name for path in outputs.iterdir()] == [run.name]
    assert client.post("/optim/api/run_import_end", json={"upload": "upload-1"}).status_code == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"upload": "../evil-one", "offset": 0, "data": ""}, 400),
        ({"upload": "upload-2", "offset": "0", "data": ""}, 400),
        ({"upload": "upload-2", "offset": 5, "data": ""}, 409),
        ({"upload": "upload-2", "offset": 0, "data": "ö"}, 400),
        ({"upload": "upload-2", "offset": 0, "data": "A" * (PIECE * 2)}, 413),
    ],
)
def test_pieces_that_do_not_fit_are_refused(client: TestClient, body: dict[str, Any], status: int) -> None:
    assert client.post("/optim/api/run_import", json=body).status_code == status


def test_a_run_is_renamed_and_put_away(client: TestClient, run: RunFolder, outputs: Path) -> None:
    named = client.post("/optim/api/run_rename", json={"folder": run.name, "name": "other"}).json()["folder"]
    assert named.endswith("-other")
    where = Path(client.post("/optim/api/run_trash", json={"folder": named}).json()["trash"])
    assert where.is_dir()
    assert client.get("/optim/api/runs").json()["runs"] == []
    for command in ("run_trash", "run_rename"):
        assert client.post(f"/optim/api/{command}", json={"folder": "../models", "name": "x"}).status_code == 400


def test_the_log_of_a_run(client: TestClient, run: RunFolder) -> None:
    run.log.unlink(missing_ok=True)
    assert client.get(f"/optim/api/run_log/{run.name}").json() == {"entries": []}
    run.log.write_text("2026-01-31 12:00:00,1 INFO lib_optim.run: Hello\n", encoding="utf-8")
    [entry] = client.get(f"/optim/api/run_log/{run.name}").json()["entries"]
    assert entry == {
        "time": "2026-01-31 12:00:00", "level": "INFO", "source": "lib_optim.run", "text": "Hello", "more": "",
    }  # fmt: skip
    assert client.get("/optim/api/run_log/..%2F..").status_code in (400, 404)
    assert client.get("/optim/api/run_log/no-such").status_code == 400
