"""The queue in a real browser: added from the form and from lines, ordered, run, paused, and there after a reload."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewPage
from tests.ui.fake import FakeManager

pytestmark = [pytest.mark.ui, pytest.mark.browser]

LINES = "aurora_v2 + meadow = <b>one\n<b>one + dreamlike_v6 = two"


def rows(page: Page) -> list[str]:
    return page.locator("#optim_queue .optim-queue-name b").all_inner_texts()


def look(page: Page, name: str) -> None:
    """Keep a picture where a developer asks for one."""
    if folder := os.environ.get("OPTIM_LOOK"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.locator("#optim_queue_card").screenshot(path=f"{folder}/{name}.png")
        page.screenshot(path=f"{folder}/{name}-page.png")


def test_runs_wait_their_turn_and_follow_each_other(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address, height=1400)
    expect(page.locator("#optim_enqueue")).to_be_enabled(timeout=60_000)  # the methods are imported
    page.click("#optim_budget_card > summary")
    page.locator("#optim_trials").fill("1")
    page.click("#optim_enqueue")
    expect(page.locator("#optim_queue li")).to_have_count(1)
    page.click("#optim_queue_lines")
    page.fill("#optim_queue_text", "aurora_v2 + medow = x\nx + x = y")
    page.click("#optim_queue_add_lines")
    expect(page.locator("#optim_queue_problems")).to_contain_text("there is no model 'medow'")
    page.fill("#optim_queue_text", LINES)
    page.click("#optim_queue_add_lines")
    expect(page.locator("#optim_queue li")).to_have_count(3)
    assert rows(page)[1:] == ["<b>one", "two"]  # as text
    expect(page.locator("#optim_queue li").nth(2)).to_contain_text("Waits for the winner of <b>one.")
    assert not fake.active
    page.locator("#optim_queue li").nth(0).get_by_role("button", name="run it later").click()
    expect(page.locator("#optim_queue b").nth(0)).to_have_text("<b>one")
    page.locator("#optim_queue li").nth(0).get_by_role("button", name="out of the queue").click()
    expect(
        page.locator(".optim-notice", has_text="two takes the winner of <b>one; remove that one first")
    ).to_be_visible()
    look(page, "queue-waiting")

    page.reload()
    page.wait_for_selector("#optim_queue_card")
    expect(page.locator("#optim_queue li")).to_have_count(3)
    assert not fake.active  # nothing begins by itself
    page.click("#optim_queue_run")
    expect(page.locator("#optim_queue .optim-badge").nth(0)).to_have_text(re.compile("runs|done"))  # it is quick
    look(page, "queue-running")
    expect(page.locator("#optim_queue_sentence")).to_have_text("Everything in the queue is done.")
    expect(page.locator("#optim_queue_card .optim-badge")).to_have_text(["done"] * 3)
    assert [plan.save.name for plan in fake.plans] == ["<b>one", "", "two"]
    page.click("#optim_queue_clear")
    expect(page.locator("#optim_queue li")).to_have_count(0)


def test_a_queue_paused_by_the_user_and_by_stop(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address, width=420, height=900)
    expect(page.locator("#optim_enqueue")).to_be_enabled(timeout=60_000)
    for _ in range(2):
        page.click("#optim_enqueue")
    expect(page.locator("#optim_queue li")).to_have_count(2)
    page.click("#optim_queue_run")
    expect(page.locator("#optim_queue li").nth(0)).to_contain_text("runs")
    page.click("#optim_interrupt")
    expect(page.locator("#optim_queue_sentence")).to_contain_text("The queue paused at")
    expect(page.locator("#optim_queue li").nth(0)).to_contain_text("stopped")
    expect(page.locator("#optim_queue_run")).to_have_text("Run the queue")
    assert page.evaluate("document.documentElement.scrollWidth <= 420")
    look(page, "queue-narrow")
    assert not fake.active
