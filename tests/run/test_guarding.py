"""What is no picture fails its trial, whatever the judges would say of it; a model that makes such is named instead."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lib_optim.plan.combining import AS_BEFORE, Combining, combining_problems
from lib_optim.plan.passes import PassRecord
from lib_optim.plan.records import ImageRecord, Trial
from lib_optim.plan.run_plan import Budget, SamplerSpec, VerifySpec
from lib_optim.run.guarding import Guards, carry_waived, guarded
from lib_optim.run.passes import RunPass
from lib_optim.run.store import Store
from tests.rig import Rig, payload
from tests.scoring.pictures import scene

BLACK = Image.new("RGB", (64, 64))
PASS = RunPass(
    1, 1, PassRecord("search", (payload("fox", n_iter=3), payload("hill"), payload("look", score_weight=0.0)), ())
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with contextlib.closing(Store(tmp_path / "run.db")) as made:
        yield made


def trial(number: int, origin: str = "sampler: tpe") -> Trial:
    return Trial(number, "running", {}, origin)


def shown(guards: Guards, number: int, index: int, image: Image.Image, run_pass: RunPass = PASS) -> str:
    record = ImageRecord(number, index, run_pass.jobs[index].payload.name, run_pass.jobs[index].seed, "", "", "")
    guards.look(record, image, run_pass)
    guards.waive(number, run_pass)
    return guards.reason(number, [index], run_pass)


def test_a_black_image_and_one_like_that_of_another_seed(store: Store) -> None:
    guards = Guards(store, lambda _: None)
    guards.begin(trial(3))
    assert shown(guards, 3, 0, scene(64)) == ""
    assert shown(guards, 3, 1, scene(64, seed=1)) == ""
    same = shown(guards, 3, 2, scene(64))
    assert same == "No picture: the image of payload 'fox' with seed 9 is the same as that of another seed."
    assert guarded(same)
    assert shown(guards, 3, 3, scene(64)) == ""  # another payload may show the same
    guards.begin(trial(4))
    assert shown(guards, 4, 0, scene(64)) == ""  # and so may another trial
    assert "is black" in shown(guards, 4, 1, BLACK)
    assert "is black" in shown(guards, 4, 2, BLACK)
    assert shown(guards, 4, 4, BLACK) == ""  # it is shown and not scored
    assert [(s.trial, s.image, s.raw) for s in store.scores() if s.raw] == [(3, 2, 8.0), (4, 1, 1.0), (4, 2, 1.0)]
    again = Guards(store, lambda _: None)
    assert all(again.load(score) for score in store.scores())
    assert again.reason(3, [0, 1, 2], PASS) == same


def test_guards_are_put_off_one_by_one_and_nothing_is_looked_at_again(store: Store) -> None:
    guards = Guards(store, lambda _: None)
    shown(guards, 1, 0, BLACK)
    for active, words in ((("blank",), ""), (("black",), "is black")):
        combining = dataclasses.replace(PASS.record.combining, guards=active)
        changed = RunPass(1, 1, dataclasses.replace(PASS.record, combining=combining))
        assert words in guards.reason(1, [0], changed) or not words
        assert bool(guards.reason(1, [0], changed)) is bool(words)
    older = RunPass(1, 1, dataclasses.replace(PASS.record, combining=AS_BEFORE))
    assert shown(guards, 2, 0, BLACK, older) == ""
    assert not [s for s in store.scores() if s.trial == 2]
    assert [p.where for p in combining_problems(Combining(guards=("blnk",)))] == ["combining.guards"]


def test_a_guard_that_a_model_itself_trips_is_off_for_that_payload(store: Store, tmp_path: Path) -> None:
    said: list[str] = []
    guards = Guards(store, said.append)
    guards.begin(trial(0, "preset: all B"))
    assert shown(guards, 0, 0, BLACK) == ""
    assert shown(guards, 0, 1, BLACK) == ""
    [sentence] = said
    assert sentence.startswith("Model B itself trips a guard: the image of payload 'fox' with seed 7 is black")
    guards.begin(trial(1))
    assert shown(guards, 1, 0, BLACK) == ""
    assert "is blank" in shown(guards, 1, 1, Image.new("RGB", (64, 64), "red"))
    assert "is black" in shown(guards, 1, 3, BLACK)
    resumed = Guards(store, said.append)
    with contextlib.closing(Store(tmp_path / "fork.db")) as fork:
        carry_waived(store, fork)
        for again in (resumed, Guards(fork, said.append)):
            assert shown(again, 5, 0, BLACK) == ""
            assert "is black" in shown(again, 5, 3, BLACK)
    assert len(said) == 1


def test_a_resume_looks_at_what_it_needs_to_compare(store: Store) -> None:
    guards = Guards(store, lambda _: None)
    images = {i: ImageRecord(1, i, PASS.jobs[i].payload.name, PASS.jobs[i].seed, "x", "", "") for i in range(5)}
    assert guards.unseen(1, images, PASS) == [0, 1, 2, 3]
    for i in range(4):
        shown(guards, 1, i, scene(64, seed=i))
    assert guards.unseen(1, images, PASS) == []
    assert guards.unseen(1, {i: images[i] for i in (0, 3)}, PASS) == [0]  # the other two foxes are still to come


def test_a_run_fails_such_trials_and_pauses_after_five_in_a_row(rig: Rig) -> None:
    """The first model makes a black image of the hill: only that is let pass."""
    real = rig.host.generate

    def generate(job: Any, stamp: Any) -> Any:
        made = real(job, stamp)
        number = int(stamp["Optim trial"].split()[-1])
        black = (job.payload.name == "hill" and number < 3) or (job.payload.name == "fox" and 2 <= number < 8)
        return dataclasses.replace(made, image=BLACK) if black else made

    rig.host.generate = generate  # type: ignore[method-assign]
    plan = rig.plan(
        sampler=SamplerSpec("random", presets=("all A", "all B")), budget=Budget(3), verify=VerifySpec(0), name="guards"
    )
    rig.manager.start(plan)
    paused = rig.until_state("paused")
    assert "5 trials in a row failed" in paused["sentence"]
    assert "seed 7 is black" in paused["sentence"]
    assert [t["state"] for t in paused["trials"]] == ["complete", "complete", *["failed"] * 5]
    assert [len(paused["images"].get(str(n), ())) for n in (6,)] == [1]  # the second was not made any more
    assert [e for e in paused["errors"] if "Model A itself trips a guard" in e]
    rig.manager.go_on()
    snapshot = rig.end(errors=None)
    assert [t["state"] for t in snapshot["trials"]][7:] == ["failed", "complete"]
    failed = [t for t in rig.stored().trials if t.state == "failed"]
    assert {t.value for t in failed} == {None}
    assert {guarded(t.reason) for t in failed} == {True}
    assert all(set(i["scores"]) <= {"technical"} for images in snapshot["images"].values() for i in images)
