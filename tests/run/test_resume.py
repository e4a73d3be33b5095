"""A run that was stopped, killed or moved goes on where it was, as if it had never stopped."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lib_optim.plan.design import StartDesign
from lib_optim.plan.errors import OptimError, PlanError, StoreError
from lib_optim.plan.run_plan import Budget, SamplerSpec
from lib_optim.run.results import pixel_hash
from lib_optim.run.store import Store
from tests.rig import Rig, Stored, payload
from tests.run.child import plan_of

KILLS = int(os.environ.get("OPTIM_KILLS", "3"))
"""How many times the run of `test_killed_at_any_instant` is killed."""

PRESETS = ("all A", "all B", "half", "GRAD_V", "SMOOTHSTEP")
SAMPLERS = {
    "tpe": SamplerSpec("tpe", {"n_startup_trials": 2, "multivariate": True}, ("half",)),
    "gp": SamplerSpec("gp", {"n_startup_trials": 2}, ("half",)),
    "random": SamplerSpec("random", presets=()),
    "presets": SamplerSpec("random", presets=PRESETS),
    "cma": SamplerSpec("cma", {"population": 4}, ("half",), design=StartDesign(latin=1)),
}


@pytest.fixture(scope="module")
def uninterrupted(demo_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[SamplerSpec, int], Stored]:
    """What a run that nobody disturbs leaves, by sampler and number of trials; made once."""
    known: dict[str, Stored] = {}

    def get(sampler: SamplerSpec, trials: int) -> Stored:
        key = f"{sampler} {trials}"
        if key not in known:
            rig = Rig(tmp_path_factory.mktemp("uninterrupted"), demo_models)
            plan = plan_of(rig.models, sampler)
            rig.run(dataclasses.replace(plan, budget=Budget(trials)))
            known[key] = rig.stored()
        return known[key]

    return get


def check_whole(rig: Rig, wanted: Stored) -> None:
    """Every trial once, with the values, images and scores of the undisturbed run, and no half-written file."""
    stored = rig.stored()
    assert [trial.number for trial in stored.trials] == list(range(len(wanted.trials)))
    assert [trial.state for trial in stored.trials] == ["complete"] * len(wanted.trials)
    assert stored.values() == wanted.values()
    assert [trial.origin for trial in stored.trials] == [trial.origin for trial in wanted.trials]
    assert [trial.recipe for trial in stored.trials] == [trial.recipe for trial in wanted.trials]
    assert stored.pixels() == wanted.pixels()
    assert [trial.value for trial in stored.trials] == [trial.value for trial in wanted.trials]
    scores = sorted((s.trial, s.image, s.scorer, s.raw) for s in stored.scores)
    assert scores == sorted((s.trial, s.image, s.scorer, s.raw) for s in wanted.scores)
    folder = rig.folder_of()
    assert sorted(path.name for path in folder.images.iterdir()) == sorted(Path(i.file).name for i in stored.images)
    for record in stored.images:
        with Image.open(folder.path / record.file) as image:
            assert pixel_hash(image) == record.pixels
    rows = folder.trials_csv.read_text().splitlines()[1:]
    assert [int(row.split(",")[0]) for row in rows] == list(range(len(wanted.trials)))


@pytest.mark.parametrize("name", SAMPLERS)
def test_stopped_and_resumed_it_proposes_the_same(
    rig: Rig, uninterrupted: Callable[[SamplerSpec, int], Stored], name: str
) -> None:
    trials = 4
    wanted = uninterrupted(SAMPLERS[name], trials)
    images = 0

    def count(job: Any, stamp: Any) -> None:
        nonlocal images
        images += 1
        if images in (4, 7):  # in the middle of a trial, and before the first image of one
            rig.manager.stop()

    rig.hook("generate", count)
    plan = dataclasses.replace(plan_of(rig.models, SAMPLERS[name]), budget=Budget(trials))
    run = rig.manager.start(plan)
    rig.end()
    assert "complete" in rig.states()
    assert rig.states()[-1] == "running"
    for _ in range(4):
        if rig.states().count("complete") == trials:
            break
        rig.manager.resume(run)
        rig.end()
    check_whole(rig, wanted)
    assert rig.has_originals()


def test_killed_at_any_instant(
    make_rig: Callable[..., Rig], uninterrupted: Callable[[SamplerSpec, int], Stored], tmp_path: Path
) -> None:
    """``kill -9`` at random instants of a run in a process of its own; seeded, so that a failure can be repeated."""
    from tests.run.child import SAMPLER, TRIALS

    wanted = uninterrupted(SAMPLER, TRIALS)
    made = make_rig(tmp_path)  # its models; the run itself happens in the child
    moments = random.Random(f"kills {KILLS}")
    seen: dict[int, Any] = {}
    for _ in range(KILLS):
        with _child(tmp_path) as child:
            time.sleep(moments.uniform(0.0, 4.0))
            child.send_signal(signal.SIGKILL)
            child.wait(30)
        stored = made.stored()
        complete = {trial.number: trial for trial in stored.trials if trial.state == "complete"}
        for number, trial in seen.items():
            assert complete[number] == trial, "a finished trial was lost or changed"
        seen = complete
        folder = made.folder_of()
        for record in stored.images:
            with Image.open(folder.path / record.file) as image:
                assert pixel_hash(image) == record.pixels, "a half-written image was recorded"
    name = made.folder_of().name
    made.manager.resume(name)
    made.end()
    check_whole(made, wanted)


def _child(folder: Path) -> subprocess.Popen[bytes]:
    root = Path(__file__).resolve().parents[2]
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.run.child", str(folder)],
        cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return child


def stop_after(rig: Rig, images: int, plan: Any = None) -> str:
    """Start a run and stop it while image number `images` (from 0) is made; return its folder."""
    count = 0

    def hooked(job: Any, stamp: Any) -> None:
        nonlocal count
        count += 1
        if count == images + 1:
            rig.manager.stop()

    rig.hook("generate", hooked)
    run = rig.manager.start(plan or rig.plan())
    rig.end()
    return run


def test_a_finished_run_ends_at_once_and_takes_more_trials(rig: Rig) -> None:
    rig.run()
    run = rig.folder_of().name
    made = []
    rig.hook("generate", lambda *_: made.append(1))
    rig.manager.resume(run)
    rig.end()
    assert not made
    rig.manager.resume(run, trials=3)
    rig.end()
    assert len(made) == 2
    assert rig.states() == ["complete"] * 3
    assert rig.folder_of().read_plan().budget.trials == 3


@pytest.mark.parametrize("damage", ["gone", "truncated", "other picture"])
def test_an_unfinished_trials_lost_image_is_made_again(rig: Rig, damage: str) -> None:
    run = stop_after(rig, 1)
    (record,) = rig.stored().images
    path = rig.folder_of().path / record.file
    if damage == "gone":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:100])
    else:
        Image.new("RGB", (64, 64), "red").save(path)
    rig.manager.resume(run)
    rig.end()
    again = rig.stored()
    assert again.pixels()[0, 0] == record.pixels
    assert len(again.images) == 4
    with Image.open(path) as image:
        assert pixel_hash(image) == record.pixels


def test_images_that_are_there_are_not_made_again(rig: Rig) -> None:
    run = stop_after(rig, 1)
    made = []
    rig.hook("generate", lambda job, stamp: made.append((stamp["Optim trial"].split()[-1], job.index)))
    rig.manager.resume(run)
    rig.end()
    assert made == [("0", 1), ("1", 0), ("1", 1)]


def test_images_without_scores_are_scored(rig: Rig) -> None:
    run = stop_after(rig, 1)
    store = Store(rig.folder_of().database)
    store._db.execute("DELETE FROM scores")
    store.close()
    rig.manager.resume(run)
    rig.end()
    assert [(s.trial, s.image) for s in sorted(rig.stored().scores, key=lambda s: (s.trial, s.image))] == [
        (0, 0), (0, 1), (1, 0), (1, 1),
    ]  # fmt: skip


def test_the_files_for_people_are_made_anew(rig: Rig) -> None:
    rig.run()
    folder = rig.folder_of()
    table, recipe = folder.trials_csv.read_text(), folder.best_recipe.read_text()
    folder.trials_csv.write_text(table[: len(table) // 2])  # killed in the middle of a line
    folder.best_recipe.unlink()
    rig.manager.resume(folder.name)
    rig.end()
    assert folder.trials_csv.read_text() == table
    assert folder.best_recipe.read_text() == recipe


def test_a_checkpoint_that_moved_is_found_by_its_hash(
    rig: Rig, uninterrupted: Callable[[SamplerSpec, int], Stored]
) -> None:
    plan = dataclasses.replace(plan_of(rig.models, SAMPLERS["random"]), budget=Budget(2))
    run = stop_after(rig, 1, plan)
    recipe = rig.trials()[0]["recipe"]
    (rig.models / "sub").mkdir()
    (rig.models / "demo-b.safetensors").rename(rig.models / "sub" / "renamed.safetensors")
    with rig.host.exclusive():
        rig.host.restore(type(rig.host.state())(None))
    (rig.models / "demo-a.safetensors").rename(rig.models / "sub" / "base.safetensors")
    rig.manager.resume(run)
    rig.end()
    plan = rig.folder_of().read_plan()
    assert [Path(model.path).name for model in plan.models] == ["base.safetensors", "renamed.safetensors"]
    assert rig.trials()[0]["recipe"] == recipe
    wanted = uninterrupted(SAMPLERS["random"], 2)
    assert rig.stored().pixels() == wanted.pixels()


def test_a_checkpoint_that_is_gone_is_named(rig: Rig) -> None:
    run = stop_after(rig, 1)
    before = rig.folder_of().plan.read_bytes()
    (rig.models / "demo-b.safetensors").unlink()
    with pytest.raises(PlanError, match=r"demo-b.safetensors is gone, and no other file has its SHA-256"):
        rig.manager.resume(run)
    assert not rig.manager.active
    assert rig.folder_of().plan.read_bytes() == before


def test_a_checkpoint_that_changed_is_refused(rig: Rig) -> None:
    run = stop_after(rig, 1)
    before, plan = rig.stored().trials, rig.folder_of().plan.read_bytes()
    target = rig.models / "demo-b.safetensors"
    content = bytearray(target.read_bytes())
    content[-1] ^= 1
    target.unlink()  # a link to a file that others use
    target.write_bytes(content)
    rig.manager.resume(run)
    snapshot = rig.end(state="failed", errors=1)
    assert "demo-b.safetensors is not the file this run began with" in snapshot["sentence"]
    assert rig.stored().trials == before
    assert rig.folder_of().plan.read_bytes() == plan
    assert rig.states() == ["running"]  # and it is on show
    assert rig.has_originals()


def test_a_run_moved_to_another_machine_goes_on(
    rig: Rig, make_rig: Callable[..., Rig], tmp_path: Path, uninterrupted: Callable[[SamplerSpec, int], Stored]
) -> None:
    plan = dataclasses.replace(plan_of(rig.models, SAMPLERS["presets"]), budget=Budget(4))
    run = stop_after(rig, 3, plan)
    other = make_rig(tmp_path)
    shutil.copytree(rig.folder_of().path, other.host.paths().outputs / run)
    shutil.rmtree(rig.models)
    other.manager.resume(run)
    other.end()
    check_whole(other, uninterrupted(SAMPLERS["presets"], 4))


@pytest.mark.parametrize("name", ["", "..", "nothing", "../outputs", "a/b"])
def test_what_is_no_run_is_named(rig: Rig, name: str) -> None:
    with pytest.raises(StoreError, match=r"There is no run"):
        rig.manager.resume(name)
    assert rig.snapshot()["state"] == "idle"


def test_a_damaged_run_is_one_sentence_and_stays_as_it_is(rig: Rig) -> None:
    rig.run()
    folder = rig.folder_of()
    folder.database.write_bytes(b"nothing of ours" * 1000)
    with pytest.raises(StoreError, match="cannot be opened"):
        rig.manager.resume(folder.name)
    assert not rig.manager.active
    assert folder.database.read_bytes() == b"nothing of ours" * 1000
    folder.plan.write_text('{"version": 99}')
    with pytest.raises(StoreError, match="cannot be used"):
        rig.manager.resume(folder.name)
    assert "cannot be used" in rig.manager.runs()[0]["problem"]


DAMAGES: dict[str, tuple[str, str]] = {
    "a trial's values": ("UPDATE trials SET \"values\"='{'", "damaged: trial 0 cannot be read"),
    "a trial's times": ("UPDATE trials SET seconds='[]'", "damaged: trial 0 cannot be read (not an object)"),
    "a trial's state": ("UPDATE trials SET state='odd'", "damaged: trial 0 cannot be read (there is no state 'odd')"),
    "a trial's score": ("UPDATE trials SET value='good'", "damaged: trial 0 cannot be read (its score is 'good')"),
    "a pass": ("INSERT INTO passes (created, plan) VALUES (1, '{')", "damaged: pass 2 cannot be read"),
    "a pass of a newer version": (
        "INSERT INTO passes (created, plan) VALUES (1, '{\"version\": 9}')", "written by a newer Optim (version 9"
    ),
    "a database of another version": ("UPDATE meta SET value='99' WHERE key='schema'", "another version of Optim"),
    "other parameters": (
        "UPDATE trials SET \"values\"='{\"x\": 1}'", "searches something else than its trials did: BASE_alpha"
    ),
    "a table that is gone": ("DROP TABLE passes", "no such table: passes"),
}  # fmt: skip


def test_whatever_is_damaged_is_one_sentence_and_stays_as_it_is(rig: Rig) -> None:
    rig.run(rig.plan(payloads=(payload(),), budget=Budget(1)))
    folder = rig.folder_of()
    whole = folder.database.read_bytes()
    for damage, (statement, sentence) in DAMAGES.items():
        with closing(sqlite3.connect(folder.database)) as database:
            database.execute("PRAGMA foreign_keys=OFF")
            database.execute(statement)
            database.commit()
        damaged, images = _content(folder.database), sorted(folder.images.iterdir())
        fork = [] if damage == "other parameters" else [lambda name: rig.manager.fork(name, folder.read_plan())]
        for command in (rig.manager.resume, *fork):
            with pytest.raises(OptimError) as caught:
                command(folder.name)
            assert sentence in str(caught.value), (damage, str(caught.value))
            assert "\n" not in str(caught.value)
            assert not rig.manager.active
        assert (_content(folder.database), sorted(folder.images.iterdir())) == (damaged, images), damage
        for side in folder.path.glob("run.db-*"):
            side.unlink()
        folder.database.write_bytes(whole)
    for lost in (folder.database.unlink, lambda: folder.database.write_bytes(b"")):
        lost()
        with pytest.raises(StoreError, match="is gone, though its images are there; put a copy of it back"):
            rig.manager.resume(folder.name)
    pages = bytearray(whole)
    pages[2 * 4096 :] = b"\xa5" * (len(pages) - 2 * 4096)
    for broken in (bytes(pages), whole[:5000]):
        folder.database.write_bytes(broken)
        with pytest.raises(StoreError, match=r"cannot be opened: database disk image is malformed"):
            rig.manager.resume(folder.name)
    folder.database.write_bytes(whole)
    rig.manager.resume(folder.name, trials=2)  # nothing was lost
    assert [trial["number"] for trial in rig.end()["trials"]] == [0, 1]


def _content(path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        return "\n".join(database.iterdump())
