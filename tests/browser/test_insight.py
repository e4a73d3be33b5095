"""What matters, freezing and forking, in a real browser over a scripted run."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewPage
from tests.browser.test_tab import STATE, open_fold, start
from tests.ui.fake import BLOCKS, FakeManager
from tests.ui.test_insight import MATTER, made_trials

pytestmark = [pytest.mark.ui, pytest.mark.browser]

BARS = "#optim_importance_bars .optim-bar"


def look(page: Page, name: str) -> None:
    """Keep a picture of the page where OPTIM_PICTURES says."""
    folder = os.environ.get("OPTIM_PICTURES")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def finished(page: Page, trials: int = 3) -> None:
    start(page, trials)
    expect(page.locator(STATE)).to_have_text("Finished")


def show(page: Page) -> None:
    if not page.evaluate("document.querySelector('#optim_importance').open"):
        page.click("#optim_importance > summary")


def test_bars_tell_what_matters_and_one_click_freezes_the_rest(
    new_page: NewPage, address: str, fake: FakeManager
) -> None:
    page = new_page(address, height=1200)
    finished(page)
    show(page)
    expect(page.locator("#optim_importance_about")).to_have_text(re.compile("^Too few trials: [0-9]+ are scored"))
    expect(page.locator("#optim_freeze")).to_be_hidden()
    for trial in made_trials(70):
        fake.view.put_trial(trial)
    expect(page.locator(BARS)).to_have_count(len(BLOCKS), timeout=120_000)  # seconds of CPU, on a machine that is busy
    heights = page.evaluate(
        f"Object.fromEntries([...document.querySelectorAll('{BARS}')].map((bar) => "
        "[bar.dataset.name, bar.querySelector('.optim-bar-fill').getBoundingClientRect().height]))"
    )
    assert set(sorted(heights, key=heights.get)[-2:]) == set(MATTER)
    idle = page.locator(f"{BARS}.optim-idle")
    count = idle.count()
    assert 13 <= count <= 24
    expect(page.locator("#optim_freeze")).to_have_text(f"Freeze {count} of {len(BLOCKS)} and go on")
    look(page, "what-matters")
    name = idle.first.get_attribute("data-name")
    idle.first.click()
    expect(idle).to_have_count(count - 1)
    expect(page.locator(f"{BARS}[data-name={name}]")).to_have_attribute("aria-pressed", "false")
    page.click("#optim_freeze")
    expect(page.locator("#optim_notice")).to_contain_text("goes on from trial")
    ((_, plan),) = fake.forks
    assert len(plan.guide.bounds) == count - 1
    assert name not in plan.guide.bounds
    expect(page.locator("#optim_importance_about")).to_have_text(re.compile("Too few trials|Looking"))


def test_while_a_run_goes_on_the_rest_goes_on_in_a_new_pass(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address, height=1200)
    fake.image_seconds = 4.0  # no trial of its own ends meanwhile
    start(page, 500)
    for trial in made_trials(70):
        fake.view.put_trial(trial)
    show(page)
    expect(page.locator(BARS)).to_have_count(len(BLOCKS), timeout=120_000)  # seconds of CPU, on a machine that is busy
    idle = page.locator(f"{BARS}.optim-idle")
    names = {bar.get_attribute("data-name") for bar in idle.all()}
    expect(page.locator("#optim_freeze")).to_have_attribute("title", re.compile("^After the trial under way"))
    page.click("#optim_freeze")
    expect(page.locator("#optim_notice")).to_contain_text(
        f"Pass 2 begins after the trial under way, with {len(names)} parameters fixed at the best values so far. "
        "500 trials of the budget are left for the rest."
    )
    look(page, "freeze-mid-run")
    assert [set(frozen) for frozen in fake.frozen] == [names]
    assert fake.forks == []
    page.click("#optim_interrupt")
    expect(page.locator(STATE)).to_have_text("Finished")
    page.click("#optim_freeze")  # now it is a new run
    expect(page.locator("#optim_notice")).to_contain_text("goes on from trial")
    assert len(fake.forks) == 1


def test_a_fork_is_started_from_an_earlier_run(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    expect(page.locator("#optim_fork")).to_be_disabled()
    finished(page)
    open_fold(page, "resume")
    expect(page.locator("#optim_fork")).to_be_enabled()
    page.select_option("#optim_sampler", "random")
    page.click("#optim_fork")
    page.check("#optim_fork_search")
    page.uncheck("#optim_fork_judges")
    page.fill("#optim_fork_trials", "5")
    page.fill("#optim_fork_name", "second try")
    look(page, "fork")
    page.click("#optim_fork_go")
    expect(page.locator("#optim_notice")).to_contain_text("3 trials taken over without generating anything")
    ((_, plan),) = fake.forks
    assert (plan.sampler.id, plan.budget.trials, plan.name) == ("random", 5, "second try")


def test_the_shared_study_is_folded_away_and_reaches_the_plan(
    new_page: NewPage, address: str, fake: FakeManager
) -> None:
    page = new_page(address)
    open_fold(page, "run")
    expect(page.locator("#optim_shared_url")).to_be_hidden()
    page.click("#optim_shared > summary")
    page.fill("#optim_shared_url", "study.db")
    expect(page.locator("#optim_planline")).to_contain_text("no URL of a shared study")
    page.fill("#optim_shared_url", "sqlite:///study.db")
    page.fill("#optim_shared_name", "ours")
    expect(page.locator("#optim_planline")).to_contain_text("images")
    look(page, "shared")
    finished(page, 1)
    (run,) = fake.outputs.iterdir()
    assert '"name": "ours"' in (run / "plan.json").read_text()
