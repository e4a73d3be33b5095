"""A run as one page."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import pytest
from PIL import Image

from lib_optim.plan.run_plan import Budget, VerifySpec
from lib_optim.run.folder import RunFolder
from lib_optim.run.report import report_html, write_report
from lib_optim.run.report_plot import score_plot
from tests.rig import Rig, payload

EVIL = '<script>alert("x")</script>'


def pictures(page: str) -> list[Image.Image]:
    return [
        Image.open(io.BytesIO(base64.b64decode(data)))
        for data in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    ]


def test_a_run_leaves_a_page_with_its_winner_verdict_curve_and_pictures(rig: Rig) -> None:
    name = f"mix {EVIL}"
    rig.run(rig.plan(name=name, payloads=(payload(EVIL),), budget=Budget(4), verify=VerifySpec(2)))
    folder = rig.folder_of()
    page = (folder.path / "report.html").read_text(encoding="utf-8")
    assert page == report_html(folder)
    best = rig.snapshot()["best"]
    assert f"Winner: trial {best['trial']}, " in page
    assert "Verified on fresh seeds" in page
    assert "<svg" in page
    shown = pictures(page)
    assert len(shown) >= 3
    assert max(max(image.size) for image in shown) <= 384
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page), "it loads nothing"
    assert str(folder.path.parent) not in page, "and names no folder of this machine"


def test_pictures_that_are_gone_and_models_that_moved_are_no_trouble(rig: Rig) -> None:
    rig.run(rig.plan(budget=Budget(2)))
    folder = rig.folder_of()
    for image in folder.images.iterdir():
        image.unlink()
    for model in (rig.host.paths().models).glob("*"):
        model.rename(model.with_suffix(".gone"))
    page = write_report(folder).read_text(encoding="utf-8")
    assert pictures(page) == []
    assert "Winner: trial" in page


def test_a_run_without_a_trial_has_a_page_too(tmp_path: Path) -> None:
    from tests.plan.test_passes import PLAN

    folder = RunFolder.create(tmp_path, "empty")
    folder.write_plan(PLAN)
    assert "No trial is scored." in report_html(folder)


@pytest.mark.parametrize("points", [[(3, 1.0)], [(0, 1.0), (1, 1.0)], [(0, -5.0), (7, 2.0), (9, 1e-9)]])
def test_the_curve_never_falls_and_stays_within_its_frame(points: list[tuple[int, float]]) -> None:
    drawn = score_plot(points)
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)"', drawn)]
    assert len(heights) == len(points)
    assert all(0 <= y <= 300 for y in heights)
    climbs = [float(y) for y in re.findall(r"V([\d.]+)", drawn)]
    assert climbs == sorted(climbs, reverse=True)
