"""The tab in a real browser, over a scripted run."""

from __future__ import annotations

import re

import gradio as gr
import pytest
from playwright.sync_api import Page, expect

from lib_optim.ui.standalone import serve
from lib_optim.ui.tab import build_tab
from tests.browser.conftest import NewPage, free_port
from tests.ui.fake import PROMPT, FakeManager

pytestmark = [pytest.mark.ui, pytest.mark.browser]

STATE, POINTS = "#optim_state", "#optim_plot [data-trial]"


def choose(page: Page, box: str, label: str) -> None:
    page.click(f"#{box}")
    page.locator(f"#{box}_list .optim-combo-option", has_text=label).first.click()


def start(page: Page, trials: int = 40) -> None:
    open_fold(page, "budget")
    page.fill("#optim_trials", str(trials))
    expect(page.locator("#optim_generate")).to_be_enabled()
    page.click("#optim_generate")
    expect(page.locator(STATE)).to_have_text(re.compile("Running|Your turn|Finished"))


def open_fold(page: Page, name: str) -> None:
    if not page.evaluate(f"document.querySelector('#optim_{name}_card').open"):
        page.click(f"#optim_{name}_card > summary")


def by_hand(page: Page) -> None:
    open_fold(page, "judges")
    page.click("#optim_judges input[value=technical]")
    page.click("#optim_judges input[value=manual]")


def points(page: Page, least: int) -> None:
    page.wait_for_function(f"document.querySelectorAll('{POINTS}').length >= {least}")


