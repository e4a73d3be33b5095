"""The user's own method files and lines of single tensors, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from lib_optim.merging.user_methods import METHODS_FOLDER, load_user_methods
from tests.browser.conftest import NewPage
from tests.browser.test_tab import choose
from tests.ui.fake import FakeManager

pytestmark = [pytest.mark.ui, pytest.mark.browser]

HALFWAY = """from sd_mecha import merge_method
from torch import Tensor

BOUNDS = {"pull": "0..0.8"}


@merge_method
def halfway(a: Tensor, b: Tensor, pull: float = 0.5) -> Tensor:
    '''Halfway house.'''
    return a + (b - a) * pull
"""


def test_files_of_the_user_come_and_go_with_refresh(new_page: NewPage, address: str, fake: FakeManager) -> None:
    folder = fake.host.paths().data / METHODS_FOLDER
    folder.mkdir(parents=True)
    page = new_page(address)
    own = page.locator("#optim_own_methods")
    expect(own).to_contain_text("none")
    (folder / "mine.py").write_text(HALFWAY)
    (folder / "broken.py").write_text("1 / 0\n")
    try:
        page.click("#optim_refresh_models")
        expect(own).to_contain_text("1 method, 1 problem")
        expect(own).to_contain_text("broken.py cannot be used: ZeroDivisionError: division by zero (line 1).")
        choose(page, "optim_method", "Halfway house")
        expect(page.locator("#optim_parameter_pull")).to_have_attribute("placeholder", "0..0.8")
        page.locator("label", has=page.locator("#optim_mode_custom")).click()
        page.fill("#optim_custom", "soft = *.1.1.norm.*: 0..0.5\nIN00: 0..1")
        expect(page.locator("#optim_size")).to_have_text("2 parameters")
        page.fill("#optim_custom", "*.1.1.nrom.*: 0..0.5")
        expect(page.locator("#optim_planline")).to_contain_text("Did you mean '*.1.1.norm.*'?")
    finally:
        (folder / "mine.py").unlink()
        (folder / "broken.py").unlink()
        load_user_methods(folder, refresh=True)
