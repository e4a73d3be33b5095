"""Stop rules, verification and passes in the tab: what is filled in is what is sent, what came out is what is shown."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from lib_optim.plan.records import Finalist, Verdict
from lib_optim.plan.run_plan import Budget, PassSpec
from tests.browser.conftest import NewPage
from tests.browser.test_tab import open_fold, points, start
from tests.ui.fake import FakeManager

pytestmark = [pytest.mark.ui, pytest.mark.browser]


def unfold(page: Page, name: str) -> None:
    page.evaluate(f"document.getElementById('{name}').open = true")


def test_what_is_filled_in_is_the_plan(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    open_fold(page, "budget")
    unfold(page, "optim_stop")
    for name, value in (("images", 200), ("minutes", 90), ("target", 0.5), ("patience", 5), ("min_delta", 0.01)):
        page.fill(f"#optim_stop_{name}", str(value))
    page.fill("#optim_finalists", "2")
    unfold(page, "optim_verify_more")
    page.select_option("#optim_held_out_judge", "manual")
    open_fold(page, "payloads")
    page.uncheck("#optim_payloads input[value=forest]")
    page.check("#optim_held_out input[value=forest]")
    open_fold(page, "passes")
    page.click("#optim_add_pass")
    page.fill("#optim_pass2_name", "details")
    page.fill("#optim_pass2_trials", "6")
    page.fill("#optim_pass2_free", "IN*, OUT00_alpha")
    page.select_option("#optim_pass2_sampler", "random")
    page.locator("[data-pass='2'] label", has_text="Judges of its own").locator("input").check()
    page.click("#optim_pass2_copy")
    page.fill("#optim_pass3_name", "third")
    page.click("#optim_pass2_remove")
    expect(page.locator("#optim_pass2_name")).to_have_value("third")
    expect(page.locator("#optim_planline")).to_contain_text("(pass 2)")
    expect(page.locator("#optim_planline")).to_contain_text("to verify")
    page.reload()  # and it is remembered
    expect(page.locator("#optim_planline")).to_contain_text("(pass 2)")
    start(page, trials=7)
    (plan,) = fake.plans
    assert plan.budget == Budget(7, 200, 90.0, 5, 0.01, 0.5)
    assert plan.verify.finalists == 2
    assert [payload.name for payload in plan.verify.payloads] == ["forest"]
    assert [scorer.id for scorer in plan.verify.scorers] == ["manual"]
    (later,) = plan.passes
    assert (later.name, later.free, later.payloads) == ("third", ("IN*", "OUT00_alpha"), None)
    assert later.budget == Budget(6)
    assert later.sampler is not None
    assert later.sampler.id == "random"
    assert later.scorers == plan.scorers
    assert isinstance(later, PassSpec)


def test_the_budget_is_exploration_and_exploitation(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    open_fold(page, "budget")
    explore, exploit, trials = (page.locator(f"#optim_{name}") for name in ("explore", "exploit", "trials"))
    expect(explore).to_have_value("7")  # the presets that fit
    expect(exploit).to_have_value("23")
    explore.fill("10")
    expect(trials).to_have_value("33")
    expect(page.locator("#optim_planline")).to_contain_text("33 trials (10 + 23)")
    expect(page.locator("#optim_design_latin")).to_have_value("3")
    exploit.fill("5")
    expect(trials).to_have_value("15")
    explore.fill("2")
    expect(page.locator("#optim_planline")).to_contain_text("7 trials (2 + 5)")
    start_page = page.locator("#optim_generate")
    start_page.click()
    expect(page.locator("#optim_state")).to_have_text(re.compile("Running|Finished"))
    (plan,) = fake.plans
    assert plan.budget.trials == 7
    assert plan.sampler.design.total == 0
    assert plan.sampler.presets == ("unchanged", "all A", "all B")  # two of them fit


def test_a_change_in_mid_run_sends_the_form(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    open_fold(page, "passes")
    expect(page.locator("#optim_change")).to_be_hidden()
    start(page)
    points(page, 1)
    page.fill("#optim_trials", "9")
    page.click("#optim_change")
    expect(page.locator("#optim_notice")).to_contain_text("Pass 2 begins after the trial under way")
    assert fake.changes[0].budget.trials == 9
    page.click("#optim_finish")
    expect(page.locator("#optim_sentence")).to_contain_text(re.compile("ends with this trial|trials done"))
    expect(page.locator("#optim_state")).to_have_text("Finished")
    expect(page.locator("#optim_change")).to_be_hidden()
    assert "finish" in fake.commands
    open_fold(page, "resume")
    page.click("#optim_resume_verify")
    expect(page.locator("#optim_state")).to_have_text(re.compile("Starting|Running"))
    assert fake.commands[-1] == "resume verify"


def test_the_verdict_is_a_table(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    start(page, trials=4)
    expect(page.locator("#optim_state")).to_have_text("Finished")
    expect(page.locator("#optim_verdict")).to_be_hidden()
    rows = (
        Finalist(3, 1, 7.0, 5.0, 4.5, {"manual": 8.0}, 6.0),
        Finalist(2, 0, 6.9, 6.5, 6.0, {"manual": 3.0}, 6.7),
    )
    fake.view.set_verdict(Verdict(2, rows, (1,)))
    table = page.locator("#optim_verdict")
    expect(table.locator("th")).to_have_text(
        ["Trial", "In the search", "Fresh seeds", "Held-out prompts", "Together", "My own eyes (0 to 10)"]
    )
    expect(table.locator("tbody tr").first.locator("td")).to_have_text(["2 · winner", "6.9", "6.5", "6", "6.7", "3"])
    expect(table.locator("tbody tr").nth(1).locator("td").first).to_have_text("3")
    expect(table).to_contain_text("Could not be made again: 1")
    expect(page.locator("#optim_best .optim-title")).to_have_text("Winner: trial 2")
    table.locator("button", has_text="3").click()
    expect(page.locator("#optim_current .optim-title")).to_have_text("Trial 1")
