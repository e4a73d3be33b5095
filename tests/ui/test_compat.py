"""The tab in the Gradio of this environment: that it builds, is quick, asks for the login, and is served."""

from __future__ import annotations

import http.client
import inspect
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest

from lib_optim.plan.errors import HostError
from lib_optim.ui.compat import GRADIO_4, js_arg
from lib_optim.ui.routes import mount
from lib_optim.ui.standalone import open_page
from lib_optim.ui.tab import build_tab, frame_html
from tests.ui.fake import FakeManager

pytestmark = pytest.mark.ui

ROOT = Path(__file__).resolve().parents[2]


def test_the_version_is_told_apart_by_what_events_take() -> None:
    parameters = inspect.signature(gr.Button.click).parameters if GRADIO_4 else {}
    with gr.Blocks() as blocks:
        blocks.load(None, None, None, **js_arg("() => {}"))
    assert (gr.__version__ >= "4") == GRADIO_4
    assert not GRADIO_4 or "js" in parameters


def test_the_tab_is_a_frame_that_a_webui_can_render(manager: FakeManager) -> None:
    tab = build_tab(manager)  # type: ignore[arg-type]
    with gr.Blocks() as page, gr.Tabs(), gr.TabItem("Optim", id="optim", elem_id="tab_optim"):
        tab.render()
    config = json.dumps(page.get_config_file())
    assert config.count("optim-loading") == 1
    assert frame_html('<b>&"').count("<b>") == 0


def test_registering_the_tab_is_quick_and_imports_nothing_heavy() -> None:
    code = """
import sys, time
import gradio, fastapi, yaml
known = set(sys.modules)
begin = time.process_time()  # of this process alone: other tests run beside it
import lib_optim
from lib_optim.ui.routes import mount
from lib_optim.ui.tab import build_tab
class Host: title = "host"
class Manager: host = Host()
build_tab(Manager())
mount(fastapi.FastAPI(), Manager())
seconds = time.process_time() - begin
new = {name.split(".")[0] for name in set(sys.modules) - known}
print(seconds, *(new & {"torch", "sd_mecha", "optuna", "diffusers", "transformers", "scipy", "numpy", "open_clip"}))
"""
    seconds, *heavy = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()[-99:]
    assert heavy == []
    assert float(seconds) < 0.5


def fetch(url: str, headers: dict[str, str] | None = None) -> tuple[int, str, bytes]:
    """Return status, content type and body."""
    answer = httpx.get(url, headers=headers)
    return answer.status_code, answer.headers.get("content-type", ""), answer.content


@pytest.fixture
def guarded(manager: FakeManager, port: int) -> Iterator[tuple[Any, str]]:
    """An app with a login, and where it is."""
    tab = build_tab(manager)  # type: ignore[arg-type]
    app, url, _ = tab.launch(
        server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True, show_api=False,
        inbrowser=False, auth=("ann", "secret"),
    )  # fmt: skip
    mount(app, manager)  # type: ignore[arg-type]
    yield app, url
    tab.close(verbose=False)


def cookies_of(url: str) -> str:
    """Log in. Written by hand: some cookies are marked Secure, which a client sends over https only."""
    login = httpx.post(f"{url}login", data={"username": "ann", "password": "secret"})
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in login.cookies.jar)


def our_routes(app: Any) -> list[tuple[str, str]]:
    """Method and path of every route that is ours, with something in the place of its parameters."""
    return [
        (method, re.sub(r"{\w+}", "x", route.path).removeprefix("/"))
        for route in app.routes
        if str(getattr(route, "path", "")).startswith("/optim")
        for method in sorted(route.methods - {"HEAD", "OPTIONS"})
    ]


def test_no_route_of_ours_answers_without_the_login(guarded: tuple[Any, str]) -> None:
    app, url = guarded
    routes = our_routes(app)
    assert len(routes) > 30
    for method, path in routes:
        answer = httpx.request(method, url + path, json={} if method == "POST" else None)
        assert (answer.status_code, "log in" in answer.text) == (401, True), (method, path)


def test_no_post_of_ours_is_taken_from_another_page_or_as_a_form(guarded: tuple[Any, str]) -> None:
    app, url = guarded
    cookie = {"cookie": cookies_of(url)}
    posts = [path for method, path in our_routes(app) if method == "POST"]
    assert len(posts) > 20
    for path in posts:
        for foreign in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
            answer = httpx.post(url + path, json={}, headers={**cookie, **foreign})
            assert answer.status_code == 403, (path, foreign)
        as_form = httpx.post(url + path, content="a=1", headers={**cookie, "content-type": "text/plain"})
        assert as_form.status_code == 415, path


def test_nothing_is_changed_by_a_get(guarded: tuple[Any, str]) -> None:
    """A picture in a foreign page may ask for any address: what changes something answers to POST alone."""
    app, url = guarded
    cookie = {"cookie": cookies_of(url)}
    both = {path for method, path in our_routes(app) if method == "GET"}
    for method, path in our_routes(app):
        if method == "POST" and path not in both:
            assert httpx.get(url + path, headers=cookie).status_code in (404, 405), path


def test_routes_ask_for_the_webuis_login(guarded: tuple[Any, str]) -> None:
    _, locked = guarded
    status, _, body = fetch(f"{locked}optim/api/snapshot")
    assert status == 401
    assert "log in" in json.loads(body)["error"]
    cookies = cookies_of(locked)
    status, _, body = fetch(f"{locked}optim/api/snapshot", {"cookie": cookies})
    assert (status, json.loads(body)["version"]) == (200, 1)
    assert fetch(f"{locked}optim/image/a/b.png", {"cookie": "access-token=guess"})[0] == 401


def test_the_page_of_its_own_serves_scripts_style_and_routes(manager: FakeManager, port: int) -> None:
    page, url = open_page(manager, port)  # type: ignore[arg-type]
    try:
        assert url.rstrip("/") == f"http://127.0.0.1:{port}"
        status, kind, _ = fetch(f"{url}optim/assets/optim_90_main.js")
        assert (status, kind.split(";")[0]) == (200, "text/javascript")
        assert b".optim-root" in fetch(f"{url}optim/assets/style.css")[2]
        assert json.loads(fetch(f"{url}optim/api/snapshot")[2])["state"] == "idle"
        for name in ("nothing.js", "..%2fpyproject.toml", "pyproject.toml"):
            assert fetch(f"{url}optim/assets/{name}")[0] == 404
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/optim/api/setup", headers={"Host": "rebound.example"})
        assert connection.getresponse().status == 403
        connection.close()
    finally:
        page.close(verbose=False)


def test_a_taken_port_is_one_clear_sentence(manager: FakeManager, port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(HostError, match=f"Port {port} is taken.*--port {port + 1}"):
            open_page(manager, port)  # type: ignore[arg-type]


def test_styles_and_scripts_stay_in_our_own_corner() -> None:
    css = (ROOT / "style.css").read_text()
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    for selectors in re.findall(r"(?:^|[{}])\s*([^{}@;]+?)\s*\{", css):
        for selector in re.sub(r"\([^()]*\)", "()", selectors).split(","):
            assert re.match(r"(\.dark )?\.optim-root\b", selector.strip()), selector
    for path in sorted((ROOT / "javascript").glob("*.js")):
        text = path.read_text()
        assert re.search(r"^\(\(\) => \{\n  'use strict';", text, re.MULTILINE), path.name
        assert "innerHTML" not in text, path.name
        assert "outerHTML" not in text, path.name
        assert set(re.findall(r"window\.(\w+) = ", text)) <= {"optimTab"}
