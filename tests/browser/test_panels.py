"""Every panel of the tab, opened: nothing sticks out, at a desk or on a phone; and its picture for the docs."""

from __future__ import annotations

import random

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewPage
from tests.browser.shots import MOST_BYTES, shot, small_jpeg
from tests.browser.test_tab import STATE, start
from tests.ui.fake import FakeManager

pytestmark = [pytest.mark.ui, pytest.mark.browser]

CARDS = "[...document.querySelectorAll('#optim_root .optim-card[id]')].filter((c) => c.offsetParent).map((c) => c.id)"
# What is wider than the panel it stands in, and cannot be scrolled to: [panel, element].
STICKING_OUT = """() => {
  const found = [];
  for (const card of document.querySelectorAll('#optim_root .optim-card')) {
    const edge = card.getBoundingClientRect().right + 1;
    for (const node of card.querySelectorAll('*')) {
      if (!node.offsetParent || node.closest('svg') || node.closest('[hidden]')) continue;
      const box = node.getBoundingClientRect();
      if (box.right <= edge || !box.width || !box.height) continue;
      let scrolls = false;
      for (let up = node.parentElement; up && up !== card; up = up.parentElement) {
        scrolls = scrolls || getComputedStyle(up).overflowX !== 'visible';
      }
      if (!scrolls) found.push([card.id, node.id || node.className || node.nodeName]);
    }
  }
  return found;
}"""


def open_all(page: Page) -> None:
    page.evaluate("document.querySelectorAll('#optim_root details.optim-card').forEach((d) => { d.open = true; })")
    page.wait_for_timeout(800)


def run(page: Page, fake: FakeManager, trials: int) -> None:
    fake.image_seconds = 0.005
    expect(page.locator("#optim_generate")).to_be_enabled(timeout=90_000)
    start(page, trials)
    expect(page.locator(STATE)).to_have_text("Finished")
    for trial in fake.view.trials():
        fake.view.put_memory(trial.number, {"ram": 2.4e9 + 1e7 * (trial.number % 3)})


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_panel_fits_at_a_desk(new_page: NewPage, address: str, fake: FakeManager, dark: bool) -> None:
    page = new_page(f"{address}?__theme=dark" if dark else address, height=1200)
    run(page, fake, 16)
    page.wait_for_timeout(500)
    if not dark:
        shot(page.locator("#optim_root"), "tab-simple")
    open_all(page)
    assert page.evaluate(STICKING_OUT) == []
    cards = page.evaluate(CARDS)
    assert len(cards) >= 14
    if not dark:
        for card in cards:
            if card != "optim_selftest_card":
                page.locator(f"#{card}").scroll_into_view_if_needed()
                page.wait_for_timeout(150)
                shot(page.locator(f"#{card}"), card.removeprefix("optim_").removesuffix("_card"))


def test_every_panel_fits_on_a_phone(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address, width=420, height=900)
    run(page, fake, 3)
    open_all(page)
    assert page.evaluate(STICKING_OUT) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 420


def test_pictures_for_the_documentation_stay_small() -> None:
    import io

    noise = Image.frombytes("RGB", (1400, 900), random.Random(0).randbytes(1400 * 900 * 3))
    buffer = io.BytesIO()
    noise.save(buffer, "PNG")
    made = small_jpeg(buffer.getvalue())
    assert len(made) <= MOST_BYTES
    with Image.open(io.BytesIO(made)) as picture:
        assert picture.format == "JPEG"
