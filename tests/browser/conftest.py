"""A headless Chromium, and pages that fail their test on any error in the console."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright  # noqa: E402

from lib_optim.ui.standalone import open_page  # noqa: E402
from tests.ui.fake import FakeManager  # noqa: E402

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_SWITCHES = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


_MAY_REFUSE = (
    "/calibrate_sample", "/payload", "/payload_picture", "/payload_read", "/run_import_end", "/queue_add",
    "/plan_read", "/preset_save", "/queue_command", "/settings",
    "/api/picture",
)  # fmt: skip
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if path is None and not os.environ.get("OPTIM_REQUIRE_BROWSER"):
        pytest.skip("no Chromium on the PATH")
    assert path is not None, "OPTIM_REQUIRE_BROWSER is set, and there is no Chromium on the PATH"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, headless=True, args=list(_SWITCHES))
        yield launched
        launched.close()


class NewPage:
    """Opens addresses in fresh profiles, and keeps what the console complains about."""

    def __init__(self, browser: Browser) -> None:
        self.complaints: list[str] = []
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._cleanups: list[Callable[[], object]] = []

    def __call__(self, url: str, width: int = 1280, height: int = 900, state: Any = "visible") -> Page:
        context = self._browser.new_context(viewport={"width": width, "height": height})
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(url)
        page.wait_for_selector("#optim_generate", state=state)
        return page

    def afterwards(self, cleanup: Callable[[], object]) -> None:
        """Run `cleanup` once every page is closed: a server must not go before its pages."""
        self._cleanups.append(cleanup)

    def close(self) -> None:
        for context in self._contexts:
            context.close()
        for cleanup in self._cleanups:
            cleanup()

    def _hear(self, message: ConsoleMessage) -> None:
        # What Gradio asks of the internet (fonts, an iframe helper) may fail; so may our own requests while a test
        # has taken the network away, and the start of a plan, or a picture, that a test made bad on purpose.
        url = message.location.get("url", "")
        excused = (
            (bool(url) and "127.0.0.1" not in url)
            or "fonts.googleapis.com" in message.text
            or "ERR_INTERNET_DISCONNECTED" in message.text
            or (url.endswith("/api/start") and "400" in message.text)
            or (url.endswith(_MAY_REFUSE) and "40" in message.text)
        )
        if message.type == "error" and not excused:
            self.complaints.append(f"{message.text} ({url})")


@pytest.fixture
def new_page(browser: Browser) -> Iterator[NewPage]:
    """At the end, the consoles of all pages must have stayed free of errors."""
    pages = NewPage(browser)
    yield pages
    pages.close()
    assert pages.complaints == []


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeManager]:
    manager = FakeManager(tmp_path, image_seconds=0.08)
    yield manager
    manager.close()


@pytest.fixture
def address(fake: FakeManager, new_page: NewPage) -> str:
    page, url = open_page(fake, free_port())  # type: ignore[arg-type]
    new_page.afterwards(lambda: page.close(verbose=False))
    return url


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lose_first_answer(page: Page, name: str) -> list[str]:
    """Have the first answer of the route `name` lost on its way back; the id of its request comes into the list."""
    lost: list[str] = []

    def lose(route: Any) -> None:
        if lost:
            route.continue_()
            return
        route.fetch()
        lost.append(route.request.post_data_json["request"])
        route.abort("internetdisconnected")

    page.route(f"**/optim/api/{name}", lose)
    return lost
