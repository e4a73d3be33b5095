"""What the page says while nobody looks at it, and the settings dialog."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewPage
from tests.browser.test_tab import STATE, by_hand, points, start
from tests.ui.fake import FakeManager
from tests.ui.test_picture_api import LINE, picture

pytestmark = [pytest.mark.ui, pytest.mark.browser]

# A headless browser never hides a page by itself, and asks nobody for leave to notify.
HIDE = """(hidden) => {
  Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});
  document.dispatchEvent(new Event('visibilitychange'));
}"""
NOTES = """() => {
  window.notes = [];
  window.Notification = class {
    static permission = 'default';
    static async requestPermission() { return (window.Notification.permission = 'granted'); }
    constructor(title, options) { window.notes.push([title, options.body]); }
    close() {}
  };
}"""
TITLES = """() => {
  window.titles = [];
  const all = {childList: true, characterData: true, subtree: true};
  new MutationObserver(() => window.titles.push(document.title)).observe(document.querySelector('title'), all);
}"""


def prepared(new_page: NewPage, address: str) -> Page:
    page = new_page(address)
    page.evaluate(NOTES)
    page.evaluate(TITLES)
    return page


def titles(page: Page) -> list[str]:
    return page.evaluate("window.titles")  # type: ignore[no-any-return]


def until_title(page: Page, pattern: str) -> None:
    page.wait_for_function(f"window.titles.some((title) => /{pattern}/.test(title))")


def drop(page: Page, infotext: str) -> None:
    page.evaluate(
        """(data) => {
          const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], 'cat.png', {type: 'image/png'}));
          const event = new DragEvent('drop', {dataTransfer, bubbles: true, cancelable: true});
          document.querySelector('#optim_state').dispatchEvent(event);
        }""",
        picture(infotext),
    )


def change(page: Page, **values: Any) -> None:
    page.click("#optim_settings")
    dialog = page.locator("#optim_settings_dialog")
    expect(dialog).to_be_visible()
    for key, value in values.items():
        field = page.locator(f"#optim_setting_{key}")
        if isinstance(value, bool):
            field.set_checked(value)
        elif field.evaluate("(node) => node.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(str(value))
    page.click("#optim_settings_save")
    expect(dialog).to_have_count(0)


def test_the_title_shows_the_run_and_is_given_back(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = prepared(new_page, address)
    before = page.title()
    start(page, trials=8)
    until_title(page, r"^\[Optim [1-8]\/8\] Optim$")
    page.evaluate("document.title = '[40% ETA: 3s] Stable Diffusion'")  # an image that the host makes meanwhile
    points(page, 6)
    assert page.title() == "[40% ETA: 3s] Stable Diffusion"
    page.evaluate(f"document.title = '{before}'")
    expect(page.locator(STATE)).to_have_text("Finished")
    expect(page).to_have_title(before)


def test_a_hidden_page_calls_when_it_is_your_turn_and_at_the_end(
    new_page: NewPage, address: str, fake: FakeManager
) -> None:
    page = prepared(new_page, address)
    page.click("#optim_notify")
    expect(page.locator("#optim_notify")).to_be_hidden()
    start(page, trials=6)
    page.evaluate(HIDE, True)
    page.wait_for_function("window.notes.length === 1")
    [[title, body]] = page.evaluate("window.notes")
    assert title == "Optim: Finished"
    assert body
    until_title(page, r"^\(!\) Finished: Optim$")
    page.evaluate(HIDE, False)
    expect(page).to_have_title("Optim")
    by_hand(page)
    page.click("#optim_generate")
    page.wait_for_timeout(50)
    page.evaluate(HIDE, True)
    page.wait_for_function("window.notes.length === 2")
    assert page.evaluate("window.notes[1][0]") == "Optim: Your turn"


def test_nothing_calls_while_somebody_looks_or_if_it_is_switched_off(
    new_page: NewPage, address: str, fake: FakeManager
) -> None:
    page = prepared(new_page, address)
    page.click("#optim_notify")
    start(page, trials=2)
    expect(page.locator(STATE)).to_have_text("Finished")
    assert page.evaluate("window.notes") == []
    change(page, notify=False)
    start(page, trials=6)
    page.evaluate(HIDE, True)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    for _ in range(60):
        page.wait_for_timeout(250)
        if fake.view.state == "finished" and any("status" in url for url in requests[-1:]):
            break
    page.wait_for_timeout(3500)
    assert page.evaluate("window.notes") == []
    assert not [title for title in titles(page) if title.startswith("(!)")]
    asked = len(requests)
    page.wait_for_timeout(4000)
    assert len(requests) == asked  # a page that nobody looks at asks nothing once the run is over


def test_a_picture_dropped_on_the_tab_shows_its_trial(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    start(page, trials=6)
    expect(page.locator(STATE)).to_have_text("Finished")
    folder = fake.snapshot()["run"]["folder"]
    drop(page, f"{LINE}Optim trial: {folder} 2, Optim recipe: 1f3a")
    expect(page.locator("#optim_notice")).to_contain_text("trial 2, which is shown below")
    expect(page.locator("#optim_current .optim-title")).to_contain_text("2")
    drop(page, f"{LINE}Optim trial: elsewhere<b> 2")
    expect(page.locator("#optim_notice")).to_contain_text("run elsewhere<b>, which is not among the runs here")
    file = {"name": "x.png", "mimeType": "image/png", "buffer": base64.b64decode(picture("a cat"))}
    page.set_input_files("#optim_picture_file", file)
    expect(page.locator("#optim_notice")).to_contain_text("x.png names no trial")


def test_settings_are_changed_and_hold(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    change(page, thumbs="small", poll=3, methods="mine")
    expect(page.locator("#optim_notice")).to_contain_text("saved")
    assert fake.host.settings()["methods"] == "mine"
    assert (
        page.evaluate("getComputedStyle(document.querySelector('#optim_root')).getPropertyValue('--optim-thumb')")
        == "96px"
    )
    start(page, trials=2)
    expect(page.locator("#optim_current_images img").first).to_be_visible()
    assert page.locator("#optim_current_images .optim-shot").first.bounding_box()["width"] < 150  # type: ignore[index]
    asked: list[float] = []
    page.on("request", lambda request: asked.append(1) if "/api/snapshot" in request.url else None)
    page.wait_for_timeout(4000)
    assert 1 <= len(asked) <= 3
    page.reload()
    expect(page.locator(STATE)).to_have_text(re.compile("."))
    page.click("#optim_settings")
    expect(page.locator("#optim_setting_poll")).to_have_value("3")
    page.fill("#optim_setting_poll", "99")
    page.click("#optim_settings_save")
    expect(page.locator("#optim_settings_dialog .optim-error")).to_contain_text("from 0.5 to 10")
