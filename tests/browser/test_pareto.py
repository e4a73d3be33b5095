"""Several goals in a real browser: the form names them, the card shows the front, and a trial of it is chosen."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from lib_optim.plan.records import Finalist, Verdict
from lib_optim.search.pareto import chosen_by, front
from tests.browser.conftest import NewPage
from tests.browser.test_tab import STATE, open_fold, start
from tests.ui.fake import FakeManager

pytestmark = [pytest.mark.ui, pytest.mark.browser]

POINTS = "#optim_pareto_plot [data-trial]"
GOALS = ("picture", "likeness")


def look(page: Page, name: str) -> None:
    """Keep a picture of the page where OPTIM_PICTURES says."""
    folder = os.environ.get("OPTIM_PICTURES")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def two_goals(page: Page, fake: FakeManager) -> None:
    """Fill in two judges with a goal each."""
    reference = fake.outputs.parent / "reference.png"
    Image.new("RGB", (64, 64)).save(reference)
    open_fold(page, "judges")
    page.check("#optim_goals")
    expect(page.locator("#optim_goal_technical")).to_have_value("Technical quality")
    page.click(".optim-judges-more[data-group=alike] > summary")
    page.check("#optim_judges input[value=similarity]")
    expect(page.locator("#optim_goal_similarity")).to_have_value("Similarity to a reference")
    page.fill("#optim_option_similarity_reference", str(reference))
    page.fill("#optim_goal_technical", GOALS[0])
    page.fill("#optim_goal_similarity", GOALS[1])


def drag(page: Page, goal: int, value: float) -> None:
    page.evaluate(
        f"(() => {{ const s = document.querySelector('#optim_pareto_weight{goal}'); s.value = {value}; "
        "s.dispatchEvent(new Event('input')); })()"
    )


def shown(page: Page) -> int:
    return int(page.inner_text("#optim_pareto_trial").split()[-1])


def test_goals_are_named_watched_and_one_trial_is_chosen(new_page: NewPage, address: str, fake: FakeManager) -> None:
    fake.image_seconds = 0.005
    page = new_page(address)
    two_goals(page, fake)
    start(page, 16)
    expect(page.locator(STATE)).to_have_text("Finished")
    assert [(spec.id, spec.axis) for spec in fake.plans[0].scorers] == [
        ("technical", GOALS[0]), ("similarity", GOALS[1]),
    ]  # fmt: skip
    snapshot = fake.snapshot()
    best = snapshot["pareto"]["front"]
    values = {t["number"]: tuple(t["axes"].values()) for t in snapshot["trials"] if "axes" in t}
    expect(page.locator(POINTS)).to_have_count(16)
    expect(page.locator("#optim_pareto_plot .optim-on-front")).to_have_count(len(best))
    assert 2 < len(best) < 16
    look(page, "pareto")

    # The sliders find what the program's own rule finds: the ends of the front, and what lies between.
    for weights in ((10, 0), (0, 10), (5, 5), (9, 2)):
        for goal, weight in enumerate(weights):
            drag(page, goal, weight)
        assert shown(page) == chosen_by(values, weights)
    # The images of what is looked at are there, and open large.
    page.wait_for_function(
        "[...document.querySelectorAll('#optim_pareto_images img')].every((i) => i.complete && i.naturalWidth)"
    )
    page.locator("#optim_pareto_images button").first.click()
    expect(page.locator("dialog.optim-viewer")).to_have_attribute("aria-label", f"Trial {shown(page)}")
    page.keyboard.press("Escape")

    # Any point can be looked at; a choice is recorded, outlives the page, and can be taken back.
    beaten = next(number for number in values if number not in best)
    page.locator(f"{POINTS}[data-trial='{beaten}']").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#optim_pareto")).to_contain_text("beaten by others")
    wanted = next(number for number in best if number != snapshot["best"]["trial"])
    page.locator(f"{POINTS}[data-trial='{wanted}']").focus()
    page.keyboard.press("Enter")
    page.click("#optim_choose")
    expect(page.locator(f"{POINTS}.optim-chosen")).to_have_attribute("data-trial", str(wanted))
    assert fake.commands[-1] == f"choose {wanted}"
    expect(page.locator("#optim_best .optim-title")).to_have_text(f"Choice: trial {wanted}")
    page.reload()
    expect(page.locator("#optim_pareto_trial")).to_have_text(f"Trial {wanted}")
    expect(page.locator("#optim_choose")).to_be_disabled()
    page.click("#optim_unchoose")
    expect(page.locator(f"{POINTS}.optim-chosen")).to_have_count(0)
    expect(page.locator("#optim_best .optim-title")).to_contain_text("Best: trial")
    expect(page.locator("#optim_unchoose")).to_be_hidden()

    row = Finalist(
        wanted, 1, 7.0, 5.0, None, {}, 6.0, dict(zip(GOALS, (0.5, 2.0), strict=True)),
        dict(zip(GOALS, (0.25, 3.0), strict=True)),
    )  # fmt: skip
    fake.view.set_verdict(Verdict(wanted, (row,)))
    expect(page.locator("#optim_verdict th")).to_have_text(
        ["Trial", "In the search", "Fresh seeds", "Together", *GOALS]
    )
    expect(page.locator("#optim_verdict td")).to_have_text([f"{wanted} · winner", "7", "5", "6", "0.5 → 0.25", "2 → 3"])
    expect(page.locator("#optim_pareto_plot .optim-verified")).to_have_count(1)


def test_one_goal_shows_no_card_and_switching_off_clears_the_names(
    new_page: NewPage, address: str, fake: FakeManager
) -> None:
    fake.image_seconds = 0.005
    page = new_page(address)
    two_goals(page, fake)
    page.uncheck("#optim_goals")
    expect(page.locator("#optim_goal_technical")).to_have_count(0)
    start(page, 2)
    expect(page.locator(STATE)).to_have_text("Finished")
    assert [spec.axis for spec in fake.plans[0].scorers] == ["", ""]
    expect(page.locator("#optim_plot")).to_be_visible()
    expect(page.locator("#optim_pareto")).to_be_hidden()


def test_a_goal_without_a_name_and_a_search_for_one_goal_are_refused(
    new_page: NewPage, address: str, fake: FakeManager
) -> None:
    page = new_page(address)
    two_goals(page, fake)
    page.fill("#optim_goal_similarity", "")
    expect(page.locator("#optim_planline")).to_contain_text("The judge similarity belongs to no goal")
    page.fill("#optim_goal_similarity", GOALS[1])
    expect(page.locator("#optim_planline")).to_contain_text("images")
    open_fold(page, "budget")
    page.select_option("#optim_sampler", "cma")
    expect(page.locator("#optim_planline")).to_contain_text("The search 'CMA-ES' knows one goal only")


def test_the_sliders_rule_is_the_programs_rule(new_page: NewPage, address: str) -> None:
    page = new_page(address)
    rng = random.Random(3)
    for axes in (2, 3):
        for _ in range(30):
            points = {n: tuple(rng.choice((0.0, 1.0, rng.random())) for _ in range(axes)) for n in range(12)}
            weights = [rng.choice((0.0, 10 * rng.random())) for _ in range(axes)]
            best = {number: points[number] for number in front(points)}
            answer = page.evaluate(f"window.optimTab.chosenBy({json.dumps(best)}, {json.dumps(weights)})")
            assert answer == chosen_by(points, weights), (points, weights)


def test_three_goals_are_turned_against_each_other(new_page: NewPage, address: str, fake: FakeManager) -> None:
    fake.image_seconds = 0.005
    page = new_page(address)
    two_goals(page, fake)
    page.check("#optim_judges input[value=manual]")
    page.fill("#optim_goal_manual", "eyes")
    start(page, 3)
    for trial in range(3):
        page.wait_for_function(f"document.querySelector('#optim_facts').textContent.includes('trial {trial + 1}/3')")
        for image in range(4):
            while (trial, image) not in fake.scores:
                page.wait_for_timeout(100)
                if [trial, image] in fake.snapshot()["waiting"]:
                    fake.score(trial, image, 5.0, f"{trial} {image}")
    expect(page.locator(STATE)).to_have_text("Finished")
    expect(page.locator(POINTS)).to_have_count(3)
    names = page.locator("#optim_pareto_plot .optim-pareto-name")
    expect(names).to_have_text([f"{GOALS[0]} →", f"↑ {GOALS[1]}"])
    page.select_option("#optim_pareto_x", label="eyes")
    expect(names).to_have_text(["eyes →", f"↑ {GOALS[1]}"])
    page.select_option("#optim_pareto_y", label="eyes")
    expect(names).to_have_text([f"{GOALS[1]} →", "↑ eyes"])
    expect(page.locator("#optim_pareto")).to_contain_text(f"Colour: {GOALS[0]}, strong is high")
    look(page, "pareto-three")
