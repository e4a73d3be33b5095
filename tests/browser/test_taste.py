"""The card "Learn my taste" in a real browser: what was rated, training, agreement, saving, asking less, files."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from lib_optim.run.folder import RunFolder
from tests.browser.conftest import NewPage
from tests.browser.test_rating import rate
from tests.ui.fake import FakeManager
from tests.ui.rated import rate_folder

pytestmark = [pytest.mark.ui, pytest.mark.browser]

CARD = "#optim_taste"


def test_training_saving_and_asking_less(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    expect(page.locator(CARD)).to_be_hidden()
    rate(page)
    (folder,) = fake.outputs.iterdir()
    rate_folder(RunFolder.open(fake.outputs, folder.name), 3)
    expect(page.locator(CARD)).to_be_visible()
    expect(page.locator("#optim_taste_train")).to_be_hidden()  # folded
    page.click(f"{CARD} summary")
    expect(page.locator("#optim_taste_counts")).to_contain_text("3 images rated in this run · 20 are needed to train")
    expect(page.locator("#optim_taste_train")).to_be_disabled()
    rate_folder(RunFolder.open(fake.outputs, folder.name), 24, left=5)
    expect(page.locator("#optim_taste_counts")).to_contain_text("24 images rated in this run · 5 left to the judges")
    expect(page.locator("#optim_taste_name")).to_be_hidden()
    page.click("#optim_taste_train")
    expect(page.locator("#optim_taste_result")).to_contain_text(
        re.compile(r"Agreement -?\d\.\d\d on images .* n = 24\): \w+.* looked at by what ships with Optim \(\w{10}\)"),
        timeout=60_000,
    )
    page.fill("#optim_taste_name", "<b>mine</b>")
    page.fill("#optim_taste_name", "mine 9")  # a digit that is typed rates nothing
    assert fake.scores == {}
    page.click("#optim_taste_save")
    expect(page.locator("#optim_notice")).to_contain_text("tick the judge My taste and give it the name mine 9")
    expect(page.locator("#optim_taste_saved")).to_contain_text(re.compile(r"mine 9 · 24 ratings · agreement"))
    # Asking less needs both judges.
    expect(page.locator("#optim_taste_less")).to_be_disabled()
    fake.view.set_asking(True, False)
    expect(page.locator("#optim_taste_less")).to_be_enabled()
    page.check("#optim_taste_less")
    page.wait_for_function("() => true")
    expect(page.locator("#optim_taste_less")).to_be_checked()
    page.uncheck("#optim_taste_less")
    expect(page.locator("#optim_taste_less")).not_to_be_checked()
    assert [name for name in fake.commands if name.startswith("ask")] == ["ask_less", "ask_all"]
    with page.expect_download() as download:
        page.click("#optim_ratings_csv")
    assert download.value.suggested_filename == f"{folder.name}-ratings.csv"
    assert len(download.value.path().read_text().splitlines()) == 1 + 24 + 5
    page.keyboard.press("Escape")
    # The panel's own keys still work beside the open card.
    page.locator(".optim-rate-facts").click()
    page.keyboard.press("7")
    expect(page.locator(".optim-rate-facts")).to_contain_text("image 2 of 4")
