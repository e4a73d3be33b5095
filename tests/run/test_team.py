"""Workers of a shared study: two of them in one process, then two processes of which one is killed."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lib_optim.plan.errors import StoreError
from lib_optim.plan.records import Score, Trial
from lib_optim.plan.run_plan import Budget, RunPlan, SharedSpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.control import Control
from lib_optim.run.guarding import GUARD
from lib_optim.run.passes import Passes
from lib_optim.run.scores import ScoreBook
from lib_optim.run.store import Store
from lib_optim.run.team import Team
from lib_optim.run.view import RunView
from lib_optim.search.shared_study import SharedStudy
from tests.rig import PATIENCE, Rig, make_plan
from tests.run.team_child import TRIALS, plan_of
from tests.storages import SECRET, Server, start

QUICK = 0.4  # seconds without a beat, between threads of this process


class Worker:
    """A team member with a record of its own."""

    def __init__(self, folder: Path, place: tuple[str, str], patience: float = QUICK) -> None:
        folder.mkdir(exist_ok=True)
        self.store = Store(folder / "run.db")
        if self.store.last_pass() is None:
            self.store.add_pass("{}")
        self.team = Team(SharedSpec(*place, patience), self.store)
        self.known: set[int] = set()

    def join(self, plan: RunPlan, ended: Any = ()) -> Worker:
        self.team.join(plan, ended)
        return self

    def try_(self, **values: float) -> Trial:
        shared, _ = self.team.begin(lambda: False)
        trial = Trial(shared.number, "running", values, "sampler: random", "digest", started=time.time())
        self.team.describe(shared.id, trial)
        self.known.add(trial.number)
        return trial

    def arrivals(self) -> list[Any]:
        found = self.team.arrivals(self.known.__contains__, 1)
        self.known |= {arrival.trial.number for arrival in found}
        return found

    def close(self) -> None:
        self.team.close()
        self.store.close()


@pytest.fixture
def workers(tmp_path: Path, place: tuple[str, str]) -> Iterator[Callable[..., Worker]]:
    made: list[Worker] = []

    def make(name: str = "", patience: float = QUICK) -> Worker:
        made.append(Worker(tmp_path / (name or f"worker{len(made)}"), place, patience))
        return made[-1]

    yield make
    for worker in made:
        worker.close()


PLAN = make_plan(Path("models"))


def until(condition: Callable[[], Any]) -> Any:
    limit = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < limit
        time.sleep(0.02)
    return found


def complete(trial: Trial, value: float) -> Trial:
    return dataclasses.replace(trial, state="complete", value=value, finished=time.time(), seconds={"merge": 0.5})


def test_results_reach_the_others_with_their_raw_scores(workers: Callable[..., Worker]) -> None:
    one, two = workers().join(PLAN), workers().join(PLAN)
    trial = one.try_(a=0.25)
    assert two.arrivals() == []
    assert (one.team.under_way(), two.team.under_way()) == (0, 1)
    done = complete(trial, 0.75)
    assert one.team.publish(done, [Score(0, 1, "technical", 0.5)])
    (arrival,) = two.arrivals()
    assert arrival.trial == done
    assert arrival.scores == (Score(0, 1, "technical", 0.5),)
    assert two.arrivals() == one.arrivals() == []


def test_what_others_are_trying_is_known(workers: Callable[..., Worker]) -> None:
    one, two = workers().join(PLAN), workers().join(PLAN)
    one.try_(a=0.25)
    shared, others = two.team.begin(lambda: False)
    assert shared.number == 1
    assert [(t.number, t.state, dict(t.values)) for t in others] == [(0, "running", {"a": 0.25})]


def test_nobody_chooses_before_earlier_ones_have_said_what_they_try(workers: Callable[..., Worker]) -> None:
    one, two = workers(patience=60).join(PLAN), workers(patience=60).join(PLAN)
    shared, _ = one.team.begin(lambda: False)
    began = time.monotonic()
    mine, others = two.team.begin(lambda: time.monotonic() - began > 0.3)
    assert time.monotonic() - began > 0.3
    assert others == []
    two.team.describe(mine.id, Trial(1, "running", {"a": 0.0}, "preset: all A"))
    one.team.describe(shared.id, Trial(0, "running", {"a": 1.0}, "preset: half"))
    _, others = two.team.begin(lambda: False)
    assert [t.origin for t in others] == ["preset: half", "preset: all A"]


def test_a_vanished_workers_trial_is_queued_again_once(workers: Callable[..., Worker], place: tuple[str, str]) -> None:
    dead, one, two = workers("dead").join(PLAN), workers().join(PLAN), workers().join(PLAN)
    trial = dead.try_(a=0.25)
    dead.close()
    (arrival,) = until(lambda: one.arrivals() or (two.arrivals() and one.arrivals()))
    assert (arrival.trial.number, arrival.trial.state) == (0, "failed")
    assert "showed no sign of life" in arrival.trial.reason
    two.arrivals()
    taken = [worker.team.waiting() for worker in (one, two)]
    (again,) = [shared for shared in taken if shared is not None]
    assert (again.number, again.content["values"], again.content["origin"]) == (1, {"a": 0.25}, "requeued: 0")
    back = workers("dead").join(PLAN)
    assert not back.team.holds(0)
    assert not back.team.publish(complete(trial, 1.0), ())
    assert [t.state for t in SharedStudy(*place).trials()] == ["failed", "running"]


def test_a_slow_worker_is_not_a_dead_one(workers: Callable[..., Worker]) -> None:
    slow, other = workers(patience=2.5).join(PLAN), workers(patience=2.5).join(PLAN)
    trial = slow.try_(a=0.25)
    limit = time.monotonic() + 4
    while time.monotonic() < limit:
        assert other.arrivals() == []
        time.sleep(0.05)
    assert slow.team.publish(complete(trial, 1.0), ())


def test_what_was_recorded_and_not_published_is_published_later(workers: Callable[..., Worker]) -> None:
    one, two = workers("one", 60).join(PLAN), workers(patience=60).join(PLAN)
    trial = one.try_(a=0.25)
    one.close()  # killed after its own record, before the others learnt of it
    workers("one", 60).join(PLAN, [(complete(trial, 0.5), [Score(0, 0, "technical", 0.5)])])
    (arrival,) = two.arrivals()
    assert (arrival.trial.value, len(arrival.scores)) == (0.5, 1)


def test_an_unfinished_trial_goes_on_after_a_resume(workers: Callable[..., Worker]) -> None:
    one, two = workers("one", 60).join(PLAN), workers(patience=60).join(PLAN)
    trial = one.try_(a=0.25)
    one.close()
    back = workers("one", 60).join(PLAN)
    assert back.team.holds(trial.number)
    assert not two.team.holds(trial.number)
    assert back.team.publish(complete(trial, 1.0), ())


def test_a_number_for_oneself_is_nobody_elses(workers: Callable[..., Worker]) -> None:
    one, two = workers().join(PLAN), workers().join(PLAN)
    assert [one.team.number(), two.team.number(), one.try_(a=0.0).number] == [0, 1, 2]
    assert two.arrivals() == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 6}, "another seed"),
        ({"scorers": (ScorerSpec("clipscore"),)}, "another scorers"),
        ({"models": (dataclasses.replace(PLAN.models[0], sha256="0" * 64),)}, r"other models \(by SHA-256\)"),
        ({"save": dataclasses.replace(PLAN.save, dtype="fp32")}, "another precision"),
    ],
)
def test_a_worker_with_another_plan_is_refused(
    workers: Callable[..., Worker], change: dict[str, Any], words: str
) -> None:
    workers().join(PLAN)
    with pytest.raises(StoreError, match=f"is about something else: it has {words}"):
        workers().join(dataclasses.replace(PLAN, **change))


def test_two_workers_one_killed_in_the_middle(make_rig: Callable[..., Rig], place: tuple[str, str]) -> None:
    rig, other = make_rig(), make_rig()
    rig.host.choose(rig.checkpoint("demo-a"))
    with _child(other.folder, *place) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"begun\n"
        rig.manager.start(plan_of(rig.models, *place))
        assert child.stdout.readline() == b"middle\n"
        child.send_signal(signal.SIGKILL)
        child.wait(30)
    study = SharedStudy(*place)
    rig.end(errors=None)
    shared = study.trials()
    killed = {t.content["worker"] for t in shared} - {rig.stored().worker}
    lost = [t for t in shared if t.state == "failed" and "values" in t.content]  # without: numbers of verifications
    results = [t for t in shared if t.state == "complete"]
    assert len(results) == TRIALS
    assert {t.content["worker"] for t in results} == {rig.stored().worker, *killed}
    assert {t.state for t in shared} <= {"complete", "failed"}
    assert [t.content["worker"] for t in lost] == list(killed)  # it had one trial under way
    (again,) = [t for t in results if t.content["origin"] == f"requeued: {lost[0].number}"]
    assert again.content["values"] == lost[0].content["values"]
    points = [str(t.content["values"]) for t in results]
    assert len(set(points)) == TRIALS, "a point was tried twice"
    stored = rig.stored()
    searched = {t.number: t.value for t in stored.trials if t.state == "complete" and t.pass_id == 1}
    assert searched == {t.number: t.value for t in results}
    _check_scores(stored, results)
    before = len(results)
    other.manager.resume(other.manager.runs()[0]["folder"])
    snapshot = other.end(errors=None)
    states = {t["number"]: t["state"] for t in snapshot["trials"]}
    assert states[lost[0].number] == "skipped"
    assert sum(t["state"] == "complete" and t["pass"] == 1 for t in snapshot["trials"]) == TRIALS
    # Each has verified for itself, with the trials of the other among the finalists, and names the same winner.
    assert snapshot["best"] == rig.snapshot()["best"]
    ours, theirs = (s["verification"]["finalists"] for s in (rig.snapshot(), snapshot))
    assert [{**row, "again": 0} for row in ours] == [{**row, "again": 0} for row in theirs]
    made = {t.number: t.content["worker"] for t in results}
    assert {made[row["trial"]] for row in ours} == {stored.worker, *killed}
    assert len([t for t in study.trials() if t.state == "complete"]) == before


def _check_scores(stored: Any, results: list[Any]) -> None:
    """The raw scores in the survivor's record are those that every worker published, once each."""
    numbers = {t.number for t in results}
    found = sorted((s.trial, s.image, s.scorer, s.raw) for s in stored.scores if s.trial in numbers)
    published = sorted((t.number, i, n, raw) for t in results for i, n, raw in t.result["scores"] if n != GUARD)
    assert found == published


