"""Presets and plans as JSON in a real browser, and the form as it was left, also after a restart of the program."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lib_optim.plan.run_plan import DiskSpec, RunPlan
from lib_optim.ui.standalone import open_page
from tests.browser.conftest import NewPage, free_port
from tests.ui.fake import FakeManager

pytestmark = [pytest.mark.ui, pytest.mark.browser]


def trials(page: Page, value: int) -> None:
    page.locator("#optim_trials").fill(str(value))
    page.locator("#optim_trials").blur()


def saved(page: Page, name: str) -> None:
    page.click("#optim_preset_save")
    page.fill("#optim_preset_name", name)
    page.click("#optim_preset_go")


def look(page: Page, name: str) -> None:
    """Keep a picture where a developer asks for one."""
    if folder := os.environ.get("OPTIM_LOOK"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png")


def test_presets_by_name(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address, height=1300)
    page.click("#optim_budget_card > summary")
    page.click("#optim_presets_card > summary")
    trials(page, 7)
    saved(page, "<i>seven")
    expect(page.locator("#optim_preset")).to_have_value("<i>seven")
    trials(page, 9)
    saved(page, "<i>seven")
    expect(page.locator("#optim_preset_dialog .optim-error")).to_contain_text("already; write over it")
    page.locator("#optim_preset_dialog").get_by_role("button", name="Close").click()
    saved(page, "nine")
    expect(page.locator("#optim_preset")).to_have_value("nine")
    page.click("#optim_preset")
    page.locator(".optim-combo-option", has_text="<i>seven").click()
    page.click("#optim_preset_load")
    expect(page.locator("#optim_trials")).to_have_value("7")
    look(page, "presets")
    page.click("#optim_preset_rename")
    page.fill("#optim_preset_name", "seven")
    page.click("#optim_preset_go")
    expect(page.locator("#optim_preset")).to_have_value("seven")
    trials(page, 8)
    saved(page, "seven")
    page.get_by_role("button", name="Write over it").click()
    expect(page.locator("#optim_preset_dialog")).to_have_count(0)
    page.click("#optim_preset_delete")
    page.click("#optim_preset_go")
    expect(page.locator("#optim_presets_card > summary")).to_contain_text("1 preset")
    folder = fake.host.paths().data / "presets"
    assert [path.name for path in folder.glob("*.json")] == ["nine.json"]
    (away,) = (folder / ".trash").iterdir()
    assert json.loads(away.read_text())["form"]["trials"] == 8


def test_a_plan_goes_out_and_comes_in(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address, height=1300)
    page.click("#optim_budget_card > summary")
    page.click("#optim_presets_card > summary")
    trials(page, 5)
    page.evaluate("window.optimTab.copyText = (text) => { window.copied = text; }")
    page.click("#optim_plan_copy")
    expect(page.locator(".optim-notice")).to_contain_text("The plan is in the clipboard")
    plan = json.loads(page.evaluate("window.copied"))
    assert RunPlan.from_json(plan).budget.trials == 5
    page.click("#optim_plan_paste")
    page.fill("#optim_plan_text", json.dumps(plan)[:-5])
    page.click("#optim_plan_fill")
    expect(page.locator("#optim_plan_problems")).to_contain_text("not JSON")
    plan["budget"]["trials"] = 3
    plan["payloads"][0] |= {"name": "a new one", "prompt": "<script>"}
    page.fill("#optim_plan_text", json.dumps(plan))
    look(page, "plan-paste")
    page.click("#optim_plan_fill")
    expect(page.locator("#optim_trials")).to_have_value("3")
    expect(page.locator("#optim_payloads_card")).to_contain_text("a new one")
    expect(page.locator(".optim-notice")).to_contain_text("Added to your own payloads")
    page.click("#optim_plan_paste")
    page.fill("#optim_plan_text", json.dumps(plan))
    page.click("#optim_plan_start")
    expect(page.locator("#optim_plan_dialog")).to_have_count(0)
    assert [row.to_json() for row in fake.plans] == [plan]


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 420)], ids=["desk", "dark phone"])
def test_how_images_are_written(new_page: NewPage, address: str, fake: FakeManager, dark: bool, width: int) -> None:
    page = new_page(f"{address}?__theme=dark" if dark else address, height=1300)
    page.set_viewport_size({"width": width, "height": 1300})
    page.click("#optim_run_card > summary")
    expect(page.locator("#optim_disk_format")).to_have_value("png")
    expect(page.locator("#optim_disk_quality")).to_be_hidden()
    page.select_option("#optim_disk_format", "jpeg")
    expect(page.locator("#optim_disk_note")).to_contain_text("they see the compressed file")
    page.fill("#optim_disk_quality", "40")
    page.click("#optim_check")
    expect(page.get_by_text("must be a whole number from 50 to 100")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    page.fill("#optim_disk_quality", "75")
    page.fill("#optim_disk_gigabytes", "2")
    page.locator("#optim_disk_note").scroll_into_view_if_needed()
    look(page, f"disk-{width}")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.click("#optim_start_below")
    until(lambda: fake.plans, page)
    assert fake.plans[0].disk == DiskSpec(2.0, "jpeg", 75)


def until(condition: Callable[[], object], page: Page) -> None:
    for _ in range(100):
        if condition():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not happen")


def test_the_form_is_as_it_was_left_after_a_restart(new_page: NewPage, fake: FakeManager) -> None:
    port = free_port()
    first, url = open_page(fake, port)  # type: ignore[arg-type]
    page = new_page(url)
    page.click("#optim_budget_card > summary")
    trials(page, 17)
    page.goto("about:blank")
    first.close(verbose=False)
    second, url = open_page(fake, port)  # type: ignore[arg-type]
    new_page.afterwards(lambda: second.close(verbose=False))
    page.goto(url)
    page.wait_for_selector("#optim_generate")
    expect(page.locator("#optim_trials")).to_have_value("17")
