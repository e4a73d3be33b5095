"""Judges tried on the user's own pictures, in a real browser."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPage
from tests.run.test_calibrating import picture

pytestmark = [pytest.mark.ui, pytest.mark.browser]


def files(folder: Path, kind: str, blur: float, seeds: range) -> list[Path]:
    made = [folder / f"{kind} <b>{seed}.png" for seed in seeds]
    for path, seed in zip(made, seeds, strict=True):
        picture(seed, blur).save(path)
    return made


def test_pictures_are_sorted_judges_asked_and_their_weights_taken(
    new_page: NewPage, address: str, tmp_path: Path
) -> None:
    page = new_page(address, height=1100)
    page.click("#optim_judges_card > summary")
    page.click("#optim_calibrate")
    dialog = page.locator("#optim_calibrate_dialog")
    start = page.locator("#optim_calibrate_start")
    expect(start).to_be_disabled()
    page.set_input_files("#optim_pile_good_files", files(tmp_path, "good", 0, range(6)))
    expect(start).to_be_disabled()  # one pile alone says nothing
    page.set_input_files("#optim_pile_bad_files", files(tmp_path, "bad", 4, range(10, 16)))
    page.set_input_files("#optim_pile_middling_files", files(tmp_path, "so so", 1, range(20, 22)))
    page.click(".optim-pile-middling .optim-pile-picture >> nth=0")
    expect(dialog.locator(".optim-pile-picture")).to_have_count(13)
    for box in dialog.locator(".optim-calibrate-judges input:checked").all():
        box.uncheck()
    dialog.locator("input[value=technical]").check()
    dialog.locator("input[value=imagereward]").check()
    start.click()
    technical = dialog.locator(".optim-opinion[data-judge=technical]")
    expect(technical).to_contain_text("of the pairs as you do")
    frames = technical.locator("img")
    expect(frames).to_have_count(13)
    order = [image.get_attribute("class") for image in frames.all()]
    assert order[:6] == ["optim-frame-bad"] * 6
    assert frames.first.get_attribute("alt").startswith("bad <b>")  # type: ignore[union-attr]
    expect(dialog.locator(".optim-opinion[data-judge=imagereward] .optim-error")).to_contain_text("ImageReward")
    expect(page.locator("#optim_calibrate_advice")).to_contain_text("Technical quality × 1")
    if os.environ.get("OPTIM_SHOT"):
        page.screenshot(path=os.environ["OPTIM_SHOT"])
    page.click("#optim_calibrate_use")
    expect(dialog).to_have_count(0)
    assert [
        box.get_attribute("value") for box in page.locator("#optim_judges .optim-judge-head input:checked").all()
    ] == ["technical"]
    # What was sorted is still there.
    page.click("#optim_calibrate")
    expect(page.locator("#optim_calibrate_dialog .optim-pile-picture")).to_have_count(13)


def test_what_is_no_picture_is_said_and_the_dialog_goes_on(new_page: NewPage, address: str, tmp_path: Path) -> None:
    page = new_page(address, height=1100)
    page.click("#optim_judges_card > summary")
    page.click("#optim_calibrate")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("words")
    page.set_input_files("#optim_pile_good_files", [broken, tmp_path / "notes.txt"])
    dialog = page.locator("#optim_calibrate_dialog")
    expect(dialog.locator(".optim-error")).to_contain_text("the others were left out")
    page.set_input_files("#optim_pile_bad_files", files(tmp_path, "bad", 4, range(2)))
    dialog.locator("input[value=technical]").check()
    page.click("#optim_calibrate_start")
    expect(dialog.locator(".optim-error")).to_contain_text("broken.png is no PNG, JPEG or WebP picture")
    dialog.locator(".optim-pile-good .optim-pile-picture").click()
    page.set_input_files("#optim_pile_good_files", files(tmp_path, "good", 0, range(30, 32)))
    page.click("#optim_calibrate_start")
    expect(dialog.locator(".optim-opinion[data-judge=technical] img")).to_have_count(4)
    expect(page.locator("#optim_calibrate_advice")).to_contain_text("at least 3 images")
