"""The rating panel in a real browser, over a scripted run: keys, buttons, undo, what is said offline and twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from lib_optim.ui.standalone import open_page
from tests.browser.conftest import NewPage, free_port, lose_first_answer
from tests.browser.test_tab import STATE, open_fold, start
from tests.ui.fake import FakeManager

pytestmark = [pytest.mark.ui, pytest.mark.browser]

PANEL = "#optim_rate"
SENT = "() => !Object.keys(localStorage).some((key) => key.startsWith('optim_said_'))"


def rate(page: Page, *, beside: str = "", trials: int = 2) -> None:
    """Start a run that is rated by hand; `beside`: an automatic judge. Waits until all four images are there."""
    open_fold(page, "judges")
    if beside != "technical":
        page.click("#optim_judges input[value=technical]")
    page.click("#optim_judges input[value=manual]")
    expect(page.locator("#optim_generate")).to_be_enabled(timeout=60_000)  # the first page waits for imports
    start(page, trials)
    expect(page.locator(STATE)).to_have_text("Your turn")
    expect(page.locator(PANEL)).to_contain_text("4 to rate · trial 0")


def button(page: Page, n: int) -> Any:
    return page.locator(f"{PANEL} .optim-score[data-score='{n}']")


def shown(page: Page, image: int) -> None:
    """Wait until the image with this number, from 1, is the large one."""
    expect(page.locator(".optim-rate-facts")).to_contain_text(f"image {image} of 4")


def sent(page: Page) -> None:
    page.wait_for_function(SENT)


def test_every_key_does_what_the_list_says(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    rate(page)
    expect(page.locator(".optim-rate-facts")).to_contain_text(re.compile(r"forest · seed \d+ · image 1 of 4"))
    page.keyboard.press("7")
    shown(page, 2)
    page.keyboard.press("0")
    shown(page, 3)
    page.keyboard.press("-")
    shown(page, 4)
    sent(page)
    assert fake.scores == {(0, 0): 7, (0, 1): 10, (0, 2): 0}
    page.keyboard.press("u")
    shown(page, 3)
    page.keyboard.press("Backspace")
    shown(page, 2)
    page.keyboard.press("ArrowLeft")
    shown(page, 1)
    expect(button(page, 7)).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("7")  # the same again takes it back
    expect(button(page, 7)).to_have_attribute("aria-pressed", "false")
    shown(page, 1)
    sent(page)
    assert fake.scores == {}
    page.keyboard.press("s")
    shown(page, 2)
    page.keyboard.press("ArrowRight")
    shown(page, 3)
    sent(page)
    assert fake.marks[0, 0] == {"left out"}
    page.keyboard.press("Space")
    expect(page.locator(".optim-rate-full")).to_have_count(1)
    page.keyboard.press("4")  # the keys go on working there
    shown(page, 4)
    page.keyboard.press("Escape")
    expect(page.locator(".optim-rate-full")).to_have_count(0)
    page.keyboard.press("b")
    expect(page.locator("#optim_rate_best")).to_be_visible()
    page.keyboard.press("b")
    expect(page.locator("#optim_rate_best")).to_be_hidden()
    page.keyboard.press("p")
    page.wait_for_function("() => document.querySelector('#optim_rate_pause').textContent.startsWith('Continue')")
    page.keyboard.press("p")
    page.keyboard.press("f")
    page.click("#optim_rate_finish_yes")
    expect(page.locator("#optim_rate_finish")).to_contain_text("Finishing")
    assert fake.commands == ["pause", "go_on", "finish"]
    page.keyboard.press("x")
    expect(page.locator(STATE)).to_have_text("Finished")
    assert fake.marks[0, 3] == {"broken"}
    assert len(fake.requests) == len(set(fake.requests)) == 9


def test_a_broken_image_is_undone_like_a_rating(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    rate(page)
    page.click("#optim_rate_broken")
    expect(page.locator(PANEL)).to_contain_text("trial 1")
    page.click("#optim_rate_undo")
    expect(page.locator(PANEL)).to_contain_text("trial 0")
    shown(page, 1)
    expect(page.locator("#optim_rate_broken")).to_have_attribute("aria-pressed", "false")
    sent(page)
    assert fake.marks[0, 0] == set()


def test_everything_is_a_button_too_and_a_click_leaves_space_alone(
    new_page: NewPage, address: str, fake: FakeManager
) -> None:
    page = new_page(address)
    rate(page, beside="technical")
    button(page, 8).click()
    shown(page, 2)
    page.keyboard.press("Space")  # full view, and not the button once more
    expect(page.locator(".optim-rate-full")).to_have_count(1)
    page.click("#optim_rate_full")
    page.click("#optim_rate_previous")
    shown(page, 1)
    expect(button(page, 8)).to_have_attribute("aria-pressed", "true")
    page.click("#optim_rate_next")
    page.click("#optim_rate_skip")
    shown(page, 3)
    page.click("#optim_rate_undo")
    shown(page, 2)
    page.click("#optim_rate_compare")
    expect(page.locator("#optim_rate_best")).to_be_visible()
    page.click("#optim_rate_auto")
    expect(page.locator(PANEL)).to_contain_text("Handed over")
    expect(page.locator("#optim_rate_auto")).to_contain_text("Take back")
    page.keyboard.press("a")
    expect(page.locator(PANEL)).to_contain_text("to rate")
    sent(page)
    assert fake.commands[:2] == ["hand_over", "take_back"]
    assert fake.scores[0, 0] == 8


def test_hand_over_needs_an_automatic_judge(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    rate(page)
    expect(page.locator("#optim_rate_auto")).to_be_disabled()
    assert "automatic judge" in str(page.get_attribute("#optim_rate_auto", "title"))
    page.keyboard.press("a")
    page.wait_for_timeout(300)
    assert fake.commands == []


def test_blind_until_asked(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    rate(page, beside="technical")
    fake.view.put_scores(0, 0, {"technical": 0.123}, None)
    expect(page.locator("#optim_current .optim-profile")).to_be_hidden()
    assert "0.123" not in page.inner_text("body")
    assert "IN05" not in page.inner_text(PANEL)
    page.click("label:has(#optim_rate_reveal)")
    expect(page.locator("#optim_rate_secrets")).to_contain_text("technical 0.123")
    expect(page.locator("#optim_rate_secrets")).to_contain_text("IN05_alpha")
    expect(page.locator("#optim_current .optim-profile")).to_be_visible()
    page.reload()
    expect(page.locator("#optim_rate_secrets")).to_be_visible()  # set once
    page.keyboard.press("v")
    expect(page.locator("#optim_rate_secrets")).to_be_hidden()


def test_keys_rest_while_typing_and_while_another_tab_is_shown(
    new_page: NewPage, address: str, fake: FakeManager
) -> None:
    page = new_page(address)
    rate(page)
    open_fold(page, "run")
    page.fill("#optim_name", "")
    page.type("#optim_name", "77sxu")
    expect(page.locator("#optim_name")).to_have_value("77sxu")
    page.evaluate("document.activeElement.blur()")
    page.evaluate("document.getElementById('optim_root').style.display = 'none'")
    page.keyboard.press("5")
    page.evaluate("document.getElementById('optim_root').style.display = ''")
    page.keyboard.press("Control+5")
    page.wait_for_timeout(300)
    assert fake.requests == []
    page.keyboard.press("5")
    sent(page)
    assert fake.scores == {(0, 0): 5}


def test_keys_can_be_changed_and_the_scale_too(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    rate(page)
    page.keyboard.press("?")
    dialog = page.locator("#optim_keys_dialog")
    assert dialog.locator(".optim-key").count() == 25
    dialog.locator("[data-action=skip]").click()
    page.keyboard.press("x")  # taken from Broken
    expect(dialog.locator("[data-action=skip]")).to_have_text("X")
    expect(dialog.locator("[data-action=broken]")).to_have_text("none")
    page.select_option("#optim_scale", "five")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    page.reload()
    expect(page.locator(PANEL)).to_contain_text("4 to rate")
    expect(page.locator(f"{PANEL} .optim-score")).to_have_count(5)
    page.keyboard.press("x")
    shown(page, 2)
    page.keyboard.press("9")  # not on this scale
    page.keyboard.press("2")
    shown(page, 3)
    sent(page)
    assert fake.marks[0, 0] == {"left out"}
    assert fake.scores == {(0, 1): 2.5}
    page.keyboard.press("?")
    page.click("#optim_keys_reset")
    expect(dialog.locator("[data-action=broken]")).to_have_text("X")


def test_a_row_of_digits_per_rating(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    open_fold(page, "judges")
    page.click("#optim_judges input[value=technical]")
    page.click("#optim_judges input[value=manual]")
    page.fill("#optim_ratings", "anatomy=2, style")
    start(page, 2)
    expect(page.locator(PANEL)).to_contain_text("4 to rate · trial 0")
    rows = page.locator(f"{PANEL} .optim-rating")
    assert rows.all_inner_texts() == [f"{name}\n" + "\n".join(map(str, range(11))) for name in ("anatomy", "style")]
    page.keyboard.press("7")
    expect(rows.nth(1)).to_have_class(re.compile("optim-row-at"))
    shown(page, 1)
    page.keyboard.press("4")
    shown(page, 2)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("9")
    shown(page, 2)
    page.keyboard.press("3")  # the one that was left out
    shown(page, 3)
    page.keyboard.press("u")
    shown(page, 2)
    sent(page)
    assert fake.ratings == {
        (0, 0): {"manual: anatomy": 7, "manual: style": 4}, (0, 1): {"manual: style": 9},
    }  # fmt: skip
    assert fake.plans[-1].scorers[0].weight == 2


def test_ten_fast_presses_are_ten_ratings(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    rate(page, trials=4)
    page.evaluate("""() => { for (const n of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
        document.querySelector(`#optim_rate .optim-score[data-score='${n}']`).click();
        }""")
    sent(page)
    assert len(fake.requests) == len(set(fake.requests)) == 10
    assert fake.scores == {(0, 0): 1, (0, 1): 2, (0, 2): 3, (0, 3): 10}


def test_what_is_said_offline_is_sent_later_in_order_and_counts_once(
    new_page: NewPage, address: str, fake: FakeManager
) -> None:
    page = new_page(address)
    rate(page, trials=1)
    page.context.set_offline(True)
    for key in ("4", "5"):
        page.keyboard.press(key)
    shown(page, 3)  # nobody waits for the network
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("9")  # changed his mind
    shown(page, 3)
    expect(page.locator(STATE)).to_have_text("No answer")
    expect(page.locator(PANEL)).to_contain_text("3 not sent yet")
    assert fake.requests == []
    page.context.set_offline(False)
    expect(page.locator(STATE)).to_have_text("Your turn")
    sent(page)
    assert fake.scores == {(0, 0): 4, (0, 1): 9}
    assert len(fake.requests) == 3

    # An answer that is lost on the way: the program has the rating, the page sends it again.
    lost = lose_first_answer(page, "score")
    with page.expect_request("**/optim/api/score"):
        page.keyboard.press("6")
    sent(page)
    assert lost
    assert fake.repeats == 1
    assert fake.scores[0, 2] == 6
    assert len(fake.requests) == len(set(fake.requests)) == 4


def test_a_second_tab_and_reloads_lose_nothing_and_count_nothing_twice(
    new_page: NewPage, address: str, fake: FakeManager
) -> None:
    page = new_page(address)
    rate(page, trials=5)
    other = page.context.new_page()  # the same browser: it shares the store
    other.goto(address)
    expect(other.locator(PANEL)).to_contain_text("4 to rate · trial 0")
    page.context.set_offline(True)
    page.keyboard.press("1")
    page.keyboard.press("2")
    other.bring_to_front()
    shown(other, 3)  # it knows what the first one has said
    other.keyboard.press("3")
    other.keyboard.press("4")
    page.bring_to_front()
    # what one tab stores reaches the other a moment later
    kept = "Object.keys(localStorage).filter((key) => key.startsWith('optim_said_')).length"
    page.wait_for_function(f"() => {kept} === 4")
    assert fake.requests == []
    other.close()  # with two ratings that it never sent
    page.context.set_offline(False)
    page.reload()
    expect(page.locator(PANEL)).to_contain_text("trial 1")
    sent(page)
    assert fake.scores == {(0, 0): 1, (0, 1): 2, (0, 2): 3, (0, 3): 4}
    assert len(fake.requests) == len(set(fake.requests)) == 4
    page.keyboard.press("u")  # the sitting goes on after the reload
    expect(page.locator(PANEL)).to_contain_text("trial 0")


def test_ratings_for_a_run_that_is_not_open_wait_for_it(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    rate(page, trials=1)
    page.context.set_offline(True)
    page.keyboard.press("8")
    fake.stop()
    fake._thread.join(20)  # type: ignore[union-attr]
    page.context.set_offline(False)
    expect(page.locator(STATE)).to_have_text("Finished")
    sent(page)
    assert fake.scores == {(0, 0): 8}
    page.click("#optim_current_images .optim-shot >> nth=1")  # the panel is gone, its images can be rated all the same
    page.keyboard.press("3")
    page.keyboard.press("Escape")
    sent(page)
    assert fake.scores == {(0, 0): 8, (0, 1): 3}


def test_what_was_said_while_the_program_was_down_reaches_the_resumed_run(new_page: NewPage, tmp_path: Path) -> None:
    port = free_port()
    first = FakeManager(tmp_path, image_seconds=0.08)
    server, url = open_page(first, port)  # type: ignore[arg-type]
    page = new_page(url)
    rate(page, trials=1)
    page.keyboard.press("4")
    sent(page)
    server.close(verbose=False)  # before the run ends: a program that is killed says nothing
    page.keyboard.press("7")
    expect(page.locator(STATE)).to_have_text("No answer")
    first.close()
    new_page.complaints.clear()  # of requests that met a closed door
    second = FakeManager(tmp_path, image_seconds=0.08)
    server, _ = open_page(second, port)  # type: ignore[arg-type]
    new_page.afterwards(lambda: (second.close(), server.close(verbose=False)))
    expect(page.locator(STATE)).to_have_text("Ready")
    expect(page.locator(PANEL)).to_be_hidden()
    new_page.complaints.clear()
    page.reload()
    expect(page.locator(STATE)).to_have_text("Ready")
    open_fold(page, "resume")
    page.click("#optim_resume")
    expect(page.locator(PANEL)).to_be_visible()
    sent(page)
    assert second.scores[0, 1] == 7
    assert len(second.requests) == 1


def test_a_finished_trial_is_rated_again_from_its_large_view(
    new_page: NewPage, address: str, fake: FakeManager
) -> None:
    page = new_page(address)
    rate(page)
    for key in ("5", "5", "5", "5"):
        page.keyboard.press(key)
    expect(page.locator(PANEL)).to_contain_text("trial 1")
    page.click("#optim_plot [data-trial='0']")
    expect(page.locator("#optim_current .optim-title")).to_have_text("Trial 0")
    page.click("#optim_current_images .optim-shot >> nth=1")
    viewer = page.locator("dialog.optim-viewer")
    expect(viewer.locator(".optim-score[data-score='5']")).to_have_attribute("aria-pressed", "true")
    viewer.locator(".optim-score[data-score='9']").click()
    expect(viewer.locator(".optim-score[data-score='9']")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("2")
    page.keyboard.press("Escape")
    sent(page)
    assert fake.scores == {(0, 0): 5, (0, 1): 9, (0, 2): 2, (0, 3): 5}


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 900), (1920, 1080)])
def test_it_fits_and_nothing_moves_when_images_arrive(
    new_page: NewPage, address: str, fake: FakeManager, width: int, height: int
) -> None:
    page = new_page(address, width, height)
    open_fold(page, "judges")
    page.click("#optim_judges input[value=technical]")
    page.click("#optim_judges input[value=manual]")
    start(page, 3)
    page.wait_for_selector(f"{PANEL}:not([hidden])")
    place = (
        "() => ['#optim_rate_image', '#optim_rate_next', '#optim_rate .optim-scores', '#optim_rate_undo'].map((s) => {"
        " const r = document.querySelector(s).getBoundingClientRect();"
        " return [r.x, r.y + scrollY, r.width, r.height].map(Math.round); })"
    )
    page.evaluate("scrollTo(0, 0)")
    before = page.evaluate(place)
    expect(page.locator(STATE)).to_have_text("Your turn")
    bar = page.evaluate("document.querySelector('.optim-bar-top').getBoundingClientRect().height")
    after = page.evaluate(place)
    shift = after[0][1] - before[0][1]
    assert [[x, y - shift, w, h] for x, y, w, h in after] == before, "the parts keep their places and sizes"
    assert abs(shift) <= bar  # the bar above may gain a line where its sentence wraps
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sticking = """() => {
      const edge = document.querySelector('#optim_rate').getBoundingClientRect().right;
      const inner = [...document.querySelectorAll('#optim_rate *')];
      return inner.filter((node) => node.getBoundingClientRect().right > edge + 1).map((node) => node.className);
    }"""
    assert page.evaluate(sticking) == []
    assert after[2][1] + after[2][3] <= height, "the buttons that rate are in view without scrolling"
    for _ in range(3):
        page.keyboard.press("3")
    shown(page, 4)
    assert page.evaluate(place) == after
    small = page.evaluate(
        "Math.min(...[...document.querySelectorAll('#optim_rate .optim-score')].map((b) => b.offsetHeight))"
    )
    assert small >= (44 if width == 390 else 32)
