"""The user's own scorer files, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from lib_optim.scoring.user_scorers import SCORERS_FOLDER, load_user_scorers
from tests.browser.conftest import NewPage
from tests.ui.fake import FakeManager

pytestmark = [pytest.mark.ui, pytest.mark.browser]

WIDE = '''"""Wide pictures.

The wider, the better.
"""


def score(images, prompts, *, strength=1.5):
    return [strength * image.width for image in images]
'''


def test_files_of_the_user_come_and_go_with_refresh(new_page: NewPage, address: str, fake: FakeManager) -> None:
    folder = fake.host.paths().data / SCORERS_FOLDER
    folder.mkdir(parents=True)
    page = new_page(address)
    page.click("#optim_judges_card summary")
    own = page.locator("#optim_own_scorers")
    expect(own).to_contain_text("none")
    (folder / "wide.py").write_text(WIDE)
    (folder / "broken.py").write_text("1 / 0\n")
    try:
        page.click("#optim_refresh_models")
        expect(own).to_contain_text("1 judge, 1 problem")
        expect(own).to_contain_text("broken.py cannot be used: ZeroDivisionError: division by zero (line 1).")
        page.check("#optim_judges input[value='own-wide']")
        judge = page.locator(".optim-judge", has_text="Wide pictures")
        expect(judge).to_contain_text("The wider, the better.")
        expect(page.locator("#optim_option_own-wide_strength")).to_have_attribute("placeholder", "1.5")
        (folder / "wide.py").unlink()
        page.click("#optim_refresh_models")
        expect(own).to_contain_text("none, 1 problem")
        expect(judge).to_have_count(0)
    finally:
        for path in folder.glob("*.py"):
            path.unlink()
        load_user_scorers(folder, refresh=True)
