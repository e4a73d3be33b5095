"""Kill a run again and again, look at what is left, resume it, and compare it with one that nobody disturbed."""

from __future__ import annotations

import contextlib
import json
import math
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from safetensors.torch import load_file

from lib_optim.hosts.digest import tensor_digest
from lib_optim.plan.records import Trial
from lib_optim.run.folder import RunFolder
from lib_optim.run.results import pixel_hash
from lib_optim.run.store import Store
from tests.faults.child import SAMPLERS, TRIALS, counts_of, rating_of, run_child, said
from tests.faults.traps import PLACES, Trap

__all__ = ["KillFigures", "campaign"]

_LIMIT = 300.0  # seconds that one process may take, on a machine that is busy
_PRELOADED = ("tests.faults.preloaded",)
_HUMAN = "manual"


@dataclass
class KillFigures:
    """What a campaign saw.

    Attributes:
        kills: Processes that died of SIGKILL.
        by_the_clock: Those of them killed at a random instant.
        places: The others, by the write in whose middle they were killed.
        runs: Runs that these kills hit, each of them resumed to its end.
        seconds: What it took.
    """

    kills: int = 0
    by_the_clock: int = 0
    places: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class _Undisturbed:
    """What a run leaves that nobody kills; and how long it takes, and how often it comes by each place."""

    record: dict[str, Any]
    recipe: str
    checkpoint: dict[str, int]
    seconds: float
    counts: dict[str, int]


def campaign(home: Path, demo: Path, kills: int, seed: int, seconds: float = math.inf) -> KillFigures:
    """Kill runs `kills` times: every other one at a random instant, the others at the places of `PLACES` in turn.

    Args:
        home: An empty folder.
        demo: The demo pair.
        kills: How many.
        seconds: After so long no further kills are begun.
        seed: The same seed kills at the same places; instants by the clock depend on the machine all the same.

    Raises:
        AssertionError: Something was lost, came twice, or was half.
    """
    began, figures, chance = time.monotonic(), KillFigures(), random.Random(f"kills {seed}")
    places = [(what, instant) for what, instants in PLACES.items() for instant in instants]
    chance.shuffle(places)
    wanted: dict[str, _Undisturbed] = {}
    samplers = list(SAMPLERS)
    while figures.kills < kills and time.monotonic() - began < seconds:
        sampler = samplers[figures.runs % len(samplers)]
        if sampler not in wanted:
            wanted[sampler] = _undisturbed(_folder(home, demo, f"whole {sampler}"), sampler)
        folder = _folder(home, demo, f"run {figures.runs}")
        most = lambda: kills if time.monotonic() - began < seconds else 0  # noqa: E731
        _one_run(folder, sampler, wanted[sampler], figures, most, chance, places)
        figures.runs += 1
        shutil.rmtree(folder)
    figures.seconds = time.monotonic() - began
    return figures


