"""Earlier runs renamed, exported, imported and put away, in a real browser."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from lib_optim.run.folder import RunFolder
from tests.browser.conftest import NewPage
from tests.plan.test_passes import PLAN
from tests.run.test_archive import filled
from tests.ui.fake import FakeManager

pytestmark = [pytest.mark.ui, pytest.mark.browser]


def test_runs_are_renamed_exported_imported_and_put_away(
    new_page: NewPage, address: str, fake: FakeManager, tmp_path: Path
) -> None:
    outputs = fake.host.paths().outputs
    folder = filled(RunFolder.create(outputs, "<b>mix"))
    assert folder.read_plan() == PLAN
    page = new_page(address, height=1000)
    page.click("#optim_resume_card > summary")
    chosen = page.locator("#optim_runs")
    expect(chosen).to_have_value(folder.name)
    page.click("#optim_run_rename")
    page.fill("#optim_shelf_name", "other")
    page.click("#optim_shelf_go")
    expect(chosen).to_have_value(f"{folder.name[:11]}other")
    with page.expect_download() as download:
        page.click("#optim_run_export")
    saved = tmp_path / "saved.zip"
    download.value.save_as(saved)
    assert any(name.endswith("0001-00-p.png") for name in zipfile.ZipFile(saved).namelist())
    page.click("#optim_run_delete")
    page.click("#optim_shelf_go")
    expect(page.locator("#optim_resume_card > summary")).to_contain_text("none yet")
    expect(page.locator("#optim_run_export")).to_be_disabled()
    assert (outputs / ".trash").is_dir()
    page.set_input_files("#optim_import_file", saved)
    expect(chosen).to_have_value(f"{folder.name[:11]}other")
    (tmp_path / "evil.zip").write_bytes(b"evil")
    page.set_input_files("#optim_import_file", tmp_path / "evil.zip")
    expect(page.locator(".optim-notice", has_text="is no zip file")).to_be_visible()
