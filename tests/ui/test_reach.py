"""Who may ask: names, logins, the API's credentials, and the warning where everybody may."""

from __future__ import annotations

import base64
import logging
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from lib_optim.ui.reach import LocalNames, knows, reach_of
from lib_optim.ui.routes import mount
from lib_optim.ui.tab import build_tab, frame_html
from tests.ui.fake import FakeManager
from tests.ui.test_compat import our_routes

pytestmark = pytest.mark.ui

OURS = ("127.0.0.1", "localhost", "[::1]", "192.168.1.20", "my-pc", "my-pc.local", "sd.localhost", "LOCALHOST")
STRANGERS = ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "1.2.3", "0x7f000001.x", "a.b")


def test_nobody_can_give_a_stranger_s_name_our_address() -> None:
    names = LocalNames(("sd.home.example",))
    for name in (*(name.strip("[]") for name in OURS), "sd.home.example"):
        assert name in names, name
    for name in (*STRANGERS, "", "home.example", "x.sd.home.example"):
        assert name not in names, name


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_every_route_refuses_a_rebound_name(scheme: str, manager: FakeManager) -> None:
    """Origin and Host agree then, as the stranger's page has our address."""
    app = FastAPI()
    mount(app, manager, reach_of(SimpleNamespace()).hosts)  # type: ignore[arg-type]
    with TestClient(app) as client:
        routes = our_routes(app)
        assert len(routes) > 30
        for method, path in routes:
            for name in ("evil.example", "localhost.evil.example:7860"):
                headers = {"host": name, "origin": f"{scheme}://{name}", "sec-fetch-site": "same-origin"}
                answer = client.request(method, f"/{path}", json={} if method == "POST" else None, headers=headers)
                assert (answer.status_code, "answers to" in answer.text) == (403, True), (method, path)
        for name in OURS:
            assert client.get("/optim/api/snapshot", headers={"host": f"{name}:7860"}).status_code == 200, name


def test_names_of_a_proxy_are_the_user_s_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIM_HOSTS", "SD.example , other.example")
    hosts = reach_of(SimpleNamespace()).hosts
    assert hosts is not None
    assert "sd.example" in hosts
    assert "evil.example" not in hosts


EXPOSED: dict[str, dict[str, Any]] = {
    "--listen": {"listen": True}, "--share": {"share": True}, "--ngrok": {"ngrok": "token"},
    "--server-name": {"server_name": "0.0.0.0"},
}  # fmt: skip


@pytest.mark.parametrize("option", EXPOSED)
def test_whoever_opens_the_webui_without_a_login_is_warned(option: str) -> None:
    found = reach_of(SimpleNamespace(**EXPOSED[option]))
    assert option in found.warning
    assert "--gradio-auth" in found.warning
    assert found.hosts is None  # tunnels and networks have names of their own
    # The credentials of the API are asked for by the API alone: the tab is as open as without.
    assert reach_of(SimpleNamespace(**EXPOSED[option], api_auth="a:b")).warning
    for login in ({"gradio_auth": "a:b"}, {"gradio_auth_path": "file"}):
        assert reach_of(SimpleNamespace(**EXPOSED[option], **login)).warning == ""


def test_nobody_else_is_warned() -> None:
    for options in (None, SimpleNamespace(), SimpleNamespace(listen=False, share=None, server_name="127.0.0.1")):
        assert reach_of(options).warning == ""


def test_the_warning_stands_in_the_tab_and_is_text(manager: FakeManager) -> None:
    html = frame_html("x", "<b>Careful</b>")
    assert "&lt;b&gt;Careful" in html
    assert html.index("Careful") < html.index('id="optim_root"')
    blocks = build_tab(manager, "Careful.")  # type: ignore[arg-type]
    assert any("Careful." in str(getattr(block, "value", "")) for block in blocks.blocks.values())
    assert "optim-exposed" not in frame_html("x")


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_the_api_s_credentials_open_the_routes_beside_the_login(manager: FakeManager, port: int) -> None:
    credentials = reach_of(SimpleNamespace(gradio_auth="ann:x", api_auth="bot:se:cret, two:2")).credentials
    assert credentials == {"bot": "se:cret", "two": "2"}
    tab = build_tab(manager)  # type: ignore[arg-type]
    app, url, _ = tab.launch(
        server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True, show_api=False,
        inbrowser=False, auth=("ann", "secret"),
    )  # fmt: skip
    try:
        mount(app, manager, None, credentials)  # type: ignore[arg-type]
        for user, password, status in (("bot", "se:cret", 200), ("two", "2", 200), ("bot", "2", 401), ("x", "", 401)):
            headers = {"authorization": basic(user, password)}
            assert httpx.get(f"{url}optim/api/snapshot", headers=headers).status_code == status, user
        headers = {"authorization": basic("bot", "se:cret"), "origin": "http://evil.example"}
        assert httpx.post(f"{url}optim/api/command", json={"command": "stop"}, headers=headers).status_code == 403
    finally:
        tab.close(verbose=False)


def test_what_is_no_credential_opens_nothing() -> None:
    for header in ("", "Basic", "Basic !!!", "Bearer x", basic("a", "c"), basic("a", ""), "Basic " + "A" * 10_000):
        assert not knows({"a": "b"}, header)
    assert not knows({}, basic("", ""))
    assert knows({"a": "b"}, basic("a", "b"))


def test_the_program_of_its_own_listens_to_this_machine_alone(
    manager: FakeManager, port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It has no --listen and no --share, so it has nothing to warn of; Gradio's own variables change nothing."""
    from lib_optim.ui.standalone import open_page

    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    monkeypatch.setenv("GRADIO_SHARE", "True")
    with caplog.at_level(logging.WARNING):
        page, url = open_page(manager, port)  # type: ignore[arg-type]
    try:
        assert url.startswith("http://127.0.0.1:")
        assert page.share_url is None
        assert page.server_name == "127.0.0.1"
    finally:
        page.close(verbose=False)
