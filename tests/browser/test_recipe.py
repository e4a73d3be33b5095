"""Recipes and layer adjustments in the tab."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPage
from tests.browser.test_tab import choose
from tests.ui.fake import FakeManager

pytestmark = [pytest.mark.ui, pytest.mark.browser]

RECIPE = """version 0.1.0
model "meadow.safetensors" model_config="sd1-ldm" merge_space="weight"
model "aurora_v2.safetensors" model_config="sd1-ldm" merge_space="weight"
merge "slerp" &0 &1 0.25
merge "weighted_sum" &2 &0 0.4
merge "fallback" &3 &0"""


def test_ticks_beside_a_recipes_graph_and_the_eight_numbers(new_page: NewPage, address: str, fake: FakeManager) -> None:
    path = fake.host.folder / "models" / "mine.mecha"
    path.write_text(RECIPE)
    page = new_page(address)
    expect(page.locator("#optim_method")).to_have_value("Weighted sum")
    choose(page, "optim_method", "From a recipe")
    page.fill("#optim_recipe_path", str(path))
    page.click("#optim_recipe_read")
    expect(page.locator("#optim_recipe_tree")).to_contain_text("slerp")
    expect(page.locator("#optim_model_a")).to_have_value("meadow")
    expect(page.locator("#optim_model_b")).to_have_value("aurora_v2")
    expect(page.locator("#optim_vary_slerp_alpha")).to_be_checked()
    page.uncheck("#optim_vary_weighted_sum_alpha")
    expect(page.locator("#optim_parameter_weighted_sum_alpha")).to_have_attribute("placeholder", "0.4")
    page.check("#optim_mode_single")
    expect(page.locator("#optim_size")).to_have_text("1 parameter")
    page.check("#optim_adjust")
    expect(page.locator("#optim_size")).to_have_text("9 parameters")
    page.uncheck("#optim_vary_yellow_blue")
    expect(page.locator("#optim_size")).to_have_text("8 parameters")
    page.reload()
    expect(page.locator("#optim_recipe_tree")).to_contain_text("slerp")
    expect(page.locator("#optim_size")).to_have_text("8 parameters")
    expect(page.locator("#optim_text_encoder")).to_be_visible()
    page.click("#optim_generate")
    expect(page.locator("#optim_state")).to_have_text("Running")
    (run,) = fake.runs()
    plan = json.loads((fake.host.folder / "outputs" / run["folder"] / "plan.json").read_text())
    assert (plan["method"], plan["recipe"], plan["adjust"]) == ("recipe", RECIPE, True)
    assert plan["guide"]["bounds"]["yellow_blue"]["kind"] == "fixed"
    page.click("#optim_interrupt")
    choose(page, "optim_method", "Layer adjust")
    expect(page.locator("#optim_model_b")).to_have_value("")
    expect(page.locator("#optim_size")).to_have_text("8 parameters")
    expect(page.locator("#optim_text_encoder")).to_be_hidden()
