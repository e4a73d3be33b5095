"""A taste is learned from what a person said of a run's images, judges in another run, and asks only where it must."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_optim.plan.errors import RunError, ScorerError
from lib_optim.plan.passes import first_pass
from lib_optim.plan.run_plan import Budget
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.asking import Asking
from lib_optim.run.csv_text import csv_line
from lib_optim.run.folder import RunFolder
from lib_optim.run.passes import RunPass
from lib_optim.run.ratings import ratings_of, ratings_text, whole_ratings
from lib_optim.run.store import Store
from lib_optim.run.taste_training import train_taste
from lib_optim.scoring.taste_file import read_taste, taste_path, write_taste
from lib_optim.scoring.taste_rule import worth_asking
from tests.rig import Rig, make_plan, payload

MANUAL = ScorerSpec("manual")
FORMULA = "=1+1 fox, in a wood"


def brightness(folder: RunFolder, file: str) -> float:
    """What our person likes."""
    with Image.open(folder.path / file) as image:
        return round(float(np.asarray(image.convert("L")).mean()) / 255 * 10, 1)


def rate_all(rig: Rig, name: str, done: set[tuple[int, int]]) -> None:
    """Rate every image that waits until the run ends."""
    folder = rig.folder_of(name)
    while not rig.manager.wait(0.005):
        for trial, image in rig.snapshot()["waiting"]:
            if (trial, image) not in done:
                done.add((trial, image))
                record = next(i for i in rig.stored(name).images if (i.trial, i.index) == (trial, image))
                rig.manager.score(trial, image, brightness(folder, record.file), f"{name}-{trial}-{image}")
    rig.end()


PAYLOADS = (payload("fox", prompt=FORMULA, n_iter=4, steps=1), payload("sea", seed=90, n_iter=3, steps=1))


@pytest.fixture(scope="module")
def outputs(demo_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs folder after a run of 3 trials of 7 images, rated by hand; made once, to be copied."""
    rig = Rig(tmp_path_factory.mktemp("rated"), demo_models)
    name = rig.manager.start(rig.plan(name="rated", scorers=(MANUAL,), payloads=PAYLOADS, budget=Budget(3)))
    rate_all(rig, name, set())
    rig.close()
    return rig.host.paths().outputs


def rated_run(rig: Rig, outputs: Path) -> RunFolder:
    shutil.copytree(outputs, rig.host.paths().outputs, dirs_exist_ok=True)
    return rig.folder_of()


def test_learned_saved_judging_and_asking_only_where_it_must(
    tmp_path: Path, make_rig: Callable[..., Rig], outputs: Path
) -> None:
    rig = make_rig(tmp_path)
    folder = rated_run(rig, outputs)
    told: list[tuple[int, int]] = []
    trained = train_taste([folder], rig.manager.scorers_dir, progress=lambda done, total: told.append((done, total)))
    taste = trained.taste
    assert (taste.count, trained.gone, taste.runs) == (21, 0, (folder.name,))
    assert taste.agreement > 0.5, "brightness is easy to see"
    assert told[-1] == (21, 21)
    # What was looked at once is not looked at again, and the same ratings make the same model.
    (memory,) = folder.path.glob("embeddings-packaged-*.safetensors")
    written = memory.stat().st_mtime_ns
    again = train_taste([folder, folder], rig.manager.scorers_dir).taste
    assert memory.stat().st_mtime_ns == written
    assert np.array_equal(again.model.seen, taste.model.seen)
    write_taste(taste, taste_path("light", rig.manager.scorers_dir))

    judge = ScorerSpec("taste", options={"taste": "light", "ask": True})
    plan = rig.plan(name="helped", scorers=(MANUAL, judge), payloads=PAYLOADS, budget=Budget(3), seed=9)
    name, asked = rig.manager.start(plan), set[tuple[int, int]]()
    rate_all(rig, name, asked)
    record = rig.stored(name)
    scores = {(s.trial, s.image, s.scorer): s.raw for s in record.scores}
    left = {(t, i) for t, i, key in scores if key == "mark: unrated"}
    images = {(image.trial, image.index): image for image in record.images}
    assert left, "it knows some"
    assert asked, "but not all"
    assert left | asked == set(images)
    assert not left & asked
    ratings = read_taste(taste_path("light", rig.manager.scorers_dir)).model.ratings
    for (trial, index), image in images.items():
        before = [
            scores[t, i, "taste"]
            for (t, i), other in sorted(images.items())
            if (t, i) < (trial, index) and other.payload == image.payload
        ]
        expected, doubt = scores[trial, index, "taste"], scores[trial, index, "taste: doubt"]
        assert worth_asking(expected, doubt, before, list(ratings)) == ((trial, index) in asked)
    for trial in record.trials:  # what was left counts by the taste alone, what was asked by both alike
        values = []
        for index in range(7):
            hand = scores.get((trial.number, index, "manual"))
            own = scores[trial.number, index, "taste"]
            values.append((own if hand is None else (own + hand) / 2) / 10)
        assert trial.value == pytest.approx(sum(values) / 7)


