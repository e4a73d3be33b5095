"""What the tab says of each judge, in a real browser."""

from __future__ import annotations

import os

import pytest
from playwright.sync_api import expect

from lib_optim.scoring.groups import GROUPS
from lib_optim.scoring.registry import scorer_row, scorer_rows
from tests.browser.conftest import NewPage

pytestmark = [pytest.mark.ui, pytest.mark.browser]


def test_every_judge_says_what_fools_it_its_range_size_licence_and_source(new_page: NewPage, address: str) -> None:
    page = new_page(address, height=1400)
    page.click("#optim_judges_card > summary")
    for fold in page.locator("#optim_judges .optim-judges-more > summary").all():
        fold.click()
    about = page.locator("#optim_judges .optim-about")
    expect(about).to_have_count(len([row for row in scorer_rows() if not row.id.startswith("own-")]))
    for name in ("waifu", "technical"):
        row = scorer_row(name)
        judge = page.locator(f"#optim_judges .optim-about[data-judge={name}]")
        expect(judge.get_by_text(row.fooled_by)).not_to_be_visible()
        judge.locator("summary").click()
        expect(judge.get_by_text(row.fooled_by)).to_be_visible()
        for text in (row.raw_range, row.licence):
            expect(judge).to_contain_text(text)
        links = judge.locator("a")
        assert [link.get_attribute("href") for link in links.all()] == [file.url for file in row.weights]
    expect(page.locator(".optim-about[data-judge=waifu] summary")).to_have_text(
        "About this judge; needs 1.7 GB of weights"
    )
    expect(page.locator(".optim-about[data-judge=technical] summary")).to_have_text("About this judge")
    page.click("#optim_judges input[value=laion1]")
    expect(page.locator("#optim_option_laion1_clip")).to_have_value("ViT-L-14")
    if os.environ.get("OPTIM_SHOT"):
        page.locator("#optim_judges_card").screenshot(path=os.environ["OPTIM_SHOT"])


def test_the_usual_judges_are_in_sight_and_the_others_folded_away_until_one_is_chosen(
    new_page: NewPage, address: str
) -> None:
    page = new_page(address, height=1400)
    page.click("#optim_judges_card > summary")
    grouped = {scorer for group in GROUPS for scorer in group.scorers}
    for row in scorer_rows():
        box = page.locator(f"#optim_judges input[type=checkbox][value='{row.id}']")
        expect(box).to_be_visible(visible=row.id not in grouped)
    looks = page.locator(".optim-judges-more[data-group=looks]")
    expect(looks.locator("> summary")).to_have_text("Looks, the prompt aside · 8")
    looks.locator("> summary").click()
    page.check("#optim_judges input[value=laion2]")
    chosen = page.locator("#optim_judges_card > summary")
    expect(chosen).to_contain_text("LAION aesthetic v2")
    page.wait_for_timeout(1000)  # what was chosen is kept in the browser
    page.reload()
    expect(chosen).to_contain_text("LAION aesthetic v2")
    expect(page.locator("#optim_judges input[value=laion2]")).to_be_visible()
    expect(page.locator("#optim_judges input[value=pickscore]")).to_be_hidden()


def test_how_scores_are_combined_is_folded_away_and_reaches_the_plan(new_page: NewPage, address: str) -> None:
    page = new_page(address, height=1600)
    page.click("#optim_judges_card > summary")
    expect(page.locator("#optim_combining_scale")).not_to_be_visible()
    page.click("#optim_combining > summary")
    expect(page.locator("#optim_combining_scale")).to_have_value("auto")
    page.select_option("#optim_combining_mean", "harmonic")
    page.select_option("#optim_combining_payload_mean", "min")
    page.fill("#optim_combining_spread", "0.25")
    page.uncheck("#optim_guard_duplicate")
    expect(page.locator("#optim_combining > summary")).to_have_text("How scores are combined (changed)")
    page.check("#optim_judges input[value=technical]")
    page.locator(".optim-judge details", has=page.locator("#optim_payloads_technical")).locator("summary").click()
    page.fill("#optim_payloads_technical", "cat, d*")
    page.wait_for_timeout(1000)  # kept in the browser
    if os.environ.get("OPTIM_SHOT"):
        page.locator("#optim_judges_card").screenshot(path=os.environ["OPTIM_SHOT"])
    page.reload()
    expect(page.locator("#optim_combining_mean")).to_have_value("harmonic")
    expect(page.locator("#optim_combining_spread")).to_have_value("0.25")
    expect(page.locator("#optim_guard_duplicate")).not_to_be_checked()
    expect(page.locator("#optim_guard_black")).to_be_checked()
    expect(page.locator("#optim_payloads_technical")).to_have_value("cat, d*")
