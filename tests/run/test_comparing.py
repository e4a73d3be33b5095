"""Runs whose scorers compare the images of a payload, and runs judged by the user's own files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lib_optim.plan.errors import HostError
from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import Budget, PassSpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.results import read_image
from lib_optim.run.scores import ScoreBook
from lib_optim.run.store import Store
from lib_optim.scoring.registry import scorer_row
from lib_optim.scoring.user_scorers import SCORERS_FOLDER, load_user_scorers
from tests.rig import Rig, payload

SPECS = (ScorerSpec("technical"), ScorerSpec("consistency"))


def consistency(rig: Rig, images: list[int], trial: int) -> list[float]:
    folder = rig.folder_of()
    files = {image.index: image.file for image in rig.stored().images if image.trial == trial}
    pictures = [read_image(folder, files[index]) for index in images]
    return scorer_row("consistency").build({}, rig.folder).score(pictures, [""] * len(images))


def test_images_are_compared_within_their_payload_and_trial(rig: Rig) -> None:
    rig.run(rig.plan(payloads=(payload("fox", n_iter=2), payload("hill", seed=9, n_iter=3)), scorers=SPECS))
    raw = {(s.trial, s.image, s.scorer): s.raw for s in rig.stored().scores}
    assert len(raw) == 2 * 5 * 2
    for trial in (0, 1):
        for images in ([0, 1], [2, 3, 4]):
            assert [raw[trial, i, "consistency"] for i in images] == consistency(rig, images, trial)


def test_an_interrupted_comparison_is_made_again_with_all_its_images(rig: Rig) -> None:
    plan = rig.plan(payloads=(payload("fox", n_iter=2), payload("hill", seed=9, n_iter=2)), scorers=SPECS)
    rig.run(plan)
    before = {(s.trial, s.image, s.scorer): s.raw for s in rig.stored().scores}
    store = Store(rig.folder_of().database)
    with store._transaction() as db:  # as if it had been killed between the two scores of a comparison
        db.execute("UPDATE scores SET removed=1 WHERE trial=1 AND image=3 AND scorer='consistency'")
        db.execute("UPDATE trials SET state='waiting', value=NULL WHERE number=1")
    store.close()
    name = rig.folder_of().path.name
    rig.manager.resume(name)
    rig.end()
    assert {(s.trial, s.image, s.scorer): s.raw for s in rig.stored().scores} == before
    assert rig.states() == ["complete", "complete"]


def test_in_a_pass_of_other_company_they_are_compared_anew(rig: Rig) -> None:
    second = PassSpec("fewer", payloads=(payload("fox", n_iter=2),), budget=Budget(1))
    plan = rig.plan(payloads=(payload("fox", n_iter=3),), scorers=SPECS, passes=(second,), budget=Budget(1))
    rig.run(plan)
    raw = {(s.trial, s.image, s.scorer): s.raw for s in rig.stored().scores}
    first, entered = raw[0, 0, "consistency"], [raw[1, i, "consistency"] for i in (0, 1)]
    assert entered == consistency(rig, [0, 1], 1)
    assert entered[0] != first
    assert [raw[1, i, "technical"] for i in (0, 1)] == [raw[0, i, "technical"] for i in (0, 1)], "these stand"


def test_images_of_a_trial_that_failed_half_way_are_let_go(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second image of trial 0 cannot be made, so that nothing is ever compared with the first."""
    generate = rig.host.generate
    calls: list[int] = []

    def broken(*args: object, **more: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise HostError("The sampler broke.")
        return generate(*args, **more)

    monkeypatch.setattr(rig.host, "generate", broken)
    kept: list[set[int]] = []
    begin = ScoreBook.begin

    def watched(book: ScoreBook, trial: Trial) -> None:
        begin(book, trial)
        kept.append(set(book.automatic._kept))

    monkeypatch.setattr(ScoreBook, "begin", watched)
    rig.manager.start(rig.plan(payloads=(payload("fox", n_iter=2),), scorers=SPECS, budget=Budget(3)))
    rig.end(errors=None)
    assert rig.states().count("failed") == 1
    assert rig.states().count("complete") >= 1
    assert kept
    assert all(not numbers for numbers in kept)


@pytest.fixture
def own(rig: Rig):
    folder = rig.host.paths().data / SCORERS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)

    def put(name: str, text: str) -> Path:
        path = folder / name
        path.write_text(text)
        os.utime(path, ns=(0, len(text) * 10**9))
        return path

    yield put
    for path in folder.glob("*.py"):
        path.unlink()
    load_user_scorers(folder, refresh=True)


def test_a_run_judged_by_a_file_of_the_user(rig: Rig, own) -> None:
    own("red.py", "def score(images, prompts):\n    return [i.resize((1, 1)).getpixel((0, 0))[0] for i in images]\n")
    rig.run(rig.plan(scorers=(ScorerSpec("own-red"),)))
    for score in rig.stored().scores:
        (file,) = [i.file for i in rig.stored().images if (i.trial, i.index) == (score.trial, score.image)]
        assert score.raw == read_image(rig.folder_of(), file).resize((1, 1)).getpixel((0, 0))[0]
    assert rig.states() == ["complete", "complete"]


def test_one_that_breaks_in_mid_run_fails_the_trial_with_its_reason(rig: Rig, own) -> None:
    text = (
        "seen = []\ndef score(images, prompts):\n    seen.append(1)\n    return [1 / (len(seen) != 2)] * len(images)\n"
    )
    own("odd.py", text)
    rig.manager.start(rig.plan(scorers=(ScorerSpec("own-odd"),), budget=Budget(2)))
    snapshot = rig.end(errors=None)
    assert rig.states()[0] == "failed"
    reason = rig.trials()[0]["reason"]
    assert (
        "Odd failed on image 2 of payload 'hill' with seed 8: ZeroDivisionError: division by zero (line 4)." in reason
    )
    assert snapshot["state"] == "finished"