def _one_run(
    folder: Path, sampler: str, wanted: _Undisturbed, figures: KillFigures, most: Callable[[], int],
    chance: random.Random, places: list[tuple[str, str]],
) -> None:  # fmt: skip
    """Kill one run until it comes to its end all the same, or there were enough kills; then look at the whole."""
    while True:
        trap, after = None, None
        if figures.kills >= most():
            pass
        elif figures.kills % 2:
            what, instant = places[(figures.kills // 2) % len(places)]
            left = 1 - _done(folder) / TRIALS
            writes = max(1, round(wanted.counts[f"{what}, {instant}"] * left))
            trap = Trap(what, instant, chance.randint(1, writes))
        else:
            after = chance.uniform(0, wanted.seconds)
        killed = _process(folder, sampler, trap, after)
        if killed:
            figures.kills += 1
            figures.by_the_clock += trap is None
            figures.places.update([str(trap)] if trap else [])
            _look(folder, wanted)
        elif trap is None and after is None:
            break
        elif _ended(folder):
            _process(folder, sampler, None, None)  # a run that has ended is resumed as well
            break
    _compare(folder, wanted)


def _process(folder: Path, sampler: str, trap: Trap | None, after: float | None) -> bool:
    """Let a process work on the run; return whether it was killed (and not at its end by itself)."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    process = context.Process(target=run_child, args=(folder, sampler, trap))
    process.start()
    process.join(_LIMIT if after is None else after)
    if process.exitcode is None and after is not None:
        process.kill()
    process.join(_LIMIT)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"the run hung, with {trap}")
    assert process.exitcode in (0, -signal.SIGKILL), (process.exitcode, str(trap))
    if process.exitcode == 0:
        problems = counts_of(folder)[1]
        assert not problems, problems
    return process.exitcode != 0


def _folder(home: Path, demo: Path, name: str) -> Path:
    models = home / name / "models"
    models.mkdir(parents=True)
    for file in demo.glob("*.safetensors"):
        shutil.copy(file, models / file.name)
    return home / name


def _undisturbed(folder: Path, sampler: str) -> _Undisturbed:
    _process(folder, sampler, None, None)  # the first one also fills the cache of hashes
    shutil.rmtree(folder / "outputs")
    shutil.rmtree(folder / "models" / "optim")
    (folder / "said.txt").unlink()
    began = time.monotonic()
    assert not _process(folder, sampler, None, None)
    seconds = time.monotonic() - began
    run = _run_of(folder)
    assert run is not None
    record = _record(run.database)
    assert [trial["state"] for trial in record["trials"]] == ["complete"] * (TRIALS + 1)  # and the verification
    counts, _ = counts_of(folder)
    missing = [f"{w}, {i}" for w, instants in PLACES.items() for i in instants if not counts.get(f"{w}, {i}")]
    assert not missing, missing
    (saved,) = (folder / "models" / "optim").iterdir()
    return _Undisturbed(record, run.best_recipe.read_text(), _tensors(saved), seconds, counts)


def _run_of(folder: Path) -> RunFolder | None:
    """The run; not the folder of one that was killed before it had a plan."""
    runs = [RunFolder(path) for path in (folder / "outputs").glob("*") if (path / "plan.json").exists()]
    assert len(runs) <= 1, runs
    return runs[0] if runs else None


def _done(folder: Path) -> int:
    return len(said(folder)[0])


def _ended(folder: Path) -> bool:
    return (folder / "counts.json").exists() and _done(folder) > TRIALS


# --- what must hold after a kill ------------------------------------------------------------------------------------


def _look(folder: Path, wanted: _Undisturbed) -> None:
    """Look at what a killed process left, without touching it."""
    (folder / "counts.json").unlink(missing_ok=True)
    for path in folder.rglob("*"):  # as if a minute had passed: what is left then is nobody's any more
        if path.is_dir() or path.suffix == ".part":
            os.utime(path, (time.time() - 100,) * 2)
    run = _run_of(folder)
    if run is None:
        return
    run.read_plan()
    with _copied(run) as database:
        if not database.exists():
            return
        with contextlib.closing(sqlite3.connect(database)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        record = _record(database)
    _nothing_forgotten(folder, record)
    known = {trial["number"]: trial for trial in wanted.record["trials"]}
    for trial in record["trials"]:
        assert trial["state"] in ("running", "waiting", "complete")
        if trial["state"] == "complete":
            same = known[trial["number"]]
            others = {name: (content, same[name]) for name, content in trial.items() if content != same[name]}
            assert not others, f"finished trial {trial['number']} is another one (here, undisturbed): {others}"
    _whole_files(folder, run, record, wanted)


@contextlib.contextmanager
def _copied(run: RunFolder) -> Iterator[Path]:
    """The database and its log as they lie there: opening the original would already mend it."""
    with tempfile.TemporaryDirectory() as place:
        for path in run.path.glob("run.db*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, place)
        yield Path(place) / "run.db"


def _nothing_forgotten(folder: Path, record: dict[str, Any]) -> None:
    trials, clicks = said(folder)
    values = {trial["number"]: trial["value"] for trial in record["trials"] if trial["state"] == "complete"}
    for number, value in trials.items():
        assert values.get(number) == value, f"trial {number} was shown as finished"
    given = [(trial, image) for trial, image, scorer, _ in record["scores"] if scorer == _HUMAN]
    assert len(given) == len(set(given)), "a rating counts twice"
    assert clicks <= set(given), "a rating was taken and is gone"
    for trial, image, scorer, raw in record["scores"]:
        assert scorer != _HUMAN or raw == rating_of(trial, image)


def _whole_files(folder: Path, run: RunFolder, record: dict[str, Any], wanted: _Undisturbed) -> None:
    """Every file that bears its final name is whole."""
    for path in run.images.glob("*.png"):
        with Image.open(path) as image:
            image.load()
    for file, pixels in record["files"].items():
        with Image.open(run.path / file) as image:
            assert pixel_hash(image) == pixels, file
    report = run.path / "report.html"
    assert not report.exists() or report.read_text().endswith("</html>\n")
    if run.best_recipe.exists():  # of whichever trial: all recipes of a run have as many lines
        assert len(run.best_recipe.read_text().splitlines()) == len(wanted.recipe.splitlines())
    for path in (folder / "models" / "optim").glob("*.safetensors"):
        assert _tensors(path) == wanted.checkpoint, "a checkpoint that is not the winner's, or half of it"


# --- what must hold at the end --------------------------------------------------------------------------------------


def _compare(folder: Path, wanted: _Undisturbed) -> None:
    """Everything once, everything as in the undisturbed run, nothing left over."""
    run = _run_of(folder)
    assert run is not None
    record = _record(run.database)
    for name, content in wanted.record.items():
        assert record[name] == content, f"{name} differ from the undisturbed run's"
    with contextlib.closing(sqlite3.connect(run.database)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    _nothing_forgotten(folder, record)
    rows = run.trials_csv.read_text().splitlines()[1:]
    assert [int(row.split(",")[0]) for row in rows] == list(range(TRIALS + 1))
    _whole_files(folder, run, record, wanted)
    assert run.best_recipe.read_text() == wanted.recipe
    assert len(list((folder / "models" / "optim").glob("*.safetensors"))) == 1
    assert sorted(path.name for path in run.images.iterdir()) == sorted(Path(file).name for file in record["files"])
    left = [path for path in folder.rglob("*") if path.suffix in (".part", ".tmp") or path.name.startswith("run.db-")]
    assert not left, f"left over: {left}"


def _record(database: Path) -> dict[str, Any]:
    """What ``run.db`` says, without times."""
    with contextlib.closing(Store(database)) as store:
        trials, images, scores = store.trials(), store.images(), store.scores()
        verdicts = [json.loads(text) for text in store.verdicts()]
    return {
        "trials": [_timeless(trial) for trial in trials],
        "scores": sorted((s.trial, s.image, s.scorer, s.raw) for s in scores),
        "images": [(i.trial, i.index, i.payload, i.seed, i.pixels, i.infotext, i.skipped) for i in images],
        "files": {image.file: image.pixels for image in images},
        "verdicts": verdicts,
    }


def _timeless(trial: Trial) -> dict[str, Any]:
    names = ("number", "pass_id", "state", "origin", "recipe", "value", "reason")
    return {**{name: getattr(trial, name) for name in names}, "values": dict(trial.values)}


def _tensors(path: Path) -> dict[str, int]:
    return {name: tensor_digest(tensor) for name, tensor in load_file(path).items()}


os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes; a picture is drawn from bits
