"""The search in the form: a sampler, its options as its row says, what looks around first; kept over a reload."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from lib_optim.plan.design import StartDesign
from tests.browser.conftest import NewPage
from tests.browser.test_tab import open_fold, start
from tests.plan.test_start_tables import mbw
from tests.ui.fake import FakeManager

pytestmark = [pytest.mark.ui, pytest.mark.browser]


def test_choose_a_sampler_its_options_and_a_start_design(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    expect(page.locator("#optim_size")).to_have_text("26 parameters")
    open_fold(page, "budget")
    expect(page.locator("#optim_sampler_options")).to_be_hidden()
    page.select_option("#optim_sampler", "cma")
    page.click("#optim_sampler_options > summary")
    page.select_option("#optim_sampler_variant", "full")
    page.fill("#optim_sampler_sigma", "0.1")
    page.click("#optim_design > summary")
    page.fill("#optim_design_latin", "4")
    page.fill("#optim_preset_count", "2")
    page.click("#optim_starts_table")
    expect(page.locator("#optim_table_use")).to_be_disabled()
    page.set_input_files(
        "#optim_table_file",
        {"name": "mbw.csv", "mimeType": "text/csv", "buffer": mbw([(0.5, 0.2), (0.7, 0.9)]).encode()},
    )
    expect(page.locator("#optim_table_said")).to_contain_text("auto-MBW-rt's CSV with 2 scored trials")
    page.click("#optim_table_use")
    expect(page.locator("#optim_starts")).to_contain_text("mbw 1")
    page.select_option("#optim_sampler", "tpe")
    page.check("#optim_sampler_group")
    expect(page.locator("#optim_sampler_variant")).to_have_count(0)
    page.reload()
    expect(page.locator("#optim_size")).to_have_text("26 parameters")
    open_fold(page, "budget")
    expect(page.locator("#optim_sampler_group")).to_be_checked()
    page.select_option("#optim_sampler", "cma")
    expect(page.locator("#optim_sampler_sigma")).to_have_value("0.1")
    start(page, trials=8)
    assert fake.plan is not None
    sampler = fake.plan.sampler
    assert (sampler.id, dict(sampler.options)) == ("cma", {"variant": "full", "sigma": 0.1})
    assert sampler.design == StartDesign(latin=4)
    assert sampler.presets == ("unchanged", "all A")
    assert [point.name for point in sampler.start] == ["mbw 1", "mbw 2"]


def test_learn_from_earlier_trials_without_trying_them(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    expect(page.locator("#optim_size")).to_have_text("26 parameters")
    open_fold(page, "budget")
    page.select_option("#optim_sampler", "cma")
    page.click("#optim_design > summary")
    page.click("#optim_starts_table")
    table = mbw([(i / 10, i / 5) for i in range(6)])
    page.set_input_files("#optim_table_file", {"name": "mbw.csv", "mimeType": "text/csv", "buffer": table.encode()})
    page.click("#optim_table_learn")
    expect(page.locator("#optim_earlier")).to_contain_text("Learns from 6 earlier trials")
    expect(page.locator("#optim_sampler_begin")).to_have_value("warm start")
    start(page, trials=8)
    assert fake.plan is not None
    assert len(fake.plan.sampler.earlier) == 6
    page.click("#optim_earlier_remove")
    expect(page.locator("#optim_earlier")).to_be_hidden()
