"""The panel for comparing in a real browser, over real runs of the demo pair: keys, buttons, undo, offline, grid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from lib_optim.plan.run_plan import Budget, RunPlan, SamplerSpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.store import Store
from lib_optim.ui.standalone import open_page
from tests.browser.conftest import NewPage, free_port, lose_first_answer
from tests.browser.test_tab import STATE, open_fold
from tests.rig import Rig, payload

pytestmark = [pytest.mark.ui, pytest.mark.browser]

PANEL, PICTURES = "#optim_compare", "#optim_compare .optim-picture:not([hidden])"
SENT = "() => !Object.keys(localStorage).some((key) => key.startsWith('optim_said_'))"


@pytest.fixture
def server(rig: Rig, new_page: NewPage) -> Iterator[str]:
    page, url = open_page(rig.manager, free_port())
    new_page.afterwards(lambda: page.close(verbose=False))
    yield url
    rig.manager.stop()
    rig.manager.wait(60)


def plan(rig: Rig, trials: int, judges: tuple[str, ...] = (), ahead: int = 0, **options: Any) -> RunPlan:
    eyes = ScorerSpec("manual", options={"way": "pairs", "comparisons": 1, **options})
    return rig.plan(
        scorers=(eyes, *map(ScorerSpec, judges)), payloads=(payload(),), budget=Budget(trials), ahead=ahead,
        sampler=SamplerSpec("random", presets=("half",)),
    )  # fmt: skip


def asked(page: Page, *, grid: bool = False) -> None:
    """Wait for a question that can be answered."""
    expect(page.locator(f"{PANEL} .optim-title")).to_have_text(
        "Which is the best?" if grid else re.compile("Better than the best|Which is better"), timeout=60_000
    )


def shown(rig: Rig) -> list[int]:
    """Return the trials of the question, from left to right."""
    return [picture["trial"] for picture in rig.snapshot()["comparing"]["questions"][0]["shown"]]


def said(rig: Rig) -> list[Any]:
    store = Store(rig.folder_of(rig.snapshot()["run"]["folder"]).database)
    found = store.comparisons()
    store.close()
    return found


def test_keys_answer_undo_and_the_run_ends(rig: Rig, server: str, new_page: NewPage) -> None:
    rig.manager.start(plan(rig, 5))
    page = new_page(server)
    asked(page)
    assert page.locator(PICTURES).count() == 2
    expect(page.locator(f"{PANEL} .optim-compare-facts")).to_contain_text("fox · seed 7")
    assert "trial" not in page.locator(PANEL).inner_text().lower().replace("their trials fail", "")
    first = shown(rig)
    page.keyboard.press("ArrowRight")
    rig.until(lambda: len(said(rig)) == 1 and rig.snapshot()["comparing"]["questions"])
    assert said(rig)[0].best == first[1]
    asked(page)
    page.keyboard.press("u")
    rig.until(lambda: len(said(rig)) == 2)
    rig.until(lambda: rig.states()[1] == "waiting", "the trial to wait again")
    asked(page)
    expect(page.locator(f"{PANEL} .optim-compare-facts")).to_contain_text("0 comparisons so far")
    page.keyboard.press("1")
    rig.until(lambda: len(said(rig)) == 3)
    asked(page)
    page.keyboard.press("0")
    rig.until(lambda: len(said(rig)) == 4)
    asked(page)
    left = shown(rig)[0]
    page.keyboard.press("Shift+ArrowLeft")
    rig.until(lambda: rig.states()[left] == "failed", "the broken one to fail")
    outcomes = [comparison.outcome for comparison in said(rig)]
    assert outcomes == ["better", "undone", "better", "tie", "broken"]
    page.keyboard.press("u")  # not broken after all
    rig.until(lambda: rig.states()[left] != "failed", "the broken one to come back")
    for _ in range(300):
        if rig.snapshot()["state"] == "finished":
            break
        page.keyboard.press("1")  # counts only while something is asked
        page.wait_for_timeout(200)
    expect(page.locator(STATE)).to_have_text("Finished")
    expect(page.locator(PANEL)).to_be_hidden()
    assert rig.states() == ["complete"] * 5
    assert len({c.request for c in said(rig)}) == len(said(rig))


def test_buttons_do_the_same_and_space_is_the_full_view(rig: Rig, server: str, new_page: NewPage) -> None:
    rig.manager.start(plan(rig, 4, judges=("technical",)))
    page = new_page(server)
    asked(page)
    right = shown(rig)[1]
    page.click(f"{PICTURES} >> nth=1 >> .optim-picture-button")
    rig.until(lambda: said(rig))
    assert said(rig)[0].best == right
    asked(page)
    page.keyboard.press("Space")
    expect(page.locator(".optim-rate-full")).to_have_count(1)
    page.click("#optim_compare_same")
    rig.until(lambda: len(said(rig)) == 2)
    assert said(rig)[1].outcome == "tie"
    page.keyboard.press("Escape")
    expect(page.locator(".optim-rate-full")).to_have_count(0)
    page.click("#optim_compare_auto")
    expect(page.locator(STATE)).to_have_text("Finished")
    assert rig.states() == ["complete"] * 4
    page.keyboard.press("1")
    assert len(said(rig)) == 2


def test_grid_best_then_worst(rig: Rig, server: str, new_page: NewPage) -> None:
    rig.manager.start(plan(rig, 4, way="grid", pictures=3, ahead=1))
    page = new_page(server)
    rig.until(lambda: rig.snapshot()["state"] == "waiting" and len(rig.snapshot()["waiting"]) == 2)
    asked(page, grid=True)
    expect(page.locator(PICTURES)).to_have_count(3)
    trials = shown(rig)
    page.keyboard.press("2")
    expect(page.locator(f"{PANEL} .optim-title")).to_have_text("And which is the worst?")
    page.keyboard.press("2")  # the same again takes it back
    asked(page, grid=True)
    page.click(f"{PICTURES} >> nth=2 >> .optim-picture-button")
    page.click(f"{PICTURES} >> nth=0 >> .optim-picture-button")
    rig.until(lambda: said(rig))
    answer = said(rig)[0]
    assert (answer.best, answer.worst, sorted(answer.subjects)) == (trials[2], trials[0], [1, 2])
    asked(page, grid=True)
    page.keyboard.press("1")
    page.keyboard.press("3")
    expect(page.locator(STATE)).to_have_text("Finished")
    assert rig.states() == ["complete"] * 4
    assert len(said(rig)) == 2, "four merges with four clicks"


def test_a_grid_keeps_its_pictures_between_the_two_clicks(rig: Rig, server: str, new_page: NewPage) -> None:
    rig.manager.start(plan(rig, 3, way="grid", pictures=3, ahead=1))
    page = new_page(server)
    rig.until(lambda: len(rig.snapshot()["waiting"]) == 2)
    expect(page.locator(PICTURES)).to_have_count(3)
    trials = shown(rig)
    page.keyboard.press("3")
    expect(page.locator(f"{PANEL} .optim-title")).to_have_text("And which is the worst?")
    asked_for = []

    def another_question(route: Any) -> None:
        data = route.fetch().json()
        for question in data["comparing"]["questions"]:
            question |= {"id": "another", "shown": question["shown"][:2]}
        asked_for.append(data)
        route.fulfill(json=data)

    page.route("**/optim/api/snapshot*", another_question)
    page.wait_for_timeout(3000)
    assert len(asked_for) > 1
    expect(page.locator(f"{PANEL} .optim-title")).to_have_text("And which is the worst?")
    expect(page.locator(PICTURES)).to_have_count(3)
    page.unroute("**/optim/api/snapshot*")
    page.keyboard.press("1")
    expect(page.locator(STATE)).to_have_text("Finished")
    assert [(c.best, c.worst, len(c.shown)) for c in said(rig)] == [(trials[2], trials[0], 3)]


def test_offline_answers_come_later_and_count_once(rig: Rig, server: str, new_page: NewPage) -> None:
    rig.manager.start(plan(rig, 4))
    page = new_page(server)
    asked(page)
    page.context.set_offline(True)
    page.keyboard.press("2")
    page.keyboard.press("1")  # there is no question any more: it counts for nothing
    expect(page.locator(STATE)).to_have_text("No answer")
    expect(page.locator(PANEL)).to_contain_text("1 not sent yet")
    assert said(rig) == []
    page.context.set_offline(False)
    page.wait_for_function(SENT)
    asked(page)
    assert len(said(rig)) == 1
    lost = lose_first_answer(page, "compare")
    with page.expect_request("**/optim/api/compare"):
        page.keyboard.press("1")
    page.wait_for_function(SENT)
    assert lost
    assert [c.request for c in said(rig)][1:] == lost
    asked(page)
    page.keyboard.press("1")
    expect(page.locator(STATE)).to_have_text("Finished")
    assert len(said(rig)) == 3


def test_the_list_of_keys_changes_them(rig: Rig, server: str, new_page: NewPage) -> None:
    rig.manager.start(plan(rig, 3))
    page = new_page(server)
    asked(page)
    page.keyboard.press("?")
    dialog = page.locator("#optim_keys_dialog")
    expect(dialog.locator(".optim-key")).to_have_count(21)
    expect(dialog.locator("#optim_scale")).to_have_count(0)
    dialog.locator("[data-action=same]").click()
    page.keyboard.press("Shift+ArrowRight")  # taken from the second's brokenness
    expect(dialog.locator("[data-action=same]")).to_have_text("⇧ →")
    expect(dialog.locator("[data-action=broken_2]")).to_have_text("none")
    page.keyboard.press("Escape")
    page.reload()
    asked(page)
    page.keyboard.press("Shift+ArrowRight")
    rig.until(lambda: said(rig))
    assert said(rig)[0].outcome == "tie"


def test_scores_are_hidden_until_asked(rig: Rig, server: str, new_page: NewPage) -> None:
    rig.manager.start(plan(rig, 3))
    page = new_page(server)
    asked(page)
    expect(page.locator("#optim_compare_secrets")).to_be_hidden()
    page.keyboard.press("v")
    expect(page.locator("#optim_compare_secrets")).to_contain_text("trial 0 · preset: half · value 5")
    page.keyboard.press("v")
    expect(page.locator("#optim_compare_secrets")).to_be_hidden()


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 900)])
def test_it_fits_and_nothing_moves(rig: Rig, server: str, new_page: NewPage, width: int, height: int) -> None:
    rig.manager.start(plan(rig, 4))
    page = new_page(server, width, height)
    asked(page)
    place = (
        "() => ['#optim_compare .optim-picture', '#optim_compare_same', '#optim_compare_finish'].map((s) => {"
        " const r = document.querySelector(s).getBoundingClientRect();"
        " return [r.x, r.y + scrollY, r.width, r.height].map(Math.round); })"
    )
    page.evaluate("scrollTo(0, 0)")
    before = page.evaluate(place)
    page.evaluate("document.querySelector('#optim_compare .optim-picture-button').click()")
    meanwhile = page.evaluate(place)
    rig.until(lambda: said(rig))
    asked(page)
    after = page.evaluate(place)
    shifts = {(now[0][1] - before[0][1]) for now in (meanwhile, after)}
    for now in (meanwhile, after):
        assert [[x, y - (now[0][1] - before[0][1]), w, h] for x, y, w, h in now] == before
    bar = page.evaluate("document.querySelector('.optim-bar-top').getBoundingClientRect().height")
    assert max(map(abs, shifts)) <= bar, "the bar above may gain a line where its sentence wraps"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert after[1][1] + after[1][3] <= height, "what answers is in view without scrolling"


def test_the_form_sets_the_way(rig: Rig, server: str, new_page: NewPage, tmp_path: Path) -> None:
    page = new_page(server)
    expect(page.locator("#optim_generate")).to_be_enabled(timeout=60_000)
    open_fold(page, "judges")
    page.click("#optim_judges input[value=manual]")
    expect(page.locator("#optim_comparisons")).to_be_hidden()
    page.select_option("#optim_way", "grid")
    expect(page.locator("#optim_ratings")).to_be_hidden()
    expect(page.locator("#optim_pictures")).to_be_visible()
    page.select_option("#optim_way", "pairs")
    expect(page.locator("#optim_pictures")).to_be_hidden()
    page.fill("#optim_comparisons", "3")
    with page.expect_request("**/optim/api/check") as sent:
        pass
    eyes = next(row for row in sent.value.post_data_json["form"]["scorers"] if row["id"] == "manual")
    assert eyes["options"] == {"way": "pairs", "comparisons": "3"}
