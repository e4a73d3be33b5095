"""The remote scorer against the real script in a process of its own, and against servers that misbehave."""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import json
import re
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring import remote_call
from lib_optim.scoring.base import ImageContext
from lib_optim.scoring.check import scorer_problems
from lib_optim.scoring.registry import scorer_row
from lib_optim.scoring.remote import RemoteScorer
from lib_optim.scoring.remote_call import address_of
from lib_optim.scoring.user_scorers import read_scorer
from lib_optim.scoring.worker import ScoringWorker
from tests.scoring.pictures import of_mode, scene
from tests.scoring.serving import SCRIPT, WATCHED, served
from tests.scoring.test_user_scorers import EXAMPLES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "remote-scorer.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("server") / "watched.py"
    path.write_text(WATCHED)
    with served(path) as url:
        yield url


def ready(url: str, **more: Any) -> RemoteScorer:
    scorer = RemoteScorer(url, **{"bad": 0.0, "good": 1.0, "retries": 0, **more})
    scorer.load("cpu")
    return scorer


def grey(value: int) -> Image.Image:
    return Image.new("RGB", (5, 4), (value, value, value))


# --- the script


def test_the_documented_scorer_judges_there_as_it_does_here(tmp_path: Path) -> None:
    images = [scene(40, 30 + i, seed=i) for i in range(11)]  # more than one request takes
    path = tmp_path / "judge.py"
    path.write_text(EXAMPLES[0])
    row = read_scorer(path).row
    assert row is not None
    here = row.build({}, tmp_path)
    with served(path) as url:
        there = ready(url)
        assert there.score(images, [""] * 11) == here.score(images, [""] * 11)
        assert there.score([], []) == []


def test_unloaded_it_loads_again(watched: str) -> None:
    scorer = ready(watched)
    assert scorer.score([grey(3)], [""]) == [3.0]
    scorer.unload()
    scorer.unload()
    with pytest.raises(ScorerError, match=f"at {re.escape(watched)} was asked for a score before it was loaded"):
        scorer.score([grey(3)], [""])
    scorer.load("cpu")
    assert scorer.score([grey(3)], [""]) == [3.0]


def test_images_prompts_contexts_and_options_arrive(watched: str) -> None:
    scorer = ready(watched, options={"strength": 2})
    contexts = [ImageContext("p", 100, 0), ImageContext("q", None, 1)]
    assert scorer.score([grey(7), grey(9)], ["cat", "é" * 500], contexts) == [2 * (7.003 + 100), 2 * 9.5]
    assert scorer.score([of_mode(grey(8), "I;16")], ["\x00\n😀"]) == [2 * 8.003]


def test_caution_and_scale(watched: str) -> None:
    score = lambda **more: ready(watched, options={"sigma": 2.0}, **more).score([grey(10)], [""])  # noqa: E731
    assert score() == [10.0]
    assert score(k=0.5) == [9.0]
    assert score(k=0.5, bad=20.0, good=10.0) == [(11.0 - 20) / (10 - 20)], "where lower is better, doubt is added"
    assert ready(watched, bad=None, good=None).score([grey(5)], [""]) == [0.5], "the other side says 0 to 10"
    assert ready(watched, bad=None, good=20.0).score([grey(5)], [""]) == [0.25]
    with pytest.raises(ScorerError, match=r"gives no sigma; set k to 0\."):
        ready(watched, k=1.0).score([grey(5)], [""])
    with pytest.raises(ScorerError, match="has the same score 10 for bad and good images"):
        ready(watched, bad=10.0, good=None)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("[1.0]", "Watched gave 1 scores for 2 images."),
        ("None", "Watched gave 'None', which is no list of scores."),
        ("[1.0, float('nan')]", "Watched gave nan for image 2, which is no score."),
        ("[True, 1]", "Watched gave True for image 1, which is no score."),
        ("1 / 0", "Watched failed: ZeroDivisionError: division by zero."),
    ],
)
def test_what_a_scorer_does_wrong_there_is_said_here(watched: str, answer: str, words: str) -> None:
    with pytest.raises(ScorerError) as caught:
        ready(watched, options={"answer": answer}).score([grey(1), grey(2)], ["", ""])
    assert str(caught.value) == f"The remote scorer at {watched} says: {words}"
    with pytest.raises(ScorerError, match="unexpected keyword argument 'strenght'"):
        ready(watched, options={"strenght": 1}).score([grey(1)], [""])