def test_a_study_of_other_models_ends_the_run_with_a_sentence(rig: Rig, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    SharedStudy(url, "test").agree({"models": ["others"]})
    rig.manager.start(plan_of(rig.models, url))
    snapshot = rig.end(state="failed", errors=1)
    assert "other models (by SHA-256)" in snapshot["sentence"]
    assert rig.has_originals()


@pytest.mark.parametrize(
    ("shared", "sentence"),
    [
        (SharedSpec("study.db", "x"), "'study.db' is no URL of a shared study"),
        (SharedSpec("postgres://x", "x"), "Did you mean 'postgresql'?"),
        (SharedSpec("grpc://localhost", "x"), "needs a port"),
        (
            SharedSpec("postgresql://optim:gu3ss@rest@host/x", "x"),
            "at postgresql://…@host/x has an @ or a /",
        ),
        (
            SharedSpec("mysql://optim:$OPTIM_NOT_SET@host/x", "x"),
            "names $OPTIM_NOT_SET, and",
        ),
        (SharedSpec("sqlite:///x.db", " "), "has no name"),
        (SharedSpec("", "x"), "has no URL"),
        (SharedSpec("sqlite:///x.db", "x", 0.5), "must lie between 1 and 86400 s"),
    ],
)
def test_what_cannot_be_shared_is_named_before_the_start(rig: Rig, shared: SharedSpec, sentence: str) -> None:
    problems = rig.manager.check(rig.plan(shared=shared)).problems
    assert [sentence in problem.sentence for problem in problems] == [True]


def test_a_person_cannot_score_for_all(rig: Rig) -> None:
    plan = rig.plan(shared=SharedSpec("sqlite:///x.db", "x"), scorers=(ScorerSpec("manual"),), budget=Budget(1))
    assert any("takes no human scores" in problem.sentence for problem in rig.manager.check(plan).problems)


class _Child:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        if self.process.stdout is not None:
            self.process.stdout.close()


def _child(folder: Path, url: str, name: str) -> _Child:
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.run.team_child", str(folder), url, name],
        cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return _Child(process)


def test_the_images_of_another_worker_count_in_a_verification_by_their_scores(tmp_path: Path) -> None:
    """They are not here: the weight of a finalist's value in the search must not be that of no image."""
    payloads = (PLAN.payloads[0], dataclasses.replace(PLAN.payloads[1], score_weight=0.0))
    with contextlib.closing(Store(tmp_path / "run.db")) as store:
        passes = Passes(dataclasses.replace(PLAN, payloads=payloads), store)
        book = ScoreBook(passes, store, RunView(), Control(), tmp_path)
        foreign = Trial(3, "complete", {"a": 0.5}, "sampler: random", value=0.5, pass_id=passes.current.id)
        store.put_entered(foreign, (), (Score(3, 0, "technical", 0.5), Score(3, 1, "technical", 0.9)))
        book.begin(foreign)
        book.sheet.load(3)
        assert book.sheet.counting(3) == [0]
        book.automatic.close()


@pytest.mark.parametrize("kind", ["postgresql", "mysql", "grpc"])
def test_a_server_that_comes_back_in_time_is_waited_for(kind: str, tmp_path: Path) -> None:
    with start(kind) as server, contextlib.ExitStack() as stack:
        _must_stop(server)
        one, two = (Worker(tmp_path / name, (server.url, "mine"), 20.0) for name in ("one", "two"))
        stack.callback(one.close)
        stack.callback(two.close)
        trial, other = one.join(PLAN).try_(a=0.25), two.join(PLAN).try_(a=0.75)
        assert one.arrivals() == []
        server.end()
        threading.Timer(2.0, server.begin).start()
        assert one.team.publish(complete(trial, 0.75), [Score(0, 0, "technical", 0.5)])
        (arrival,) = two.arrivals()
        assert (arrival.trial.value, len(arrival.scores)) == (0.75, 1)
        assert two.team.publish(complete(other, 0.5), ())  # nobody took it for dead, and its beat goes on
        assert one.arrivals()[0].trial.value == 0.5


def test_while_a_storage_is_away_nobody_is_taken_for_dead(workers: Callable[..., Worker]) -> None:
    one, two = workers(patience=1.0).join(PLAN), workers(patience=60).join(PLAN)
    two.try_(a=0.25)
    assert one.arrivals() == []
    time.sleep(1.2)
    one.team._away("It does not answer.", 0.0)  # as the storage says
    assert one.arrivals() == []
    time.sleep(1.2)
    assert [arrival.trial.state for arrival in one.arrivals() or one.arrivals()] == ["failed"]


def test_a_server_that_stays_away_ends_the_run_and_loses_nothing(make_rig: Callable[..., Rig], tmp_path: Path) -> None:
    """Optuna's proxy before a database; the other servers end the same way, and take a second to start."""
    rig = make_rig()
    with start("grpc") as server:
        _must_stop(server)
        plan = rig.plan(shared=SharedSpec(server.url, "mine", 2.0), budget=Budget(3))
        images: list[object] = []

        def stop_server(job: object, stamp: object) -> None:
            images.append(job)
            if len(images) == 4:
                server.end()

        rig.hook("generate", stop_server)
        rig.manager.start(plan)
        failed = rig.end(state="failed", errors=1)
        assert "cannot be used: " in failed["sentence"]
        assert "proxy" not in failed["sentence"]
        assert [(t["state"], t["value"] is not None) for t in failed["trials"]] == [("complete", True)] * 2
        server.begin()
        rig.manager.resume(rig.manager.runs()[0]["folder"])
        done = rig.end()
        assert [t["value"] for t in done["trials"]][:2] == [t["value"] for t in failed["trials"]]
        study = SharedStudy(server.url, "mine")
        assert [t.value for t in study.trials()] == [t["value"] for t in done["trials"]]
        assert len(images) == 6
        study.close()


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_refused_password_ends_the_run_with_a_sentence_and_is_written_nowhere(
    kind: str, rig: Rig, server: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTIM_WRONG", "gu3ss:@/%41#")
    rig.manager.start(plan_of(rig.models, server(kind).url.replace(SECRET, "OPTIM_WRONG")))
    snapshot = rig.end(state="failed", errors=1)
    assert "authentication failed" in snapshot["sentence"] or "Access denied" in snapshot["sentence"]
    folder = rig.folder_of().plan.parent
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert {"log.txt", "plan.json", "run.db"} <= {file.name for file in files}
    assert not [file.name for file in files if b"gu3ss" in file.read_bytes()]
    assert rig.has_originals()


def _must_stop(server: Server) -> None:
    if not server.ours:
        pytest.skip("needs a server that may be stopped; this one was given by its URL")