def test_start_with_the_defaults_and_watch_it_finish(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    expect(page.locator("#optim_model_a")).to_have_value("dreamlike_v6")
    expect(page.locator("#optim_model_b")).to_have_value("aurora_v2")
    expect(page.locator("#optim_architecture")).to_have_text("Stable Diffusion 1.x")
    expect(page.locator("#optim_size")).to_have_text("26 parameters")
    start(page, trials=7)
    expect(page.locator("#optim_facts")).to_contain_text("left")
    expect(page.locator("#optim_current_images img").first).to_be_visible()
    expect(page.locator(STATE)).to_have_text("Finished")
    assert page.locator("#optim_plot .optim-failed").count() == 1
    assert page.locator(f"{POINTS} circle:not(.optim-hit)").count() == 7
    expect(page.locator("#optim_best .optim-title")).to_contain_text("Best: trial")
    assert page.locator("#optim_best_images img").count() == 4
    loaded = "[...document.querySelectorAll('#optim_best_images img')].every((i) => i.complete && i.naturalWidth)"
    page.wait_for_function(loaded)
    expect(page.locator("#optim_errors")).to_contain_text("Trial 4")
    assert page.locator("#optim_best .optim-bar").count() == 26
    page.click("#optim_best_save")
    expect(page.locator("#optim_notice")).to_contain_text(".safetensors")
    assert fake.commands[-1].startswith("save_trial")


def test_reloading_the_page_mid_run_changes_nothing(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    start(page)
    points(page, 3)
    before = page.locator(POINTS).count()
    page.reload()
    expect(page.locator(STATE)).to_have_text("Running")
    points(page, before)
    page.close()
    assert fake.active
    again = new_page(address)
    expect(again.locator(STATE)).to_have_text("Running")
    points(again, before)
    assert fake.commands == []


def test_pause_continue_skip_and_stop(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    start(page)
    page.click("#optim_pause")
    expect(page.locator(STATE)).to_have_text("Paused")
    expect(page.locator("#optim_pause")).to_have_text("Continue")
    expect(page.locator("#optim_skip")).to_be_disabled()
    page.click("#optim_pause")
    expect(page.locator(STATE)).to_have_text("Running")
    page.click("#optim_skip")
    page.click("#optim_skip_trial")
    page.click("#optim_interrupt")
    expect(page.locator(STATE)).to_have_text("Finished")
    assert fake.commands == ["pause", "go_on", "skip_image", "skip_trial", "stop"]
    expect(page.locator("#optim_generate")).to_be_enabled()


def test_resume_an_earlier_run(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    start(page)
    page.click("#optim_interrupt")
    expect(page.locator(STATE)).to_have_text("Finished")
    open_fold(page, "resume")
    expect(page.locator("#optim_runs")).to_have_value(fake.runs()[0]["folder"])
    page.click("#optim_resume")
    expect(page.locator(STATE)).to_have_text("Running")
    assert len(fake.runs()) == 1


def test_a_point_shows_its_trial(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    start(page)
    points(page, 4)
    page.click("#optim_plot [data-trial='1']")
    expect(page.locator("#optim_current .optim-title")).to_have_text("Trial 1")
    page.wait_for_function("document.querySelector('#optim_current_images img').src.includes('/00001-')")
    page.click("#optim_current_images .optim-shot")
    expect(page.locator("dialog.optim-viewer")).to_contain_text("Trial 1")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".optim-viewer-facts")).to_contain_text("seed")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    page.click("#optim_current_follow")
    expect(page.locator("#optim_current .optim-title")).not_to_have_text("Trial 1")


def test_prompts_and_names_are_text(new_page: NewPage, address: str) -> None:
    page = new_page(address)
    page.evaluate("() => { window.alert = () => { document.title = 'run'; }; }")
    open_fold(page, "payloads")
    expect(page.locator("#optim_payloads")).to_contain_text(PROMPT)
    start(page, trials=1)
    expect(page.locator(STATE)).to_have_text("Finished")
    page.click("#optim_current_images .optim-shot >> nth=3")
    expect(page.locator(".optim-viewer-prompt")).to_have_text(PROMPT)
    assert page.locator("#optim_root script").count() == 0
    assert page.title() != "run"


def test_check_plan_shows_table_and_problems(new_page: NewPage, address: str) -> None:
    page = new_page(address)
    page.click("label:has(#optim_mode_custom)")
    page.fill("#optim_custom", "IN00-IN05: 0.2..0.8\nM00: =0.5")
    expect(page.locator("#optim_size")).to_have_text("6 parameters")
    page.click("#optim_check")
    dialog = page.locator("#optim_check_dialog")
    expect(dialog).to_contain_text("ready to run")
    assert dialog.locator("tbody tr").count() == 7
    expect(dialog).to_contain_text("4 per trial, 120 in 30 trials")
    page.keyboard.press("Escape")
    page.fill("#optim_custom", "IN00-IN05: 0.8..0.2")
    choose(page, "optim_model_b", "big_xl")
    expect(page.locator("#optim_architecture")).to_have_class("optim-badge optim-badge-bad")
    page.click("#optim_generate")
    expect(page.locator("#optim_notice")).to_contain_text("Line 1")
    expect(page.locator("#optim_vary_card.optim-has-problem")).to_have_count(1)
    page.fill("#optim_custom", "IN00-IN05: 0..1")
    page.click("#optim_generate")
    expect(page.locator("#optim_notice")).to_contain_text("different architectures")
    expect(page.locator("#optim_models.optim-has-problem")).to_have_count(1)
    expect(page.locator(STATE)).to_have_text("Ready")


def test_the_form_pairs_models_fits_the_method_and_remembers(new_page: NewPage, address: str) -> None:
    page = new_page(address)
    expect(page.locator("#optim_method")).to_have_value("Weighted sum")
    choose(page, "optim_model_c", "meadow")
    expect(page.locator("#optim_method")).to_have_value("Add difference")
    page.fill("#optim_parameter_alpha", "0.1..0.9")
    open_fold(page, "payloads")
    page.click("#optim_payloads input[value=forest]")
    page.click("label:has(#optim_mode_groups)")
    expect(page.locator("#optim_size")).to_have_text("4 parameters")
    page.reload()
    expect(page.locator("#optim_model_c")).to_have_value("meadow")
    expect(page.locator("#optim_method")).to_have_value("Add difference")
    expect(page.locator("#optim_parameter_alpha")).to_have_value("0.1..0.9")
    expect(page.locator("#optim_payloads_card .optim-summary")).to_contain_text("2 images · lighthouse")
    expect(page.locator("#optim_size")).to_have_text("4 parameters")


def test_dropdowns_filter_and_work_with_the_keyboard(new_page: NewPage, address: str) -> None:
    page = new_page(address)
    box = page.locator("#optim_model_a")
    box.click()
    box.fill("mea")
    assert page.locator("#optim_model_a_list [role=option]").all_inner_texts() == ["meadow\nStable Diffusion 1.x"]
    page.keyboard.press("Enter")
    expect(box).to_have_value("meadow")
    box.fill("no such thing")
    expect(page.locator("#optim_model_a_list")).to_contain_text("Nothing fits")
    page.keyboard.press("Escape")
    expect(box).to_have_value("meadow")


def test_live_data_shifts_nothing_and_steals_neither_focus_nor_scroll(
    new_page: NewPage, address: str, fake: FakeManager
) -> None:
    page = new_page(address, height=600)
    start(page)
    open_fold(page, "run")
    points(page, 6)  # by now a trial has failed, so the list of errors stands
    page.focus("#optim_name")
    page.evaluate("document.activeElement.scrollIntoView({ block: 'center' })")
    scroll = page.evaluate("window.scrollY")
    assert scroll > 0
    page.wait_for_timeout(800)
    page.evaluate("""() => {
      window.shifts = 0;
      new PerformanceObserver((list) => { for (const e of list.getEntries()) window.shifts += e.value; })
        .observe({ type: 'layout-shift' });
    }""")
    page.keyboard.type("typing while it runs", delay=150)
    before = page.locator(POINTS).count()
    points(page, before + 4)
    assert page.evaluate("document.activeElement.id") == "optim_name"
    assert page.input_value("#optim_name") == "typing while it runs"
    assert page.evaluate("window.scrollY") == scroll
    assert page.evaluate("window.shifts") < 0.001


@pytest.mark.parametrize("width", [1280, 1920])
def test_nothing_sticks_out(new_page: NewPage, address: str, width: int) -> None:
    page = new_page(address, width=width)
    for name in ("payloads", "judges", "budget", "run", "resume", "selftest"):
        open_fold(page, name)
    by_hand(page)
    start(page, trials=2)
    expect(page.locator(STATE)).to_have_text("Your turn")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert (
        page.evaluate("""() => {
      const out = [];
      for (const card of document.querySelectorAll('#optim_root .optim-card, #optim_root .optim-bar-top')) {
        const edge = card.getBoundingClientRect().right + 1;
        for (const inner of card.querySelectorAll('*')) {
          const box = inner.getBoundingClientRect();
          if (box.width && box.right > edge && !inner.closest('svg')) out.push(`${card.id} ${inner.className}`);
        }
      }
      return out;
    }""")
        == []
    )


def test_hidden_in_a_webui_it_does_not_ask_and_hears_no_keys(new_page: NewPage, fake: FakeManager) -> None:
    tab = build_tab(fake)  # type: ignore[arg-type]
    with gr.Blocks(analytics_enabled=False) as page_blocks, gr.Tabs():
        with gr.TabItem("txt2img", id="txt2img", elem_id="tab_txt2img"):
            gr.Textbox(label="Prompt", elem_id="prompt")
        with gr.TabItem("Optim", id="optim", elem_id="tab_optim"):
            tab.render()
    url = serve(page_blocks, fake, free_port())  # type: ignore[arg-type]
    new_page.afterwards(lambda: page_blocks.close(verbose=False))
    page = new_page(url, state="attached")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "snapshot" in request.url else None)
    page.wait_for_timeout(2500)
    assert asked == []
    page.locator("button", has_text="Optim").first.click()
    expect(page.locator("#optim_generate")).to_be_visible()
    by_hand(page)
    start(page, trials=1)
    expect(page.locator(STATE)).to_have_text("Your turn")
    page.locator("button", has_text="txt2img").first.click()
    page.keyboard.press("7")
    page.wait_for_timeout(1200)
    assert fake.scores == {}