def test_the_switch_holds_in_mid_run_and_over_a_restart(
    tmp_path: Path, make_rig: Callable[..., Rig], outputs: Path
) -> None:
    rig = make_rig(tmp_path)
    write_taste(train_taste([rated_run(rig, outputs)], rig.manager.scorers_dir).taste, _path(rig))
    judge = ScorerSpec("taste", options={"taste": "light"})
    plan = rig.plan(name="switch", scorers=(MANUAL, judge), payloads=PAYLOADS, budget=Budget(2), seed=9)
    name = rig.manager.start(plan)
    rig.until_state("waiting")
    snapshot = rig.until(lambda: len((s := rig.snapshot())["waiting"]) == 7 and s, "seven to rate")
    assert (snapshot["run"]["can_ask_less"], snapshot["run"]["asks_less"]) == (True, False), "off by default"
    rig.manager.ask_less()
    fewer = rig.snapshot()["waiting"]
    assert rig.snapshot()["run"]["asks_less"] is True
    assert 0 < len(fewer) < 7
    rig.manager.ask_less(False)
    assert len(rig.snapshot()["waiting"]) == 7
    rig.manager.ask_less()
    rig.manager.stop()
    rig.end()
    rig = make_rig(tmp_path)
    rig.manager.resume(name)
    rig.until_state("waiting")
    assert rig.until(lambda: rig.snapshot()["waiting"], "what is left to rate") == fewer
    assert rig.snapshot()["run"]["asks_less"] is True
    rate_all(rig, name, set())
    assert rig.states() == ["complete", "complete"]


def test_only_ratings_can_be_left_to_the_taste_not_comparisons(tmp_path: Path) -> None:
    taste = ScorerSpec("taste", options={"taste": "light", "ask": True})
    store = Store(tmp_path / "run.db")
    for manual, possible in ((MANUAL, True), (ScorerSpec("manual", options={"way": "pairs"}), False)):
        run_pass = RunPass(1, 1, first_pass(make_plan(tmp_path, scorers=(manual, taste))))
        asking = Asking(store, tmp_path)
        assert (asking.possible(run_pass), asking.on(run_pass)) == (possible, possible)
    store.close()


def test_without_a_taste_there_is_nothing_to_switch(rig: Rig) -> None:
    rig.manager.start(rig.plan(scorers=(MANUAL, ScorerSpec("technical")), budget=Budget(1)))
    rig.until_state("waiting")
    with pytest.raises(RunError, match="both My own eyes and My taste judge"):
        rig.manager.ask_less()
    rig.manager.stop()
    rig.end()


def test_the_export_has_every_rating_and_nothing_that_a_spreadsheet_runs(
    tmp_path: Path, make_rig: Callable[..., Rig]
) -> None:
    rig = make_rig(tmp_path)
    named = tuple(ScorerSpec("manual", weight, name=name) for name, weight in (("anatomy", 3.0), ("style", 1.0)))
    payloads = (payload("fox", prompt=FORMULA), payload("-sea", seed=90))
    name = rig.manager.start(rig.plan(scorers=named, payloads=payloads, budget=Budget(2)))
    rig.until_state("waiting")
    rig.manager.score(0, 0, 8, "a", "anatomy")
    rig.manager.score(0, 0, 4, "b", "style")
    rig.manager.score(0, 1, 2, "c", "style")
    rig.manager.mark(0, 1, "mark: left out", True, "d")
    folder = rig.folder_of(name)
    found = ratings_of(folder)  # while the run goes on
    assert [(r.trial, r.image, r.payload, r.category, r.value, r.marks) for r in found] == [
        (0, 0, "fox", "anatomy", 8.0, ()),
        (0, 0, "fox", "style", 4.0, ()),
        (0, 1, "-sea", "style", 2.0, ("left out",)),
    ]
    rows = list(csv.DictReader(io.StringIO(ratings_text(found, "csv"))))
    assert [row["prompt"] for row in rows] == [f"'{FORMULA}", f"'{FORMULA}", "a red -sea"]
    assert rows[2]["payload"] == "'-sea"
    assert rows[2]["marks"] == "left out"
    assert rows[0]["time"].endswith("Z")
    assert rows[0]["seed"] == "7"
    told = json.loads(ratings_text(found, "json"))["ratings"]
    assert told[0]["prompt"] == FORMULA, "JSON is as it is"
    assert (told[0]["file"], told[0]["value"], told[2]["marks"]) == (found[0].file, 8.0, ["left out"])
    assert (folder.path / told[0]["file"]).is_file()
    # What a taste would learn from: one value per image, without what does not count.
    assert [(r.image, value) for r, value in whole_ratings(found)] == [(0, 7.0)]
    with pytest.raises(RunError, match="1 images are rated; a taste can be learned from 20 on"):
        train_taste([folder], rig.manager.scorers_dir)
    rig.manager.stop()
    rig.end()


@pytest.mark.parametrize("text", ["=A1", "+1", "-1", "@x", "\tx", "\rx", " =A1"])
def test_a_text_that_begins_like_a_formula_is_quoted(text: str) -> None:
    (row,) = csv.reader(io.StringIO(csv_line([text, -1.5, "a=b"]), newline=""))
    assert row == [f"'{text}", "-1.5", "a=b"]


def test_images_that_are_gone_are_counted_and_too_few_are_refused(
    tmp_path: Path, make_rig: Callable[..., Rig], outputs: Path
) -> None:
    rig = make_rig(tmp_path)
    folder = rated_run(rig, outputs)
    files = sorted(folder.images.glob("*.png"))
    for path in files[:1]:
        path.unlink()
    trained = train_taste([folder], rig.manager.scorers_dir)
    assert (trained.taste.count, trained.gone) == (20, 1)
    (folder.path / next(folder.path.glob("embeddings-*")).name).write_bytes(b"damaged")
    for path in files[1:2]:
        path.unlink()
    with pytest.raises(RunError, match="Only 19 of 21 rated images can be read"):
        train_taste([folder], rig.manager.scorers_dir)
    with pytest.raises(ScorerError, match="not by 'xray'"):
        train_taste([folder], rig.manager.scorers_dir, "xray")


def _path(rig: Rig) -> Path:
    return taste_path("light", rig.manager.scorers_dir)
