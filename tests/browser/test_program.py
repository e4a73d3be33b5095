"""The real program with its demo checkpoints, driven as its user would: nothing scripted, nothing faked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewPage, free_port

pytestmark = [pytest.mark.ui, pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
STATE, POINTS = "#optim_state", "#optim_plot [data-trial]"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def program(data: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "lib_optim", "--data", str(data), "--port", str(port), "--no-browser"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GRADIO_ANALYTICS_ENABLED": "False"}
    with (data / "program.log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield _answering(f"http://127.0.0.1:{port}/", process)
        finally:
            process.terminate()
            code = process.wait(90)
    text = (data / "program.log").read_text()
    assert code in (0, -2, 1), text
    assert "Traceback" not in text, text


def _answering(url: str, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            httpx.get(f"{url}optim/api/snapshot").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.3)
        else:
            return url
    raise AssertionError("the program did not come up")


@pytest.fixture(autouse=True)
def _at_rest(program: str) -> Iterator[None]:
    """A test that failed half-way must not spoil the next one."""
    yield
    httpx.post(f"{program}optim/api/command", json={"command": "stop"})
    end = time.monotonic() + 60
    while httpx.get(f"{program}optim/api/snapshot").json()["state"] not in ("idle", "finished", "failed"):
        assert time.monotonic() < end
        time.sleep(0.2)


def fold(page: Page, name: str) -> None:
    if not page.evaluate(f"document.querySelector('#optim_{name}_card').open"):
        page.click(f"#optim_{name}_card > summary")


def ready(page: Page, trials: int, name: str) -> None:
    fold(page, "budget")
    page.fill("#optim_trials", str(trials))
    fold(page, "run")
    page.fill("#optim_name", name)
    expect(page.locator("#optim_generate")).to_be_enabled(timeout=60_000)


def points(page: Page, least: int) -> None:
    page.wait_for_function(f"document.querySelectorAll('{POINTS}').length >= {least}", timeout=120_000)


def test_start_watch_reload_stop_and_resume(new_page: NewPage, program: str, data: Path) -> None:
    page = new_page(program)
    expect(page.locator("#optim_model_a")).to_have_value("demo-a.safetensors")
    expect(page.locator("#optim_model_b")).to_have_value("demo-b.safetensors")
    ready(page, 12, "walk")
    page.click("#optim_generate")
    points(page, 3)
    facts = page.locator("#optim_facts")
    expect(facts).to_contain_text(re.compile(r"trial \d+/12 · .* · image \d/4 · swap .* · best "))
    page.reload()
    expect(page.locator(STATE)).to_have_text("Running")
    points(page, 4)
    page.wait_for_function(
        "[...document.querySelectorAll('#optim_best_images img')].some((i) => i.complete && i.naturalWidth)"
    )
    page.click("#optim_interrupt")
    expect(page.locator(STATE)).to_have_text("Finished", timeout=60_000)
    folder = next((data / "outputs").glob("*walk*"))
    done = page.locator("#optim_plot .optim-point:not(.optim-open)").count()
    assert 1 <= done < 12

    fold(page, "resume")
    expect(page.locator("#optim_runs")).to_have_value(folder.name)
    page.click("#optim_resume")
    expect(page.locator(STATE)).to_have_text(re.compile("Starting|Running"))
    expect(page.locator(STATE)).to_have_text("Finished", timeout=180_000)
    assert page.locator("#optim_plot .optim-point circle:not(.optim-hit)").count() == 12
    expect(page.locator("#optim_saved")).to_contain_text(".safetensors")
    assert [path.name for path in (data / "outputs").iterdir()] == [folder.name]
    assert (folder / "best.mecha").is_file()
    assert len((folder / "trials.csv").read_text().splitlines()) == 1 + 12 + 3, "a head, and three to verify"


def test_score_by_hand(new_page: NewPage, program: str, data: Path) -> None:
    page = new_page(program)
    fold(page, "judges")
    page.click("#optim_judges input[value=demo]")
    page.click("#optim_judges input[value=manual]")
    fold(page, "payloads")
    for name in ("demo-boat", "demo-tree"):
        page.click(f"#optim_payloads input[value={name}]")
    fold(page, "budget")
    page.fill("#optim_finalists", "0")
    ready(page, 2, "by hand")
    page.click("#optim_generate")
    # While trial 0 waits, trial 1 is made.
    expect(page.locator("#optim_rate")).to_contain_text("4 to rate · trial 0", timeout=60_000)
    page.evaluate("() => document.activeElement.blur()")
    page.keyboard.press("4")
    page.keyboard.press("8")
    expect(page.locator("#optim_rate")).to_contain_text("trial 1", timeout=60_000)
    expect(page.locator("#optim_best .optim-value")).to_have_text("6")
    page.keyboard.press("u")  # back to trial 0, which now waits again
    expect(page.locator("#optim_rate")).to_contain_text("3 to rate · trial 0 (1 here)")
    page.keyboard.press("6")
    expect(page.locator("#optim_rate")).to_contain_text("2 to rate · trial 1", timeout=60_000)
    page.click("#optim_rate .optim-score[data-score='10']")
    page.click("#optim_rate .optim-score[data-score='9']")
    expect(page.locator(STATE)).to_have_text("Finished", timeout=60_000)
    expect(page.locator("#optim_best .optim-value")).to_have_text("9.5")
    trials = httpx.get(f"{program}optim/api/snapshot").json()["trials"]
    assert [(trial["state"], trial["value"]) for trial in trials] == [("complete", 5.0), ("complete", 9.5)]


def test_a_plan_that_cannot_run_says_why_and_touches_nothing(new_page: NewPage, program: str, data: Path) -> None:
    before = sorted((data / "outputs").iterdir())
    page = new_page(program)
    ready(page, 0, "bad")
    page.click("#optim_generate")
    expect(page.locator("#optim_notice")).to_contain_text("number of trials")
    assert sorted((data / "outputs").iterdir()) == before
