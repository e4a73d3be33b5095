"""The card "Try it" over a real host: dialling, looking, going back, and what becomes of a try or a trial."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from lib_optim.ui.standalone import open_page
from tests.browser.conftest import NewPage, free_port
from tests.browser.test_tab import open_fold
from tests.rig import Rig

pytestmark = [pytest.mark.ui, pytest.mark.browser]

PICTURES, THUMBS = "#optim_try_pictures img", "#optim_try_strip button"


@pytest.fixture
def at_rig(rig: Rig, new_page: NewPage) -> str:
    page, url = open_page(rig.manager, free_port())
    new_page.afterwards(lambda: page.close(verbose=False))
    return url


def opened(new_page: NewPage, url: str, **how: Any) -> Page:
    """The card, with the sliders of four groups."""
    page = new_page(url, **how)
    expect(page.locator("#optim_generate")).to_be_enabled(timeout=60_000)
    page.click("#optim_root .optim-segment:has(input[value=groups])")
    page.click("#optim_try_card > summary")
    expect(page.locator("#optim_try_make")).to_be_enabled(timeout=60_000)
    expect(page.locator("#optim_try_sliders .optim-slider-row")).to_have_count(5)  # four, and all together
    return page


def values(page: Page) -> list[str]:
    numbers = page.locator("#optim_try_sliders input[type=number]")
    return [numbers.nth(i).input_value() for i in range(numbers.count())]


def made(page: Page, count: int) -> None:
    expect(page.locator(THUMBS)).to_have_count(count, timeout=120_000)
    expect(page.locator("#optim_try_stop")).to_be_hidden(timeout=120_000)


def test_dial_look_go_back_and_begin_the_search_there(new_page: NewPage, at_rig: str, rig: Rig) -> None:
    page = opened(new_page, at_rig)
    assert values(page) == ["0.5"] * 4
    page.click("#optim_try_make")
    made(page, 1)
    expect(page.locator(PICTURES)).to_have_count(3)
    expect(page.locator("#optim_try_pictures figcaption")).to_have_text(
        ["A alone: demo-a.safetensors", "Try 1", "B alone: demo-b.safetensors"]
    )
    expect(page.locator("#optim_try_facts")).to_contain_text("merge")
    place = "(n => [n.offsetTop - document.querySelector('#optim_try_card').offsetTop, n.offsetWidth, n.offsetHeight])"
    place += "(document.querySelector('#optim_try_pictures'))"
    before = page.evaluate(place)

    page.check("#optim_try_auto")
    page.focus("#optim_try_all")
    page.keyboard.press("End")
    made(page, 2)
    assert values(page) == ["1"] * 4
    expect(page.locator("#optim_try_pictures [data-view=try] figcaption")).to_have_text("Try 2")
    assert page.evaluate(place) == before  # nothing moved
    page.uncheck("#optim_try_auto")
    page.locator("#optim_try_sliders input[type=number]").first.fill("0.25")
    page.keyboard.press("Tab")
    expect(page.locator("#optim_try_facts")).to_contain_text("the sliders have moved since")

    page.click(f"{THUMBS}[data-try='1']")
    expect(page.locator("#optim_try_pictures [data-view=try] figcaption")).to_have_text("Try 1")
    expect(page.locator("#optim_try_sliders input[type=number]").first).to_have_value("0.5")
    assert values(page) == ["0.5"] * 4
    page.click("#optim_try_pictures [data-view=try] button")
    first = page.locator("#optim_try_viewer img").get_attribute("src")
    page.keyboard.press("ArrowRight")
    assert page.locator("#optim_try_viewer img").get_attribute("src") != first
    expect(page.locator("#optim_try_viewer [aria-pressed=true]")).to_have_text("B alone")
    page.keyboard.press("Escape")

    page.select_option("#optim_try_preset", "GRAD_V")
    expect(page.locator("#optim_try_sliders input[type=number]").first).not_to_have_value("0.5")
    page.click("#optim_try_start")
    expect(page.locator("#optim_starts")).to_contain_text("tried by hand")
    expect(page.locator("#optim_notice")).to_contain_text("the first trial of the next search")
    expect(page.locator("#optim_planline")).to_contain_text("trials")
    page.click(f"{THUMBS}[data-try='2']")
    expect(page.locator("#optim_try_sliders input[type=number]").first).to_have_value("1")
    page.click("#optim_try_start")
    expect(page.locator("#optim_starts")).to_contain_text("try 2")
    page.click("#optim_try_save")
    expect(page.locator("#optim_notice")).to_contain_text("Try 2 is saved as", timeout=60_000)
    assert list((rig.models / "optim").glob("*try0002.safetensors"))
    assert rig.has_originals()

    page.click("#optim_try_paste")
    page.fill("#optim_weights_text", "0.75," * 25 + "0.75")
    page.click("#optim_weights_try")
    expect(page.locator("#optim_try_sliders input[type=number]").first).to_have_value("0.75")
    assert values(page) == ["0.75"] * 4


def test_a_trial_is_tried_again_and_becomes_a_model(new_page: NewPage, at_rig: str, rig: Rig) -> None:
    page = opened(new_page, at_rig, height=1400)
    open_fold(page, "budget")
    page.fill("#optim_trials", "2")
    page.click("#optim_generate")
    expect(page.locator("#optim_try_make")).to_be_disabled()
    expect(page.locator("#optim_try_said")).to_contain_text("A run is going on")
    rig.until(lambda: rig.manager.view.state == "finished", "the end")
    expect(page.locator("#optim_try_make")).to_be_enabled()
    trial = rig.manager.view.best
    assert trial is not None
    page.click("#optim_best_take_try")
    expect(page.locator("#optim_try_said")).to_have_text("")
    wanted = [f"{float(value):.6f}".rstrip("0").rstrip(".") for value in trial.values.values()]
    expect(page.locator("#optim_try_sliders input[type=number]").first).to_have_value(wanted[0])
    assert values(page) == wanted

    page.click("#optim_best_take_model_b")
    expect(page.locator("#optim_notice")).to_contain_text("is model B of the next run", timeout=60_000)
    expect(page.locator("#optim_model_b")).to_have_value(f"optim/{next((rig.models / 'optim').iterdir()).name}")
    open_fold(page, "resume")
    page.click("#optim_run_take_model_a")
    expect(page.locator("#optim_notice")).to_contain_text("is model A of the next run", timeout=60_000)
    expect(page.locator("#optim_model_b")).to_have_value("demo-a.safetensors")  # it was the same file
    assert rig.has_originals()


def test_on_a_phone_the_card_fits(new_page: NewPage, at_rig: str) -> None:
    page = opened(new_page, at_rig, width=420, state="attached")
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    right = "[...document.querySelectorAll('#optim_try_card *')].map((node) => node.getBoundingClientRect().right)"
    assert max(page.evaluate(right)) <= 420
