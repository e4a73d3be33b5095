"""The block table, guide files and block maps in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPage
from tests.ui.fake import FakeManager

pytestmark = [pytest.mark.ui, pytest.mark.browser]

GUIDES = Path(__file__).resolve().parents[1] / "plan" / "guides"


def test_the_table_edits_the_lines_and_the_lines_the_table(new_page: NewPage, address: str) -> None:
    page = new_page(address)
    expect(page.locator("#optim_size")).to_have_text("26 parameters")
    page.click("#optim_block_table > summary")
    row = page.locator("[data-block=IN05]")
    row.locator("select").select_option("fixed")
    lines = page.locator("#optim_custom")
    expect(lines).to_have_value(re.compile("IN05: =0.5$"))
    expect(page.locator("#optim_size")).to_have_text("25 parameters")
    page.fill("#optim_bulk_blocks", "OUT*")
    page.select_option("#optim_bulk_how", "group")
    page.fill("#optim_bulk_bound", "0.2..0.6")
    page.fill("#optim_bulk_group", "detail")
    page.click("#optim_bulk_apply")
    expect(page.locator("#optim_size")).to_have_text("14 parameters")
    page.fill("#optim_bulk_blocks", "OTU*")
    page.click("#optim_bulk_apply")
    expect(page.locator("#optim_blocks_said")).to_contain_text("matches no block")
    lines.fill("BASE: 0..0.25\nIN05: 0.1..0.9")
    expect(row.locator("input").first).to_have_value("0.1")
    row.locator("input").nth(1).fill("0.7")
    row.locator("input").nth(1).press("Enter")
    expect(lines).to_have_value("BASE: 0..0.25\nIN05: 0.1..0.7")


def test_a_guide_file_is_loaded_saved_and_shown_before_start(new_page: NewPage, address: str, tmp_path: Path) -> None:
    page = new_page(address)
    expect(page.locator("#optim_size")).to_have_text("26 parameters")
    page.set_input_files("#optim_guide_file", str(GUIDES / "example.yaml"))
    expect(page.locator("#optim_size")).to_have_text("18 parameters")
    with page.expect_download() as saved:
        page.click("#optim_save_guide")
    assert "detail: 0.2..0.6 step 0.05" in Path(saved.value.path()).read_text()
    page.click("#optim_check")
    table = page.locator("#optim_space")
    expect(table.locator("tr", has_text="detail_alpha")).to_contain_text("number, step 0.05")
    page.keyboard.press("Escape")
    broken = tmp_path / "broken.yaml"
    broken.write_text("components:\n  unet: al")
    page.set_input_files("#optim_guide_file", str(broken))
    expect(page.locator("#optim_planline")).to_contain_text("Line 2")


def test_a_curve_is_drawn_and_its_points_are_searched(new_page: NewPage, address: str) -> None:
    page = new_page(address)
    page.check("#optim_mode_curve", force=True)
    expect(page.locator("#optim_size")).to_have_text("5 parameters")
    page.select_option("#optim_curve_points", "6")
    page.select_option("#optim_curve_shape", "polynomial")
    expect(page.locator("#optim_size")).to_have_text("7 parameters")
    expect(page.locator("#optim_curves circle")).to_have_count(6)
    page.check("#optim_mode_blocks", force=True)
    expect(page.locator("#optim_curves")).to_be_hidden()


def test_the_search_may_choose_the_method(new_page: NewPage, address: str) -> None:
    page = new_page(address)
    expect(page.locator("#optim_size")).to_have_text("26 parameters")
    page.click("#optim_more_methods")
    page.locator("#optim_more_methods_list .optim-combo-option", has_text="Tensor sum").first.click()
    expect(page.locator("#optim_methods")).to_contain_text("Tensor sum")
    expect(page.locator("#optim_parameter_width")).to_be_visible()
    expect(page.locator("#optim_size")).to_have_text("79 parameters")
    page.reload()
    expect(page.locator("#optim_size")).to_have_text("79 parameters")
    page.click("#optim_methods button")
    expect(page.locator("#optim_size")).to_have_text("26 parameters")
    expect(page.locator("#optim_parameter_width")).to_have_count(0)


def test_a_block_map_of_ones_own_is_chosen_and_a_broken_one_named(
    new_page: NewPage, address: str, fake: FakeManager
) -> None:
    folder = fake.host.paths().data / "block_maps"
    folder.mkdir()
    (folder / "halves.yaml").write_text(
        "id: halves\narchitecture: sd1\nblocks: [{name: UP, component: unet, keys: [model]}]"
    )
    (folder / "broken.yaml").write_text("id: {")
    page = new_page(address)
    expect(page.locator("#optim_block_map_problems")).to_contain_text("broken.yaml: Line 1")
    page.select_option("#optim_block_map", "halves")
    expect(page.locator("#optim_size")).to_have_text("1 parameter")


def test_steps_back_and_forth_and_one_component_at_a_time(new_page: NewPage, address: str) -> None:
    page = new_page(address)
    expect(page.locator("#optim_size")).to_have_text("26 parameters", timeout=60_000)  # sd-mecha is imported first
    page.click("#optim_block_table > summary")
    undo, redo = page.locator("#optim_blocks_undo"), page.locator("#optim_blocks_redo")
    expect(undo).to_be_disabled()
    row = page.locator("[data-block=IN05]")
    row.locator("select").select_option("fixed")
    expect(page.locator("#optim_size")).to_have_text("25 parameters")
    page.fill("#optim_bulk_blocks", "OUT03-OUT08")
    page.select_option("#optim_bulk_how", "keep")
    page.click("#optim_bulk_apply")
    expect(page.locator("#optim_size")).to_have_text("19 parameters")
    undo.click()
    expect(page.locator("#optim_size")).to_have_text("25 parameters")
    row.locator("select").focus()
    page.keyboard.press("Control+z")
    expect(page.locator("#optim_size")).to_have_text("26 parameters")
    expect(page.locator("#optim_mode_blocks")).to_be_checked()
    expect(undo).to_be_disabled()
    page.keyboard.press("Control+y")
    expect(page.locator("#optim_size")).to_have_text("25 parameters")
    redo.click()
    expect(page.locator("#optim_size")).to_have_text("19 parameters")
    expect(redo).to_be_disabled()

    every = page.locator("#optim_blocks [data-block]").count()
    page.click("#optim_blocks_components [data-component=text_encoder]")
    expect(page.locator("#optim_blocks [data-block]")).to_have_count(1)
    page.click("#optim_blocks_components [data-component='']")
    expect(page.locator("#optim_blocks [data-block]")).to_have_count(every)
