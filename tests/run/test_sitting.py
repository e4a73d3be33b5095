"""A sitting of 500 ratings: two pages, repeated requests, restarts of the program. None lost, none counted twice."""

from __future__ import annotations

import collections
import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lib_optim.plan.combining import AS_BEFORE
from lib_optim.plan.run_plan import Budget
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.store import Store
from tests.rig import Rig, payload

IMAGES, TRIALS = 100, 5


class Page:
    """One browser tab: rates what waits, changes its mind, and sends every so often what it has sent before."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.sent: list[tuple[int, int, float | None, str]] = []
        self.clicks = 0
        self._random = random.Random(seed)

    def rate(self, rig: Rig, trial: int, image: int) -> None:
        changes = self._random.random() < 0.15
        if changes:
            self._click(rig, trial, image, float(self._random.randrange(11)))
            if self._random.random() < 0.5:
                self._click(rig, trial, image, None)
        self._click(rig, trial, image, float(self._random.randrange(11)))

    def _click(self, rig: Rig, trial: int, image: int, value: float | None) -> None:
        self.clicks += 1
        click = (trial, image, value, f"{self.name}-{self.clicks}")
        self.sent.append(click)
        for _ in range(self._random.choice((1, 1, 2, 3))):
            rig.manager.score(*click)
        if self._random.random() < 0.2:  # an old request comes once more, late
            rig.manager.score(*self._random.choice(self.sent))


def quick(rig: Rig) -> Rig:
    """Have images made once per run of the program: what matters here is what is said of them."""
    made = []
    generate = rig.host.generate

    def again(job: object, stamp: object) -> object:
        if not made:
            made.append(generate(job, stamp))  # type: ignore[arg-type]
        return made[0]

    rig.host.generate = again  # type: ignore[assignment,method-assign]
    return rig


def both_rate(rig: Rig, pages: Sequence[Page], todo: Sequence[tuple[int, int]]) -> None:
    """Have both pages rate at the same time, every image on one of them."""

    def work(page: Page, images: Sequence[tuple[int, int]]) -> None:
        for trial, image in images:
            page.rate(rig, trial, image)

    threads = [threading.Thread(target=work, args=(page, todo[i :: len(pages)])) for i, page in enumerate(pages)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def waiting(rig: Rig, rated: set[tuple[int, int]]) -> list[tuple[int, int]]:
    found = rig.until(lambda: [(t, i) for t, i in rig.snapshot()["waiting"] if (t, i) not in rated], "images to rate")
    return list(found)


def test_a_sitting_of_500_ratings_survives_restarts_and_a_second_page(
    tmp_path: Path, make_rig: Callable[..., Rig]
) -> None:
    pages = [Page("first", 1), Page("second", 2)]
    rig = quick(make_rig(tmp_path))
    plan = rig.plan(
        scorers=(ScorerSpec("manual"),),
        payloads=(payload(n_iter=10, batch_size=10),),
        budget=Budget(TRIALS),
        combining=AS_BEFORE,  # no guard is to mind that all images are one
    )
    name = rig.manager.start(plan)
    rated: set[tuple[int, int]] = set()
    for limit in (93, 186, 279, 372, IMAGES * TRIALS):  # in the middle of trials
        while len(rated) < limit:
            todo = waiting(rig, rated)[: min(limit - len(rated), 20)]
            both_rate(rig, pages, todo)
            rated |= set(todo)
        if limit < IMAGES * TRIALS:
            rig.manager.stop()
            rig.end()
            rig = quick(make_rig(tmp_path))  # another program, in the same folder
            rig.manager.resume(name)
    rig.end()
    assert rig.states() == ["complete"] * TRIALS
    values = {trial["number"]: trial["value"] for trial in rig.trials()}
    store = Store(rig.folder_of(name).database)
    everything, standing = store.scores(removed=True), store.scores()
    store.close()
    clicks = [click for page in pages for click in page.sent]
    assert len(clicks) > 550, "minds were changed"
    assert collections.Counter(score.request for score in everything) == collections.Counter(c[3] for c in clicks)
    final = {(trial, image): value for trial, image, value, _ in clicks}  # each image belongs to one page: its last
    assert {(score.trial, score.image): score.raw for score in standing} == final
    assert len(standing) == IMAGES * TRIALS == 500
    for trial in range(TRIALS):
        given = [value for (number, _), value in final.items() if number == trial and value is not None]
        assert values[trial] == pytest.approx(sum(given) / IMAGES)
