"""Pasting block weights, saving in another way and copying weights, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from lib_optim.plan.run_plan import SaveSpec
from tests.browser.conftest import NewPage
from tests.browser.test_tab import open_fold, start
from tests.ui.fake import FakeManager

pytestmark = [pytest.mark.ui, pytest.mark.browser]


def test_paste_start_save_and_copy(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    expect(page.locator("#optim_size")).to_have_text("26 parameters")
    page.click("#optim_paste_weights")
    page.fill("#optim_weights_text", ",".join(f"{i / 26:.3f}" for i in range(27)))
    expect(page.locator("#optim_weights_orders input")).to_have_count(3)
    expect(page.locator("#optim_weights_first")).to_be_disabled()
    page.click("#optim_weights_orders input[value=sliders]")  # not check(): the answer draws it anew
    expect(page.locator("#optim_weights_said")).to_contain_text("Understood as 27 numbers")
    page.fill("#optim_weights_text", ",".join(f"{i / 25:.3f}" for i in range(26)))
    expect(page.locator("#optim_weights_said")).to_contain_text("26 numbers, BASE first")
    expect(page.locator("#optim_weights_dialog .optim-bar")).to_have_count(26)
    page.fill("#optim_weights_name", "my mix")
    page.click("#optim_weights_first")
    expect(page.locator("#optim_starts")).to_contain_text("my mix")
    page.click("#optim_paste_weights")
    page.fill("#optim_weights_text", "in00:0.5,all:0.25")
    page.click("#optim_weights_around")
    expect(page.locator("#optim_custom")).to_have_value("\n".join(
        ["IN00: 0.35..0.65", *(f"{name}: 0.1..0.4" for name in UNET), "# as in model A: BASE"]))  # fmt: skip
    expect(page.locator("#optim_planline")).to_contain_text("The start 'my mix' gives IN00_alpha 0.04")
    page.click("#optim_starts button")
    expect(page.locator("#optim_starts")).to_be_hidden()
    expect(page.locator("#optim_size")).to_have_text("25 parameters")
    open_fold(page, "run")
    page.check("#optim_saved_pruned")
    start(page, trials=2)
    expect(page.locator("#optim_best_copy")).to_be_visible()
    page.select_option("#optim_best_form", "named")
    page.click("#optim_best_copy")
    expect(page.locator("#optim_best_copy")).to_have_text("Copied")
    page.click("#optim_best_save_as")
    expect(page.locator("#optim_save_pruned")).to_be_checked()
    page.select_option("#optim_save_dtype", "bf16")
    page.fill("#optim_save_name", "winner")
    page.click("#optim_save_go")
    expect(page.locator("#optim_notice")).to_contain_text("winner.safetensors")
    assert fake.saves == [(SaveSpec("bf16", pruned=True), "winner")]


UNET = (*(f"IN{i:02d}" for i in range(1, 12)), "M00", *(f"OUT{i:02d}" for i in range(12)))
