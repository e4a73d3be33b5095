"""All trials in a real browser: sorted, filtered, compared, and still while the run goes on."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from lib_optim.plan.records import ImageRecord, Trial
from tests.browser.conftest import NewPage
from tests.browser.shots import shot
from tests.browser.test_tab import STATE, start
from tests.ui.fake import BLOCKS, FakeManager

pytestmark = [pytest.mark.ui, pytest.mark.browser]

HALF = {f"{block}_alpha": 0.5 for block in BLOCKS}
TILES = "#optim_trials_grid .optim-tile"
LOADED = (
    "[...document.querySelectorAll('#optim_trials_grid img')].filter((i) => i.getBoundingClientRect().top < 900)"
    ".every((i) => i.complete && i.naturalWidth)"
)
IN_VIEW_LOADED = """() => {
  const grid = document.querySelector('#optim_trials_grid').getBoundingClientRect();
  return [...document.querySelectorAll('#optim_trials_grid .optim-tile')].filter((tile) => {
    const box = tile.getBoundingClientRect();
    return box.bottom > grid.top && box.top < grid.bottom;
  }).every((tile) => tile.querySelector('img'));
}"""
SHIFTS = """() => {
  window.shifts = [];
  new PerformanceObserver((list) => window.shifts.push(...list.getEntries().filter((e) => !e.hadRecentInput)
    .map((e) => [e.value, ...e.sources.map((s) => s.node && (s.node.id || s.node.className || s.node.nodeName))])))
    .observe({ type: 'layout-shift', buffered: false });
}"""


def finished(page: Page, fake: FakeManager, trials: int) -> None:
    fake.image_seconds = 0.005
    expect(page.locator("#optim_generate")).to_be_enabled(timeout=90_000)  # methods are read, on a machine that is busy
    start(page, trials)
    expect(page.locator(STATE)).to_have_text("Finished")


def show(page: Page) -> None:
    page.click("#optim_trials_card > summary")
    expect(page.locator(TILES).first).to_be_visible(timeout=60_000)  # a thousand tiles, on a machine that is busy
    page.locator("#optim_trials_card").scroll_into_view_if_needed()


def numbers(page: Page) -> list[int]:
    return [int(n) for n in page.eval_on_selector_all(TILES, "all => all.map((t) => t.dataset.trial)")]


def by_value(fake: FakeManager, sign: int = -1) -> list[int]:
    """Numbers of all trials by score; what has none comes last."""
    trials = fake.view.trials()
    return [t.number for t in sorted(trials, key=lambda t: (t.value is None, sign * (t.value or 0.0), t.number))]


def long_view(fake: FakeManager, count: int) -> None:
    """Put many trials behind those that were run; they have the pictures of the first."""
    images = fake.view.images([0])["0"]
    for number in range(fake.view.trials()[-1].number + 1, count):
        values = {f"{block}_alpha": (number * 7 % 101) / 101 for block in BLOCKS}
        for image in images:
            record = ImageRecord(
                number, image["index"], image["payload"], image["seed"], f"images/{image['file']}", "", ""
            )
            fake.view.put_image(record)
        fake.view.put_trial(
            Trial(number, "complete", values, "sampler: tpe", "0" * 12, number * 3 % 997 / 100, "", {"merge": 0.1})
        )


def test_trials_are_sorted_filtered_and_opened(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    finished(page, fake, 9)
    show(page)
    assert numbers(page) == by_value(fake)
    page.wait_for_function(LOADED)
    assert page.locator(f"{TILES} img").first.get_attribute("src").count("/optim/thumb/") == 1  # type: ignore[union-attr]
    page.select_option("#optim_trials_order", "worst")
    assert numbers(page) == by_value(fake, 1)
    page.select_option("#optim_trials_order", "newest")
    assert numbers(page) == list(range(9, -1, -1))
    page.select_option("#optim_trials_order", "judge technical")
    scores = {row["number"]: row.get("scores", {}).get("technical") for row in fake.snapshot()["trials"]}
    assert numbers(page) == sorted(scores, key=lambda n: -scores[n])
    page.select_option("#optim_trials_state", "failed")
    assert numbers(page) == [4]
    expect(page.locator("#optim_trials_count")).to_have_text("1 of 10 trials")
    page.select_option("#optim_trials_state", "all")
    page.fill("#optim_trials_least", "6")
    assert set(numbers(page)) == {t.number for t in fake.view.trials() if (t.value or 0) >= 6}
    page.fill("#optim_trials_least", "")
    page.fill("#optim_trials_text", "preset half")
    assert numbers(page) == [2]
    page.fill("#optim_trials_text", "nothing like it")
    expect(page.locator("#optim_trials_none")).to_contain_text("No trial fits")
    page.fill("#optim_trials_text", "")
    # One payload only: its pictures alone, on every tile.
    page.select_option("#optim_trials_payload", "lighthouse")
    expect(page.locator(f"{TILES}[data-trial='3'] img")).to_have_count(2)
    # Arrows walk over the tiles; Enter opens the picture large, of a trial that nothing else shows.
    page.select_option("#optim_trials_order", "oldest")
    page.locator(f"{TILES}[data-trial='0'] .optim-tile-open").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("dialog.optim-viewer")).to_have_attribute("aria-label", "Trial 1")
    page.wait_for_function("document.querySelector('.optim-viewer-image').naturalWidth > 0")
    expect(page.locator("#optim_picture_txt2img")).to_have_count(0)  # no such tab in this program
    page.click("#optim_picture_save")
    expect(page.locator("#optim_notice")).to_contain_text("Trial 1 is saved")
    assert fake.commands[-1] == "save_trial 1"


def test_two_trials_side_by_side_and_what_differs(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    finished(page, fake, 6)
    best = fake.view.best
    assert best is not None
    show(page)
    expect(page.locator("#optim_trials_compare")).to_be_disabled()
    other = next(n for n in by_value(fake) if n != best.number)
    page.click(f"{TILES}[data-trial='{other}'] .optim-tile-pick")
    expect(page.locator("#optim_trials_compare")).to_have_text(f"Compare {other} with the best ({best.number})")
    page.click("#optim_trials_compare")
    dialog = page.locator("#optim_compare_dialog")
    expect(dialog).to_be_visible()
    page.wait_for_function("[...document.querySelectorAll('.optim-wipe-image')].every((i) => i.naturalWidth > 0)")
    sources = page.eval_on_selector_all(".optim-wipe-image", "all => all.map((i) => i.src)")
    assert f"/{best.number:05d}-000-" in sources[0]
    assert f"/{other:05d}-000-" in sources[1]
    # The slider, the keys and the pointer move the same edge; both pictures lie exactly over one another.
    boxes = page.eval_on_selector_all(
        ".optim-wipe-image",
        "all => all.map((i) => i.getBoundingClientRect()).map((b) => [b.x, b.y, b.width, b.height].map(Math.round))",
    )
    assert boxes[0] == boxes[1]
    page.keyboard.press("ArrowRight")
    assert page.eval_on_selector(".optim-wipe-over", "i => i.style.clipPath") == "inset(0px 49% 0px 0px)"
    x, y, width, _ = boxes[0]
    page.mouse.move(x + width / 2, y + 40)
    page.mouse.down()
    page.mouse.move(x + width / 4, y + 40, steps=3)
    page.mouse.up()
    assert abs(float(page.input_value("#optim_wipe_at")) - 25) <= 1
    # Only what differs, the largest first.
    a, b = (fake.view.trial(n).values for n in (other, best.number))  # type: ignore[union-attr]
    all_values = [t.values for t in fake.view.trials()]

    def part(name: str) -> float:
        every = [float(v[name]) for v in all_values]
        return abs(float(a[name]) - float(b[name])) / (max(every) - min(every))

    names = page.eval_on_selector_all("#optim_diff [data-name]", "all => all.map((r) => r.dataset.name)")
    assert sorted(names) == sorted(name for name in a if a[name] != b[name])
    parts = [part(name) for name in names]
    assert parts == sorted(parts, reverse=True)
    shot(dialog, "compare")
    page.select_option("#optim_wipe_picture", "2")
    page.wait_for_function("document.querySelector('.optim-wipe-over').src.includes('-002-')")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_a_thousand_trials_keep_still_while_new_ones_come(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    finished(page, fake, 5)
    long_view(fake, 1000)
    page.wait_for_function("document.querySelectorAll('#optim_plot [data-trial]').length === 1000")
    show(page)
    expect(page.locator(TILES)).to_have_count(1000)
    page.wait_for_function(LOADED)
    assert page.locator(f"{TILES} img").count() < 400  # only near what is in view
    page.eval_on_selector("#optim_trials_grid", "g => { g.scrollTop = 5000; }")
    page.wait_for_function(IN_VIEW_LOADED)
    tile = page.evaluate(
        "() => { const g = document.querySelector('#optim_trials_grid'), top = g.getBoundingClientRect().top;"
        "const t = [...g.children].find((t) => t.getBoundingClientRect().top > top + 20);"
        "t.querySelector('.optim-tile-open').focus({ preventScroll: true }); return t.dataset.trial; }"
    )
    place = (
        f"(() => {{ const b = document.querySelector(\"{TILES}[data-trial='{tile}']\").getBoundingClientRect(); "
        "return [b.x, b.y]; })()"
    )
    page.wait_for_timeout(600)
    before: Any = page.evaluate(place)
    page.evaluate(SHIFTS)
    # Live: new trials, a new best, a new value of one in view.
    revision = fake.view.revision
    long_view(fake, 1004)
    fake.view.put_trial(
        Trial(
            1004,
            "complete",
            HALF,
            "sampler: tpe",
            "1" * 12,
            50.0,
            "",
            {"merge": 0.1},
        )
    )
    fake.view.put_trial(
        Trial(
            int(tile),
            "complete",
            HALF,
            "sampler: tpe",
            "1" * 12,
            4.25,
            "",
            {"merge": 0.1},
        )
    )
    assert fake.view.revision > revision
    expect(page.locator("#optim_trials_new")).to_have_text("Show 5 new")
    expect(page.locator(f"{TILES}[data-trial='{tile}'] .optim-value")).to_have_text("4.25")
    assert page.evaluate(place) == before
    assert page.evaluate("document.activeElement.closest('.optim-tile').dataset.trial") == tile
    assert sum(shift[0] for shift in page.evaluate("window.shifts")) < 0.01, page.evaluate("window.shifts")
    page.click("#optim_trials_new")
    expect(page.locator(TILES).first).to_have_attribute("data-trial", "1004")
    expect(page.locator(TILES)).to_have_count(1005)


def test_nothing_moves_while_a_run_goes_on(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address)
    fake.image_seconds = 0.04
    start(page, 30)
    page.wait_for_function("document.querySelectorAll('#optim_plot [data-trial]').length >= 3")
    show(page)
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_timeout(600)  # what the click itself moved is over
    page.evaluate(SHIFTS)
    page.wait_for_function("document.querySelectorAll('#optim_plot [data-trial]').length >= 9")
    found = page.evaluate("window.shifts")
    assert sum(shift[0] for shift in found) < 0.01, found


def test_lines_are_brushed_and_lead_to_the_trials(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address, height=1400)
    finished(page, fake, 12)
    page.click("#optim_lines_card > summary")
    scored = [t for t in fake.view.trials() if t.value is not None]
    lines = page.locator("#optim_lines_plot .optim-line")
    expect(lines).to_have_count(len(scored))
    expect(page.locator("#optim_lines_plot [data-axis]")).to_have_count(9)  # the eight that matter most, and the score
    names = page.locator("#optim_lines_plot .optim-lines-name")
    expect(names.last).to_have_text("score")
    # The upper third of the score, by keyboard, then dragged by hand.
    page.locator("#optim_lines_plot [data-axis='8']").focus()
    page.keyboard.press("Enter")
    values = [float(t.value or 0) for t in scored]
    edge = max(values) - (max(values) - min(values)) / 3
    high = [t.number for t in scored if (t.value or 0) >= edge]
    expect(page.locator("#optim_lines_plot .optim-line:not(.optim-line-out)")).to_have_count(len(high))
    expect(page.locator("#optim_lines_about")).to_have_text(f"{len(high)} of {len(scored)} trials")
    assert page.evaluate("document.activeElement.dataset.axis") == "8"
    shot(page.locator("#optim_lines_card"), "lines")
    page.click("#optim_lines_list")
    assert set(numbers(page)) == set(high)
    page.click("#optim_trials_only")
    expect(page.locator(TILES)).to_have_count(len(fake.view.trials()))
    page.click("#optim_lines_clear")
    expect(page.locator("#optim_lines_plot .optim-line-out")).to_have_count(0)
    box = page.locator("#optim_lines_plot [data-axis='8'] .optim-lines-hit").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    half = (max(values) + min(values)) / 2
    kept = page.eval_on_selector_all(
        "#optim_lines_plot .optim-line:not(.optim-line-out)", "all => all.map((l) => Number(l.dataset.trial))"
    )
    assert set(kept) <= {t.number for t in scored if (t.value or 0) >= half - 0.1}
    assert {t.number for t in scored if (t.value or 0) >= half + 0.1} <= set(kept)
    # A click on a line shows its trial.
    page.locator(f"#optim_lines_plot .optim-line[data-trial='{kept[0]}']").dispatch_event("click")
    expect(page.locator("#optim_current .optim-title")).to_have_text(f"Trial {kept[0]}")


def test_the_data_behind_the_lines(new_page: NewPage, address: str) -> None:
    page = new_page(address)
    trials = [
        {"number": n, "value": float(n), "values": {"a": n / 2, "b": (n * 7 % 5) / 5, "same": 1.0, "word": f"w{n}"}}
        for n in range(9)
    ]
    axes = page.evaluate("(t) => window.optimTab.lineAxes(t, [], 8)", trials)
    assert [axis["name"] for axis in axes] == ["a", "b", "score"]  # what never differs, and words, have no axis
    assert (axes[0]["low"], axes[0]["high"]) == (0, 4)
    assert [axis["name"] for axis in page.evaluate("(t) => window.optimTab.lineAxes(t, [], 1)", trials)] == [
        "a",
        "score",
    ]
    told = [{"name": "b", "share": 0.9}, {"name": "a", "share": 0.1}]
    axes = page.evaluate("([t, r]) => window.optimTab.lineAxes(t, r, 1)", [trials, told])
    assert [axis["name"] for axis in axes] == ["b", "score"]
    brushes = {"a": [1, 3], "score": [0, 5]}
    assert page.evaluate("([t, b]) => window.optimTab.brushed(t, b)", [trials, brushes]) == [2, 3, 4, 5]


def test_time_and_memory_of_every_trial(new_page: NewPage, address: str, fake: FakeManager) -> None:
    page = new_page(address, height=1400)
    finished(page, fake, 4)
    for number in range(4):
        fake.view.put_memory(number, {"ram": 2e9 + number * 1e8, "vram": 5e9})
    page.click("#optim_pace_card > summary")
    expect(page.locator("#optim_pace_plot .optim-pace-bar")).to_have_count(4)
    expect(page.locator("#optim_pace_plot .optim-pace-bar title").first).to_contain_text("merge 0.5 s")
    expect(page.locator("#optim_memory_plot [data-kind]")).to_have_count(2)
    expect(page.locator("#optim_memory_told")).to_have_text(
        "2.3 GB of RAM now, 200 MB more than after the second trial."
    )
    shot(page.locator("#optim_pace_card"), "pace")
    many = [{"number": n, "state": "complete", "seconds": {"merge": 1.0 + n % 2, "score": 0.5}} for n in range(1000)]
    bars = page.evaluate("(t) => window.optimTab.paceBars(t)", many)
    assert len(bars) <= 120
    assert (bars[0]["from"], bars[-1]["to"]) == (0, 999)
    assert abs(sum(bars[0]["steps"]) - 2.0) < 0.1
