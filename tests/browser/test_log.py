"""The log of a run in the tab, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPage
from tests.ui.fake import FakeManager

pytestmark = [pytest.mark.ui, pytest.mark.browser]

LINES = """2026-01-31 12:00:00,123 INFO lib_optim.run.history: Trial 0: <b>start</b>
2026-01-31 12:00:07,001 ERROR lib_optim.run.worker: Trial 0 failed
Traceback (most recent call last):
  File "x.py", line 1
ValueError: <script>no</script>
"""
MORE = "2026-01-31 12:00:09,000 WARNING lib_optim.run.worker: One more\n"


def test_the_log_shows_new_lines_and_leaves_what_is_open_alone(
    new_page: NewPage, address: str, fake: FakeManager
) -> None:
    page = new_page(address)
    page.wait_for_function("document.querySelector('#optim_method').value")
    page.click("#optim_generate")
    page.wait_for_selector("#optim_plot [data-trial]")
    log = fake.host.paths().outputs / fake.snapshot(0, [])["run"]["folder"] / "log.txt"
    page.click("#optim_log_card > summary")
    lines = page.locator("#optim_log_lines .optim-log-line")
    expect(page.locator("#optim_log_lines")).to_contain_text("Nothing is logged yet")
    log.write_text(LINES, encoding="utf-8")
    expect(lines).to_have_count(2)
    expect(lines.first).to_contain_text("12:00:00")
    expect(lines.first).to_contain_text("<b>start</b>")
    expect(lines.last.locator("pre")).to_be_hidden()
    lines.last.locator("summary").click()
    expect(lines.last.locator("pre")).to_contain_text("ValueError: <script>no</script>")
    with page.expect_response("**/optim/api/run_log/**"):  # the same again: nothing is drawn anew
        pass
    expect(lines.last.locator("pre")).to_be_visible()
    log.write_text(LINES + MORE, encoding="utf-8")
    expect(lines).to_have_count(3)
    page.check("#optim_log_bad")
    expect(lines).to_have_count(2)
    expect(lines.last).to_contain_text("One more")
