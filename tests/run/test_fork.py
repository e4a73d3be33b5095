"""A fork takes over what stays the same, scores anew what changed, generates nothing twice and harms nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from lib_optim.plan.bounds import parse_bound
from lib_optim.plan.errors import PlanError, StoreError
from lib_optim.plan.freeze import frozen_plan
from lib_optim.plan.run_plan import Budget, RunPlan, SamplerSpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.folder import RunFolder
from lib_optim.scoring.combine import image_value
from lib_optim.scoring.worker import ScoringWorker
from tests.rig import Rig, payload

Made: TypeAlias = list[tuple[int, int]]


@pytest.fixture(scope="module")
def rig(demo_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One host for all tests of this file: a fork leaves its parent alone, so they may share that too."""
    made = Rig(tmp_path_factory.mktemp("forks"), demo_models)
    made.host.choose(made.checkpoint("demo-a"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def original(rig: Rig) -> str:
    """Four trials: a preset and three at random."""
    rig.run(rig.plan(budget=Budget(4), name="parent"))
    return rig.folder_of().name


@pytest.fixture
def parent(rig: Rig, original: str) -> Iterator[str]:
    files = contents(rig.folder_of(original))
    yield original
    assert contents(rig.folder_of(original)) == files, "the parent was touched"


@pytest.fixture
def copy(rig: Rig, original: str) -> str:
    """A copy of the parent that a test may change."""
    name = f"copy {time.monotonic_ns()}"
    shutil.copytree(rig.folder_of(original).path, rig.host.paths().outputs / name)
    return name


def plan_of(rig: Rig, name: str) -> RunPlan:
    return rig.folder_of(name).read_plan()


@pytest.fixture
def made(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Made:
    """A list that fills with the (trial, image) that are generated."""
    found: Made = []
    generate = rig.host.generate

    def listen(job: Any, stamp: Any) -> Any:
        found.append((int(stamp["Optim trial"].split()[-1]), job.index))
        return generate(job, stamp)

    monkeypatch.setattr(rig.host, "generate", listen)
    return found


def contents(folder: RunFolder) -> dict[str, str]:
    return {
        str(path.relative_to(folder.path)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.path.rglob("*"))
        if path.is_file()
    }


def fork(rig: Rig, parent: str, **changes: Any) -> tuple[str, Any]:
    plan = dataclasses.replace(plan_of(rig, parent), **{"budget": Budget(1), **changes})
    name, taken = rig.manager.fork(parent, plan)
    rig.end()
    return name, taken


def test_stored_images_are_not_made_again_and_the_search_goes_on(rig: Rig, parent: str, made: Made) -> None:
    before = rig.stored(parent)
    name, taken = fork(rig, parent, scorers=(ScorerSpec("technical", 2.0),), name="other weights")
    assert taken.trials == (0, 1, 2, 3)
    assert "4 trials taken over without generating anything" in taken.sentence
    assert made == [(4, 0), (4, 1)]
    after = rig.stored(name)
    assert [trial.number for trial in after.trials] == [0, 1, 2, 3, 4]
    assert [trial.state for trial in after.trials] == ["complete"] * 5
    assert after.values()[:4] == before.values()
    assert after.values()[4] not in before.values()
    assert {k: v for k, v in after.pixels().items() if k[0] < 4} == before.pixels()
    assert plan_of(rig, name).budget.trials == 1


def test_it_goes_on_as_the_parent_would_have(rig: Rig, parent: str, copy: str) -> None:
    name, _ = fork(rig, parent, name="same")
    forked = rig.stored(name)
    rig.manager.resume(copy, trials=5)
    rig.end()
    assert rig.stored(copy).values() == forked.values()
    assert [t.value for t in rig.stored(copy).trials] == [t.value for t in forked.trials]


def test_raw_scores_of_the_same_judge_are_kept_and_payload_weights_count(
    rig: Rig, parent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rig.stored(parent)
    asked: list[int] = []
    submit = ScoringWorker.submit

    def listen(worker: ScoringWorker, trial: int, *rest: Any) -> None:
        asked.append(trial)
        submit(worker, trial, *rest)

    monkeypatch.setattr(ScoringWorker, "submit", listen)
    plan = plan_of(rig, parent)
    only_first = (plan.payloads[0], dataclasses.replace(plan.payloads[1], score_weight=0.0))
    name, taken = fork(rig, parent, payloads=only_first, name="first only")
    assert len(taken.trials) == 4
    assert set(asked) == {4}
    raw = {(s.trial, s.image): s.raw for s in before.scores}
    for trial in rig.stored(name).trials[:4]:
        assert trial.value == image_value({"technical": raw[trial.number, 0]}, plan.scorers)


def test_another_judge_reads_the_stored_images(rig: Rig, parent: str, made: Made, tmp_path: Any) -> None:
    reference = rig.folder_of(parent).path / rig.stored(parent).images[0].file
    judge = ScorerSpec("similarity", options={"reference": str(reference)})
    name, taken = fork(rig, parent, scorers=(judge,), name="likeness")
    assert len(taken.trials) == 4
    assert made == [(4, 0), (4, 1)]
    scores = rig.stored(name).scores
    assert {s.scorer for s in scores} == {"similarity"}
    assert {(s.trial, s.image) for s in scores} == {(t, i) for t in range(5) for i in range(2)}


def test_a_dropped_payload_needs_nothing_new_an_added_one_only_for_the_best(rig: Rig, parent: str, made: Made) -> None:
    plan = plan_of(rig, parent)
    name, taken = fork(rig, parent, payloads=plan.payloads[1:], name="one")
    assert len(taken.trials) == 4
    assert made == [(4, 0)]
    assert {k[1] for k in rig.stored(name).pixels()} == {0}
    made.clear()
    best = max(rig.stored(parent).trials, key=lambda t: t.value or 0.0).number
    added = (*plan.payloads, payload("lake", seed=11))
    name, taken = fork(rig, parent, payloads=added, name="three")
    assert (taken.trials, taken.best, taken.remade) == ((), best, 3)
    assert made == [(best, 2)]


def test_another_seed_is_another_picture(rig: Rig, parent: str, made: Made) -> None:
    plan = plan_of(rig, parent)
    other = tuple(dataclasses.replace(p, seed=p.seed + 100) for p in plan.payloads)
    _, taken = fork(rig, parent, payloads=other, name="seeds")
    assert taken.trials == ()
    assert len(made) == 2
    assert made[0][0] == taken.best


def test_narrower_bounds_take_what_lies_inside(rig: Rig, parent: str) -> None:
    plan = plan_of(rig, parent)
    inside = [t.number for t in rig.stored(parent).trials if t.values["in_alpha"] <= 0.5]
    assert 0 < len(inside) < 4
    guide = dataclasses.replace(plan.guide, bounds={**plan.guide.bounds, "in_alpha": parse_bound("0..0.5")})
    name, taken = fork(rig, parent, guide=guide, name="narrow")
    assert list(taken.trials) == inside
    assert taken.outside == 4 - len(inside)
    assert all(t.values["in_alpha"] <= 0.5 for t in rig.stored(name).trials)
    assert rig.stored(name).trials[-1].number == 4


def test_freezing_goes_on_from_the_best_without_making_it_again(rig: Rig, parent: str, copy: str, made: Made) -> None:
    trials = rig.stored(parent).trials
    best = max(trials, key=lambda t: t.value or 0.0)
    space = rig.manager.recorded(parent).resolved.space
    frozen = frozen_plan(plan_of(rig, parent), space, best, ["in_alpha"])
    name, taken = rig.manager.fork(parent, dataclasses.replace(frozen, budget=Budget(2)))
    rig.end()
    assert best.number in taken.trials
    assert {number for number, _ in made} == {4, 5}
    after = rig.stored(name).trials
    assert all("in_alpha" not in t.values for t in after)
    assert next(t.recipe for t in after if t.number == best.number) == best.recipe
    opened = rig.manager.recorded()
    rig.manager.resume(copy)  # another run is open now, so that the fork is read from its folder
    rig.end()
    read = rig.manager.recorded(name)
    assert (read.winner, read.last_search) == (opened.winner, opened.last_search)
    assert {t.number for t in read.last_search} == {t.number for t in after}


def test_a_fork_is_resumed_like_any_run(rig: Rig, parent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    generate = rig.host.generate

    def stop(job: Any, stamp: Any) -> Any:
        rig.manager.stop()
        return generate(job, stamp)

    plan = dataclasses.replace(plan_of(rig, parent), budget=Budget(2), name="cut short")
    with monkeypatch.context() as patch:
        patch.setattr(rig.host, "generate", stop)
        name, _ = rig.manager.fork(parent, plan)
        rig.end()
    assert rig.states()[-1] == "running"
    rig.manager.resume(name)
    rig.end()
    after = rig.stored(name)
    assert [t.state for t in after.trials] == ["complete"] * 6
    assert len({str(v) for v in after.values()}) == 6


def test_what_cannot_be_forked_is_one_sentence_and_leaves_nothing(rig: Rig, copy: str) -> None:
    outputs = rig.host.paths().outputs
    plan = plan_of(rig, copy)
    before = sorted(path.name for path in outputs.iterdir())
    with pytest.raises(StoreError, match="There is no run 'nothing'"):
        rig.manager.fork("nothing", plan)
    with pytest.raises(PlanError, match="no sampler 'tpx'"):
        rig.manager.fork(copy, dataclasses.replace(plan, sampler=SamplerSpec("tpx")))
    image = next(rig.folder_of(copy).images.iterdir())
    content = image.read_bytes()
    image.unlink()
    with pytest.raises(StoreError, match="cannot be taken over"):
        rig.manager.fork(copy, plan)
    image.write_bytes(content)
    assert sorted(path.name for path in outputs.iterdir()) == before
    assert not rig.manager.active


def test_a_locked_database_is_one_sentence(rig: Rig, copy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib_optim.run.store.PATIENCE", 0.1)
    other = sqlite3.connect(rig.folder_of(copy).database)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(StoreError, match=r"cannot be opened: database is locked"):
            rig.manager.fork(copy, plan_of(rig, copy))
        with pytest.raises(StoreError, match=r"cannot be opened: database is locked"):
            rig.manager.resume(copy)
    finally:
        other.close()
    assert not rig.manager.active
    rig.manager.resume(copy)
    rig.end()


def test_a_changed_space_on_resume_is_refused(rig: Rig, copy: str) -> None:
    folder = rig.folder_of(copy)
    plan = plan_of(rig, copy)
    guide = dataclasses.replace(plan.guide, bounds={**plan.guide.bounds, "in_alpha": parse_bound("0..0.001")})
    before = contents(folder)
    folder.write_plan(dataclasses.replace(plan, guide=guide))
    with pytest.raises(PlanError, match=r"searches something else than its trials did: in_alpha.*fork the run"):
        rig.manager.resume(copy)
    folder.write_plan(plan)
    assert contents(folder) == before
