"""The tab in German, and what is the user's own in it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lib_optim.ui.words_api import locale
from tests.browser.conftest import NewPage
from tests.browser.test_tab import STATE
from tests.ui.fake import FakeManager

pytestmark = [pytest.mark.ui, pytest.mark.browser]

CARDS = (
    "models",
    "payloads_card",
    "run_card",
    "selftest_card",
    "report_card",
    "welcome",
    "generate",
    "check",
    "settings",
)
# Texts and attributes below a node, as they are read or heard.
READ = """(id) => {
  const node = document.getElementById(`optim_${id}`);
  const all = [node, ...node.querySelectorAll('*')];
  const texts = all.flatMap((e) => [...e.childNodes].filter((c) => c.nodeType === 3).map((c) => c.data));
  const names = ['title', 'placeholder', 'aria-label'];
  return [...texts, ...all.flatMap((e) => names.map((name) => e.getAttribute(name)))].filter(Boolean);
}"""


def read(page: Page) -> set[str]:
    return {text for card in CARDS for text in page.evaluate(READ, card)}


def own_payload(folder: Path) -> None:
    payload = {"name": "Judges", "prompt": "Settings", "steps": 8, "width": 256, "height": 256}
    (folder / "data" / "payloads" / "own.json").write_text(json.dumps(payload))


def test_german_reaches_our_words_and_not_the_users(
    new_page: NewPage, address: str, fake: FakeManager, tmp_path: Path
) -> None:
    own_payload(tmp_path)
    english = new_page(address)
    expect(english.locator("#optim_model_a")).not_to_have_value("")
    before = read(english)
    english.close()

    fake.host.change_settings({"language": "Deutsch"})
    page = new_page(address)
    expect(page.locator("#optim_generate")).to_have_text("Starten")
    expect(page.locator("#optim_model_a")).not_to_have_value("")
    expect(page.locator("#optim_judges_card > summary .optim-title")).to_have_text("Bewerter")
    after, words = read(page), locale("de")
    mine = {"Judges", "Settings"}
    assert mine <= after  # the payload's name and prompt, though both are words of ours
    assert {text for text in after - mine if words.get(text, text) != text} == set()
    assert len({words[text] for text in before & set(words)} & after) > 40


def test_a_run_and_the_settings_in_german(new_page: NewPage, address: str, fake: FakeManager) -> None:
    fake.host.change_settings({"language": "Deutsch"})
    page = new_page(address)
    expect(page.locator("#optim_size")).to_have_text("26 Parameter")
    page.click("#optim_generate")
    expect(page.locator(STATE)).to_have_text(re.compile("Läuft|Startet"))
    expect(page.locator("#optim_facts")).to_contain_text(re.compile(r"Versuch \d+/\d+ .*noch ~"))
    expect(page.locator("#optim_best .optim-title")).to_contain_text("Bester: Versuch")
    page.click("#optim_interrupt")
    expect(page.locator(STATE)).to_have_text(re.compile("Fertig|Hält an|Bereit"))
    page.click("#optim_settings")
    expect(page.locator("#optim_settings_dialog")).to_contain_text("Sprache der Oberfläche")
    page.locator("#optim_setting_language").select_option("English")
    page.click("#optim_settings_save")
    expect(page.locator("#optim_notice")).to_have_text(re.compile("Die Einstellungen sind gespeichert."))
    page.reload()
    expect(page.locator("#optim_generate")).to_have_text("Start")


def test_without_an_answer_the_tab_is_english(new_page: NewPage, address: str) -> None:
    page = new_page(address)
    page.route("**/optim/api/words", lambda route: route.fulfill(status=200, body="no JSON"))
    page.reload()
    expect(page.locator("#optim_generate")).to_have_text("Start")
