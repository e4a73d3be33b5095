"""Judges that are only watched, and what scores are measured by, beside the plot in a real browser."""

from __future__ import annotations

import os
import re

import pytest
from playwright.sync_api import expect

from lib_optim.plan.records import Trial
from tests.browser.conftest import NewPage
from tests.browser.test_tab import STATE, start
from tests.ui.fake import FakeManager

pytestmark = [pytest.mark.ui, pytest.mark.browser]


def test_a_watched_judge_is_drawn_and_one_sentence_says_that_it_parts(
    new_page: NewPage, address: str, fake: FakeManager
) -> None:
    page = new_page(address, width=1500, height=1200)
    page.click("#optim_judges_card > summary")
    page.eval_on_selector_all(".optim-judges-more", "folds => folds.forEach((fold) => { fold.open = true; })")
    for judge in ("technical", "manual"):  # the fake run's own judge is whoever is chosen
        page.set_checked(f"#optim_judges input[value={judge}]", judge == "technical")
    page.check("#optim_judges input[value=background]")
    page.get_by_label("Weight of Background blackness").fill("0")
    start(page, 10)
    expect(page.locator(STATE)).to_have_text("Finished")
    expect(page.locator("#optim_plot path.optim-watchline")).to_have_count(1)
    expect(page.locator("#optim_plot circle.optim-watchdot")).to_have_count(10)
    notes = page.locator("#optim_watched")
    expect(notes).to_contain_text("Background blackness (only watched)")
    expect(notes.locator(".optim-warning")).to_have_count(0)
    for n in range(20, 30):  # what fools the judge that decides
        fake.view.put_trial(
            Trial(n, "complete", {}, "sampler: tpe", value=10.0 + n, watched={"background": 0.6 - 0.02 * (n - 20)})
        )
    expect(notes.locator(".optim-warning")).to_have_text(
        re.compile(r"The score still rises, but Background blackness, .* thinks less of the newest best trials")
    )
    expect(page.locator("#optim_calibration")).to_be_hidden()  # one judge decides, in its own numbers
    if os.environ.get("OPTIM_SHOT"):
        page.locator(".optim-live").screenshot(path=os.environ["OPTIM_SHOT"])


def test_what_scores_are_measured_by_is_a_table_under_the_plot(new_page: NewPage, address: str) -> None:
    page = new_page(address, width=1500, height=1200)
    page.click("#optim_judges_card > summary")
    page.eval_on_selector_all(".optim-judges-more", "folds => folds.forEach((fold) => { fold.open = true; })")
    page.uncheck("#optim_judges input[value=manual]")
    for judge in ("technical", "background"):
        page.check(f"#optim_judges input[value={judge}]")
    start(page, 2)
    expect(page.locator(STATE)).to_have_text("Finished")
    table = page.locator("#optim_calibration")
    expect(table.locator("summary")).to_have_text("What scores are measured by")
    table.locator("summary").click()
    expect(table.locator("tbody tr")).to_have_count(2)
    expect(table.locator("tbody tr").first).to_contain_text("none: left out")
    expect(table.locator("tbody tr").last).to_have_text(
        re.compile(r"(Technical|Background blackness).*cat0\.510\.01238")
    )
    expect(page.locator("#optim_watched")).to_be_hidden()
    if os.environ.get("OPTIM_SHOT"):
        page.locator(".optim-live").screenshot(path=os.environ["OPTIM_SHOT"].replace(".png", "2.png"))
