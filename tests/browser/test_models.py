"""More than three models, a LoRA among them, and the base that is offered, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPage
from tests.browser.test_tab import choose
from tests.ui.fake import FakeManager
from tests.ui.families import make_family

pytestmark = [pytest.mark.ui, pytest.mark.browser]


def test_models_are_added_a_lora_is_chosen_and_the_base_exchanged(
    new_page: NewPage, address: str, fake: FakeManager
) -> None:
    make_family(fake.host.paths().models)
    page = new_page(address)
    page.click("#optim_refresh_models")
    for letter, name in zip("abc", ("left", "right", "base"), strict=True):
        choose(page, f"optim_model_{letter}", name)
    expect(page.locator("#optim_model_d")).to_be_hidden()
    page.click("#optim_add_model")
    choose(page, "optim_model_d", "style")
    expect(page.locator("#optim_method")).not_to_have_value("")  # the methods have come, and one takes four models
    page.click("#optim_method")
    expect(page.locator("#optim_method_list")).not_to_contain_text("Weighted sum")
    page.keyboard.press("Escape")
    choose(page, "optim_method", "TIES")
    expect(page.locator("#optim_base_note")).to_contain_text("C (base.safetensors) looks like the common base")
    expect(page.locator("#optim_plannotes")).to_contain_text("(and 1 more)")
    expect(page.locator("#optim_architecture")).to_have_text("Stable Diffusion 1.x")
    page.click("#optim_take_base")
    expect(page.locator("#optim_base_note")).to_be_hidden()
    expect(page.locator("#optim_model_a")).to_have_value("base")
    expect(page.locator("#optim_model_c")).to_have_value("left")
    page.click("#optim_plannotes")
    expect(page.locator("#optim_check_dialog")).to_contain_text("D (style.safetensors) is a LoRA")
    expect(page.locator("#optim_check_dialog")).to_contain_text("holds EMA copies of its UNet")
    page.keyboard.press("Escape")
    page.click("#optim_model_a")
    expect(page.locator("#optim_model_a_list")).not_to_contain_text("style")
    page.reload()
    expect(page.locator("#optim_model_d")).to_have_value("style")