def test_an_answer_that_came_too_late_is_not_made_twice(watched: str) -> None:
    calls = {"answer": "[float(calls)]"}
    before = ready(watched, options=calls).score([grey(1)], [""])[0]
    late = ready(watched, options={**calls, "wait": 1.2}, timeout=1.0, retries=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remote_call, "_PAUSES", (0.05,))
        assert late.score([grey(1)], [""]) == [before + 1]
    assert ready(watched, options=calls).score([grey(1)], [""]) == [before + 2]


def test_through_the_worker_and_the_plan_check(watched: str, tmp_path: Path) -> None:
    got: list[Any] = []
    spec = ScorerSpec("remote", options={"url": watched, "options": '{"strength": 3}', "bad": 0.0, "good": 1.0})
    assert scorer_problems(spec, tmp_path) == []
    worker = ScoringWorker([spec], tmp_path, lambda *s: got.append(s), lambda *e: got.append(e), lambda text: None)
    for i in range(3):
        worker.submit(0, i, grey(i), "")
    assert worker.drain(20)
    worker.close()
    assert got == [(0, i, "remote", 3.0 * i) for i in range(3)]


def test_two_remote_judges_as_files_of_the_user(watched: str, tmp_path: Path) -> None:
    text = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[1].replace("http://192.168.1.20:7870", watched)
    (tmp_path / "far.py").write_text(text)
    file = read_scorer(tmp_path / "far.py")
    assert file.problem == ""
    assert file.row is not None
    assert file.row.title == "VQAScore, on the big machine"
    assert [option.name for option in file.row.options] == ["k"]
    scorer = file.row.build({}, tmp_path)
    scorer.load("cpu")
    assert scorer.score([grey(5)], ["a"], [ImageContext("p", 1, 0)]) == [pytest.approx((5.001 + 1) / 10)]


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "text/plain"}, b"{}", 415),
        ({"Content-Type": "application/json", "Content-Length": "999999999"}, b"", 413),
        ({"Content-Type": "application/json"}, b"nonsense", 400),
        ({"Content-Type": "application/json"}, b"[" * 100_000, 400),
        ({"Content-Type": "application/json"}, b"[]", 400),
        ({"Content-Type": "application/json"}, b'{"version": 2}', 400),
        ({"Content-Type": "application/json"}, b'{"version": 1, "id": 7, "images": []}', 400),
        ({"Content-Type": "application/json"}, b'{"version": 1, "id": "a", "images": [1]}', 400),
        ({"Content-Type": "application/json"}, b'{"version": 1, "id": "b", "images": [{"png": "?"}]}', 400),
        ({"Content-Type": "application/json"}, b'{"version": 1, "id": "c", "images": [{"png": "AAAA"}]}', 400),
        ({"Content-Type": "application/json"}, b'{"version": 1, "id": "d", "images": [' + b"{}, " * 8 + b"{}]}", 413),
    ],
)  # fmt: skip
def test_the_script_refuses_what_the_contract_does_not_allow(
    watched: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    address = address_of(watched)
    connection = http.client.HTTPConnection(address.host, address.port, timeout=10)
    connection.request("POST", "/score", body, headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    assert (response.status, answer["version"]) == (status, 1)
    assert answer["error"]
    assert ready(watched).score([grey(3)], [""]) == [3.0], "it goes on"


def test_the_script_opens_no_other_format(watched: str) -> None:
    written = io.BytesIO()
    grey(1).save(written, "BMP")
    question = {"version": 1, "id": "x", "images": [{"png": base64.b64encode(written.getvalue()).decode()}]}
    with pytest.raises(ScorerError, match="image 1 is no PNG in base64"):
        remote_call.call(address_of(watched), "POST", "/score", json.dumps(question).encode())


def test_a_scorer_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "none.py").write_text("x = 1\n")
    done = subprocess.run(
        [sys.executable, "-I", SCRIPT, tmp_path / "none.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "none.py needs a function score(images, prompts), or one class with that method." in done.stderr


# --- servers that misbehave


class Odd(socketserver.ThreadingTCPServer):
    """Answers each connection with what a function says of the request's bytes; None: nothing at all."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, answer: Callable[[bytes], Any]) -> None:
        self.answer, self.requests = answer, []
        super().__init__(("127.0.0.1", 0), _Odd)


class _Odd(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += self.request.recv(65536)
        head, _, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        while length and len(body) < int(length[1]):
            body += self.request.recv(65536)
        self.server.requests.append((head.split(b"\r\n")[0].decode(), body))
        answer = self.server.answer(body)
        with contextlib.suppress(OSError):
            for part in [answer] if isinstance(answer, bytes) else answer or ():
                self.request.sendall(part)


@contextlib.contextmanager
def odd(answer: Callable[[bytes], Any]) -> Iterator[tuple[str, Odd]]:
    server = Odd(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/judge", server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ok(data: Any, status: str = "200 OK", extra: str = "") -> bytes:
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n{extra}\r\n".encode() + text


def answering(answer: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], Any]:
    """Greets well, and answers questions as told."""
    return lambda body: answer(json.loads(body)) if b"images" in body else ok({"version": 1})


def scores(question: dict[str, Any], values: Any, **more: Any) -> bytes:
    return ok({"version": 1, "id": question["id"], "scores": values, **more})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda q: scores(q, [1.0]), "gave 1 scores for 2 images (image 1)."),
        (lambda q: scores(q, [1.0, 2.0, 3.0]), "gave 3 scores for 2 images"),
        (lambda q: scores(q, None), "gave no scores for 2 images"),
        (lambda q: scores(q, {"0": 1, "1": 2}), "gave no scores for 2 images"),
        (lambda q: scores(q, [1.0, float("nan")]), "gave NaN for image 2, which is no score."),
        (lambda q: scores(q, [float("inf"), 1]), "gave Infinity for image 1, which is no score."),
        (lambda q: scores(q, [1, "7"]), 'gave "7" for image 2, which is no score.'),
        (lambda q: scores(q, [True, 1]), "gave true for image 1, which is no score."),
        (lambda q: scores(q, [None, 1]), "gave null for image 1, which is no score."),
        (lambda q: scores({"id": "other"}, [1, 2]), "answered another question than it was asked."),
        (lambda q: ok({"version": 2, "scores": [1, 2]}), "speaks version 2 of the contract and Optim 1; use its"),
        (lambda q: ok({"version": 1, "error": "no\n  GPU."}, "500 Oops"), "says: no GPU."),
        (lambda q: ok({"error": "secret"}, "500 Oops"), "answered with the status 500; check the address."),
        (lambda q: ok({"secret": 1}), "is no remote scorer of Optim; check the address."),
        (lambda q: ok(b"<html>secret</html>"), "is no remote scorer of Optim; check the address."),
        (lambda q: ok(b"[" * 100_000), "is no remote scorer of Optim; check the address."),
        (lambda q: ok(b"\xff\xfe\x00"), "is no remote scorer of Optim; check the address."),
        (lambda q: ok(b"", "204 No Content"), "answered with the status 204; check the address."),
        (lambda q: ok(b" " * (2 << 20)), "answers with more than 1,048,576 bytes; refused."),
        (lambda q: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n" + b" " * 65538, "broke off"),
        (lambda q: b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "broke off"),
        (lambda q: b"secret nonsense\r\n\r\n", "broke off (BadStatusLine)."),
        (lambda q: b"", "broke off"),
        (lambda q: b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "broke off"),
        (lambda q: ok(b"busy", "503 Busy"), "is busy or not there (it answered 503)."),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_has_its_sentence(answer: Callable[[dict[str, Any]], Any], words: str) -> None:
    with odd(answering(answer)) as (url, _):
        scorer = ready(url)
        with pytest.raises(ScorerError) as caught:
            scorer.score([grey(1), grey(2)], ["", ""])
    text = str(caught.value)
    assert words in text, text
    assert "secret" not in text
    assert "\n" not in text
    assert text.endswith(".")


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Same", "308 Same"])
def test_redirects_are_not_followed(status: str) -> None:
    with odd(lambda body: ok({"version": 1})) as (elsewhere, other):
        extra = f"Location: {elsewhere}\r\n"
        with odd(answering(lambda q: ok(b"", status, extra))) as (url, _):
            scorer = ready(url, retries=2)
            with pytest.raises(ScorerError, match=rf"sends on to {re.escape(elsewhere)}, which is not followed"):
                scorer.score([grey(1)], [""])
        with odd(lambda body: ok(b"", status, extra)) as (url, _), pytest.raises(ScorerError, match="not followed"):
            ready(url)
        assert other.requests == []


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch, watched: str) -> None:
    with odd(lambda body: ok({"version": 1})) as (proxy, server):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        assert ready(watched).score([grey(1)], [""]) == [1.0]
        assert server.requests == []


def slowly(parts: Iterator[bytes]) -> Iterator[bytes]:
    for part in parts:
        yield part
        time.sleep(0.1)


@pytest.mark.parametrize(
    "answer",
    [
        lambda q: slowly(iter([b""] * 40)),
        lambda q: slowly(bytes([byte]) for byte in ok({"version": 1}, extra="X: " + "y" * 100 + "\r\n")),
        lambda q: slowly(iter([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", *[b" "] * 60])),
        lambda q: slowly(iter([b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", *[b" "] * 60])),
    ],
    ids=["silent", "dripping head", "dripping body", "dripping without length"],
)
def test_a_slow_answer_ends_at_the_deadline(answer: Callable[[Any], Any]) -> None:
    with odd(answering(answer)) as (url, _):
        scorer = ready(url)
        scorer._timeout = 0.5
        start = time.monotonic()
        with pytest.raises(ScorerError, match=r"gave no answer (within 0\.5 seconds|in time)\."):
            scorer.score([grey(1)], [""])
        assert time.monotonic() - start < 3


def test_a_busy_server_is_asked_again_with_the_same_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_call, "_PAUSES", (0.01,))
    asked: list[str] = []

    def answer(question: dict[str, Any]) -> bytes:
        asked.append(question["id"])
        return [ok(b"", "503 Busy"), b"", scores(question, [4.0])][min(len(asked), 3) - 1]

    with odd(answering(answer)) as (url, _):
        said: list[str] = []
        scorer = RemoteScorer(url, retries=2)
        scorer.load("cpu", said.append)
        assert scorer.score([grey(1)], [""]) == [4.0]
        assert len(asked) == 3
        assert len(set(asked)) == 1
        scorer.score([grey(1)], [""])
        assert len(set(asked)) == 2, "another question has another id"
        assert sum("again" in sentence for sentence in said) == 2
    with pytest.raises(ScorerError, match=r"does not answer; start it, or check the address \(3 attempts\)\."):
        scorer.score([grey(1)], [""])


def test_the_user_need_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_call, "_SAY_EVERY", 0.1)

    def closed(sentence: str) -> None:
        if "Waiting" in sentence:
            raise ScorerError("The run was closed.")

    with odd(answering(lambda q: slowly(iter([b""] * 50)))) as (url, _):
        scorer = RemoteScorer(url, timeout=60)
        scorer.load("cpu", closed)
        start = time.monotonic()
        with pytest.raises(ScorerError, match=r"The run was closed\."):
            scorer.score([grey(1)], [""])
        assert time.monotonic() - start < 4


def test_images_are_split_by_the_other_side_s_limits() -> None:
    sizes: list[int] = []

    def answer(question: dict[str, Any]) -> bytes:
        sizes.append(len(question["images"]))
        return scores(question, [float(len(i["prompt"])) for i in question["images"]])

    def limited(**limits: Any) -> Callable[[bytes], Any]:
        return lambda body: answer(json.loads(body)) if b"images" in body else ok({"version": 1, **limits})

    prompts = ["a" * i for i in range(20)]
    for limits, expected in (
        ({}, [8, 8, 4]),
        ({"max_images": 3}, [3] * 6 + [2]),
        ({"max_images": 10_000, "max_bytes": "x"}, [8, 8, 4]),
        ({"max_images": True}, [8, 8, 4]),
        ({"max_bytes": 4096 + 500}, [2] * 10),
    ):
        sizes.clear()
        with odd(limited(**limits)) as (url, server):
            assert ready(url).score([grey(1)] * 20, prompts) == [float(i) for i in range(20)]
            assert sizes == expected
            if expected == [2] * 10:
                assert all(len(body) <= limits["max_bytes"] for _, body in server.requests)
    with (
        odd(limited(max_bytes=5000)) as (url, _),
        pytest.raises(ScorerError, match="image 1 makes a request of "),
    ):
        ready(url).score([scene(128)], [""])


def test_unload_is_asked_for_and_harms_nothing() -> None:
    with odd(lambda body: ok({"version": 1})) as (url, server):
        ready(url).unload()
        assert [line for line, _ in server.requests] == ["GET /judge/ HTTP/1.1", "POST /judge/unload HTTP/1.1"]
        gone = ready(url)
    gone.unload()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "is not set"),
        ({"url": "7870"}, "'7870' is not the address of a remote scorer"),
        ({"url": "ftp://a/b"}, "is not the address"),
        ({"url": "file:///etc/passwd"}, "is not the address"),
        ({"url": "http://"}, "is not the address"),
        ({"url": "http://a:b@c"}, "has a user, a '?' or a '#'"),
        ({"url": "http://a?x=1"}, "has a user, a '?' or a '#'"),
        ({"url": "http://a:99999"}, "can't be read"),
        ({"url": "http://a/b c"}, "has characters that an address cannot have"),
        ({"url": "http://[::1"}, "can't be read"),
        ({"url": "http://a", "options": "strength"}, 'must be JSON such as {"strength": 2}, not strength.'),
        ({"url": "http://a", "options": "[1]"}, "must be JSON"),
        ({"url": "http://a", "k": -1.0}, "must not be below 0"),
        ({"url": "http://a", "timeout": 0.1}, "must lie between 1 and 3600 s"),
        ({"url": "http://a", "retries": 1.5}, "a whole number from 0 to 10"),
        ({"url": "http://a", "bad": 1.0, "good": 1.0}, "the same score 1; they must differ"),
        ({"url": "http://a", "bad": "x"}, "must be a number"),
    ],
)
def test_options_that_make_no_sense_are_told_before_the_run(
    options: dict[str, Any], words: str, tmp_path: Path
) -> None:
    (problem,) = scorer_problems(ScorerSpec("remote", options=options), tmp_path)
    assert words in problem.sentence
    if options.get("bad") != "x":
        with pytest.raises(ScorerError):
            scorer_row("remote").build(options, tmp_path)


def test_addresses() -> None:
    for url, written in (
        ("http://127.0.0.1:7870", "http://127.0.0.1:7870"),
        (" HTTPS://Host/judge/ ", "https://host:443/judge"),
        ("http://[::1]:80/", "http://[::1]:80"),
    ):
        assert str(address_of(url)) == written


def test_a_name_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", nobody)
    with pytest.raises(ScorerError, match="at http://no-such-host:1 can't be found; check the name in its address"):
        ready("http://no-such-host:1")
