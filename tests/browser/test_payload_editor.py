"""The payload editor in a real browser."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import expect

from tests.browser.conftest import NewPage
from tests.run.test_calibrating import picture
from tests.ui.fake import FakeManager
from tests.ui.test_payload_editor import FULL

pytestmark = [pytest.mark.ui, pytest.mark.browser]


def test_a_payload_is_written_changed_and_taken_away(new_page: NewPage, address: str, fake: FakeManager) -> None:
    folder = fake.host.paths().data / "payloads"
    page = new_page(address, height=1000)
    page.click("#optim_payloads_card > summary")
    page.click("#optim_payload_new")
    dialog = page.locator("#optim_payload_dialog")
    page.fill("#optim_payload_name", "<b>cats</b>")
    page.fill("#optim_payload_prompt", "a cat <script>")
    page.fill("#optim_payload_batch_size", "3")
    page.fill("#optim_payload_steps", "900")
    if os.environ.get("OPTIM_SHOT"):
        page.screenshot(path=os.environ["OPTIM_SHOT"])
    page.click("#optim_payload_save")
    expect(page.locator("#optim_payload_error")).to_contain_text("steps must lie between 1 and 150")
    page.fill("#optim_payload_steps", "9")
    page.click("#optim_payload_save")
    expect(dialog).to_have_count(0)
    row = page.locator(".optim-payload", has_text="<b>cats</b>")
    expect(row).to_contain_text("3 images")
    expect(row.locator("input[type=checkbox]")).to_be_checked()  # a new one is wanted
    (path,) = folder.glob("*cats*.json")
    assert json.loads(path.read_text()) == {
        "name": "<b>cats</b>", "prompt": "a cat <script>", "steps": 9, "batch_size": 3,
    }  # fmt: skip
    row.get_by_text("Edit").click()
    page.click("#optim_payload_copy")
    expect(page.locator(".optim-payload", has_text="<b>cats</b> 2").locator("input[type=checkbox]")).to_be_checked()
    assert len(list(folder.glob("*cats*.json"))) == 2
    row.first.get_by_text("Edit").click()
    page.fill("#optim_payload_name", "dogs")
    page.fill("#optim_payload_seed", "")
    page.click("#optim_payload_save")
    expect(page.locator("#optim_payload_error")).to_have_text("First seed is empty.")
    page.fill("#optim_payload_seed", "5")
    page.click("#optim_payload_save")
    expect(page.locator(".optim-payload", has_text="<b>cats</b>")).to_have_count(1)
    dogs = page.locator(".optim-payload", has_text="dogs")
    expect(dogs.locator("input[type=checkbox]")).to_be_checked()
    dogs.get_by_text("Edit").click()
    page.click("#optim_payload_delete")
    expect(dogs).to_have_count(0)
    assert len(list(folder.glob("*cats*.json.deleted"))) == 1


def test_a_payload_comes_from_a_picture(new_page: NewPage, address: str, tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("parameters", "a cat\nNegative prompt: dog\nSteps: 8, Seed: 5, Size: 256x384, Clip skip: 2")
    picture(1).save(tmp_path / "my cat.png", pnginfo=info)
    picture(2).save(tmp_path / "plain.png")
    page = new_page(address, height=1000)
    page.click("#optim_payloads_card > summary")
    page.set_input_files("#optim_payload_file", tmp_path / "plain.png")
    expect(page.locator("#optim_payloads_card .optim-error")).to_contain_text("no settings of a WebUI")
    page.set_input_files("#optim_payload_file", tmp_path / "my cat.png")
    expect(page.locator("#optim_payload_name")).to_have_value("my cat")
    expect(page.locator("#optim_payload_prompt")).to_have_value("a cat")
    expect(page.locator("#optim_payload_height")).to_have_value("384")
    expect(page.locator("#optim_payload_left")).to_contain_text("clip_skip")
    page.click("#optim_payload_save")
    expect(page.locator(".optim-payload", has_text="my cat").locator("input[type=checkbox]")).to_be_checked()


def test_styles_scripts_and_a_picture_to_begin_from(
    new_page: NewPage, address: str, fake: FakeManager, tmp_path: Path
) -> None:
    fake.host.can = FULL
    picture(3).save(tmp_path / "house.png")
    page = new_page(address, height=1400)
    page.click("#optim_payloads_card > summary")
    page.click("#optim_payload_new")
    for title in ("Begin from a picture", "Scripts of the WebUI", "More"):
        page.locator("#optim_payload_dialog summary", has_text=title).click()
    page.fill("#optim_payload_name", "everything")
    page.get_by_label("soft, warm").check()
    page.get_by_label("photo", exact=True).check()
    expect(page.locator("#optim_payload_styles")).to_contain_text("soft, warm → photo")
    page.set_input_files("#optim_payload_init_image_file", tmp_path / "house.png")
    expect(page.locator("#optim_payload_init_image")).to_have_value("house.png")
    page.select_option("#optim_payload_resize_mode", "1")
    page.fill("#optim_payload_denoising_strength", "0.4")
    page.click("#optim_payload_dialog >> text=Unit")
    page.click("#optim_payload_dialog >> text=Frame")
    expect(page.locator("#optim_payload_alwayson_scripts_legend")).to_contain_text("width, mask")
    if os.environ.get("OPTIM_SHOT"):
        page.screenshot(path=os.environ["OPTIM_SHOT"])
    page.click("#optim_payload_save")
    expect(page.locator(".optim-payload", has_text="everything")).to_have_count(1)
    written = json.loads((fake.host.paths().data / "payloads" / "everything.json").read_text())
    assert written == {
        "name": "everything", "styles": ["soft, warm", "photo"], "init_image": "house.png", "resize_mode": 1,
        "denoising_strength": 0.4, "alwayson_scripts": {"Unit": {"args": [True]}, "Frame": {"args": []}},
    }  # fmt: skip
    page.locator(".optim-payload", has_text="everything").get_by_text("Edit").click()
    page.fill("#optim_payload_alwayson_scripts", "{")
    page.click("#optim_payload_save")
    expect(page.locator("#optim_payload_error")).to_contain_text("this is no JSON")


def test_weight_order_and_what_new_plans_begin_with(new_page: NewPage, address: str, fake: FakeManager) -> None:
    folder = fake.host.paths().data / "payloads"
    (folder / "resting.json").write_text(json.dumps({"prompt": "not now", "enabled": False}))
    page = new_page(address, height=1200)
    page.click("#optim_payloads_card > summary")
    rows = page.locator("#optim_payloads .optim-payload")
    expect(page.locator("[data-payload=resting] input[type=checkbox]")).not_to_be_checked()
    expect(page.locator("[data-payload=forest] input[type=checkbox]")).to_be_checked()
    with page.expect_response("**/setup*"):  # the list is drawn anew when the file is written
        page.fill("[data-payload=forest] .optim-payload-weight", "2.5")
        page.keyboard.press("Tab")
    expect(page.locator("[data-payload=forest] .optim-payload-weight")).to_have_value("2.5")
    expect(page.locator("[data-payload=forest] input[type=checkbox]")).to_be_checked()
    assert json.loads((folder / "forest.json").read_text())["score_weight"] == 2.5
    names = rows.evaluate_all("nodes => nodes.map(node => node.dataset.payload)")
    page.focus(f"[data-payload='{names[-1]}'] .optim-payload-handle")
    page.keyboard.press("ArrowUp")
    names[-2:] = [names[-1], names[-2]]
    assert rows.evaluate_all("nodes => nodes.map(node => node.dataset.payload)") == names
    page.keyboard.press("ArrowDown")  # the handle keeps the focus
    names[-2:] = [names[-1], names[-2]]
    assert rows.evaluate_all("nodes => nodes.map(node => node.dataset.payload)") == names
    page.locator("[data-payload=resting] .optim-payload-handle").hover()
    page.mouse.down()
    target = page.locator("[data-payload=forest] .optim-choice")
    target.hover()
    target.hover()  # the first begins the dragging
    page.mouse.up()
    moved = [name for name in names if name != "resting"]
    moved.insert(moved.index("forest"), "resting")
    assert rows.evaluate_all("nodes => nodes.map(node => node.dataset.payload)") == moved
    if os.environ.get("OPTIM_SHOT"):
        page.screenshot(path=os.environ["OPTIM_SHOT"])
