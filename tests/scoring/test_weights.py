"""Downloads, against a server on the loopback interface."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.base import WeightFile
from lib_optim.scoring.weights import find, missing_sentence, obtain, weights_folder

CONTENT = bytes(range(256)) * 20_000  # 5 MB
SHA = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    requests: ClassVar[list[tuple[str, str | None]]] = []
    cut: ClassVar[int] = 0

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.requests.append((self.path, wanted))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("X-Linked-ETag", f'"{SHA}"')
            self.send_header("Location", "/plain")
            self.end_headers()
            return
        if self.path == "/gone":
            self.send_error(404)
            return
        start = int(wanted.split("=")[1].rstrip("-")) if wanted and self.path != "/norange" else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        if self.path == "/announced":
            self.send_header("X-Linked-ETag", f'"{SHA}"')
        self.end_headers()
        body = CONTENT[start:] if self.path != "/evil" else b"\0" * (len(CONTENT) - start)
        if type(self).cut:
            body, type(self).cut = body[: type(self).cut], 0
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Print nothing."""


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet: clients that hang up are what some tests are about."""


@pytest.fixture
def server() -> Iterator[str]:
    Handler.requests.clear()
    Handler.cut = 0
    served = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=served.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{served.server_address[1]}"
    served.shutdown()
    served.server_close()
    thread.join()


def row(url: str, sha256: str = SHA, size: int = len(CONTENT)) -> WeightFile:
    return WeightFile("model.pt", url, size, sha256, ("model.safetensors",))


def test_download_is_whole_checked_and_told(server: str, tmp_path: Path) -> None:
    told: list[str] = []
    path = obtain("Scorer", row(f"{server}/plain"), tmp_path / "new" / "folder", True, told.append)
    assert path == tmp_path / "new" / "folder" / "model.pt"
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["model.pt"]
    assert told
    assert "downloading model.pt" in told[0]
    assert obtain("Scorer", row(f"{server}/plain"), path.parent, True) == path
    assert len(Handler.requests) == 1  # what is there is not asked for again


def test_the_network_is_not_touched_without_leave(server: str, tmp_path: Path) -> None:
    with pytest.raises(ScorerError) as caught:
        obtain("Scorer", row(f"{server}/plain"), tmp_path, False)
    assert Handler.requests == []
    for part in ("Scorer", "model.pt", "(5 MB)", f"{server}/plain", str(tmp_path)):
        assert part in str(caught.value)


def test_another_name_serves(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x")
    assert obtain("Scorer", row("http://127.0.0.1:9/"), tmp_path, False) == tmp_path / "model.safetensors"
    (tmp_path / "model.pt").write_bytes(b"x")
    assert find(row(""), tmp_path) == tmp_path / "model.pt"


def test_a_broken_download_goes_on_where_it_stopped(server: str, tmp_path: Path) -> None:
    Handler.cut = 2_000_000
    with pytest.raises(ScorerError, match="goes on"):
        obtain("Scorer", row(f"{server}/plain"), tmp_path, True)
    assert find(row(""), tmp_path) is None
    part = tmp_path / "model.pt.part"
    assert 0 < part.stat().st_size <= 2_000_000
    kept = part.stat().st_size
    assert obtain("Scorer", row(f"{server}/plain"), tmp_path, True).read_bytes() == CONTENT
    assert Handler.requests[-1] == ("/plain", f"bytes={kept}-")


def test_a_server_that_cannot_resume_starts_anew(server: str, tmp_path: Path) -> None:
    (tmp_path / "model.pt.part").write_bytes(b"old")
    assert obtain("Scorer", row(f"{server}/norange"), tmp_path, True).read_bytes() == CONTENT


def test_a_part_that_is_too_long_is_thrown_away(server: str, tmp_path: Path) -> None:
    (tmp_path / "model.pt.part").write_bytes(CONTENT + b"more")
    assert obtain("Scorer", row(f"{server}/plain"), tmp_path, True).read_bytes() == CONTENT


def test_a_wrong_hash_leaves_nothing(server: str, tmp_path: Path) -> None:
    with pytest.raises(ScorerError, match="wrong SHA-256"):
        obtain("Scorer", row(f"{server}/evil"), tmp_path, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1, 10])
def test_a_wrong_size_is_refused_before_it_is_loaded(server: str, tmp_path: Path, size: int) -> None:
    with pytest.raises(ScorerError, match="bytes, not the"):
        obtain("Scorer", row(f"{server}/plain", size=size), tmp_path, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["/announced", "/moved"])
def test_without_a_known_hash_the_announced_one_counts(server: str, tmp_path: Path, path: str) -> None:
    file = row(f"{server}{path}", sha256="", size=4_000_000)  # about right is enough
    assert obtain("Scorer", file, tmp_path, True).read_bytes() == CONTENT


def test_without_any_hash_nothing_is_downloaded(server: str, tmp_path: Path) -> None:
    with pytest.raises(ScorerError, match="announces no SHA-256"):
        obtain("Scorer", row(f"{server}/plain", sha256=""), tmp_path, True)
    assert list(tmp_path.iterdir()) == []


def test_much_more_than_expected_is_refused(server: str, tmp_path: Path) -> None:
    with pytest.raises(ScorerError, match="bytes, not the 1,000,000"):
        obtain("Scorer", row(f"{server}/announced", sha256="", size=1_000_000), tmp_path, True)


def test_disk_full(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil
    from types import SimpleNamespace

    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    with pytest.raises(ScorerError, match="needs 5 MB on the disk"):
        obtain("Scorer", row(f"{server}/plain"), tmp_path, True)


def test_server_errors_and_no_server(server: str, tmp_path: Path) -> None:
    with pytest.raises(ScorerError, match=r"404.*put model\.pt into"):
        obtain("Scorer", row(f"{server}/gone"), tmp_path, True)
    with pytest.raises(ScorerError, match=r"failed because .*refused"):
        obtain("Scorer", row("http://127.0.0.1:9/x"), tmp_path, True)
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(ScorerError, match="failed because"):
        obtain("Scorer", row(f"{server}/plain"), blocked, True)


def test_progress_can_end_the_download_and_it_can_go_on(server: str, tmp_path: Path) -> None:
    def stop(sentence: str) -> None:
        raise ScorerError("enough")

    with pytest.raises(ScorerError, match="enough"):
        obtain("Scorer", row(f"{server}/plain"), tmp_path, True, stop)
    assert (tmp_path / "model.pt.part").stat().st_size > 0
    assert obtain("Scorer", row(f"{server}/plain"), tmp_path, True).read_bytes() == CONTENT


def test_folder_of_a_scorer(tmp_path: Path) -> None:
    assert weights_folder("x", {}, tmp_path) == tmp_path / "x"
    assert weights_folder("x", {"folder": ""}, tmp_path) == tmp_path / "x"
    assert weights_folder("x", {"folder": "/elsewhere"}, tmp_path) == Path("/elsewhere")
    assert "MB" not in missing_sentence("Scorer", WeightFile("v.txt", "u", 1000, ""), tmp_path)
