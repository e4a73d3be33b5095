"""One worker's part in a study that several share: who tries what, what came of it, and who is still alive."""

from __future__ import annotations

import dataclasses
import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lib_optim.plan.errors import StoreError
from lib_optim.plan.records import Score, Trial
from lib_optim.plan.run_plan import RunPlan, SharedSpec
from lib_optim.run.store import Store
from lib_optim.search.shared_study import SharedStudy, SharedTrial

__all__ = ["Arrival", "Team"]

_BEATS = 6  # within the time after which a worker counts as dead
_SAME = (
    "method", "methods", "recipe", "adjust", "block_map", "guide", "payloads", "scorers", "combining", "sampler",
    "seed",
)  # fmt: skip
_WORDS = {
    "models": "other models (by SHA-256)",
    "precision": "another precision",
    "combining": "another way to combine scores",
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arrival:
    """A trial of another worker that ended, and its raw scores. Its images stay where they were made."""

    trial: Trial
    scores: tuple[Score, ...]


class Team:
    """Joins a shared study and keeps the worker's trial alive in it. `close` ends that.

    The worker's own ``run.db`` is written first, the study second; but the study decides whose a trial is. One whose
    worker showed no sign of life for `SharedSpec.patience` seconds is queued again for all, and what the lost worker
    makes of it after all is not counted.

    A study that is away is asked again for the patience; then `StoreError` ends the run, which loses nothing: a resume
    publishes what the others have not learnt.

    Args:
        spec: Where the study is.
        store: The worker's own record.
        away: Told why, each time that the study did not answer; whether to try again.
    """

    def __init__(self, spec: SharedSpec, store: Store, away: Callable[[str], bool] = lambda _: True) -> None:
        self._spec = spec
        self._told = away
        self._worker = store.note("worker") or f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        store.set_note("worker", self._worker)
        self._study: SharedStudy | None = None
        self._seen: dict[int, tuple[int, float]] = {}
        self._mine: int | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name="optim heartbeat", daemon=True)

    def join(self, plan: RunPlan, ended: Sequence[tuple[Trial, Sequence[Score]]]) -> None:
        """Take part, with the trials that this worker ended before.

        Raises:
            StoreError: The study cannot be reached, or is about something else; one sentence.
        """
        self._study = SharedStudy(self._spec.url, self._spec.name, self._away)
        data = plan.to_json()
        about = {name: data[name] for name in _SAME}
        about["models"] = [model.sha256 for model in plan.models]
        about["precision"] = plan.save.dtype
        others = self._study.agree(about)
        if others:
            named = ", ".join(_WORDS.get(name, f"another {name}") for name in others)
            raise StoreError(
                f"The shared study '{self._spec.name}' is about something else: it has {named}; use the plan of the "
                "worker that began it, or choose another name for the study."
            )
        mine = {t.number: t for t in self._study.trials() if t.content.get("worker") == self._worker}
        for trial, scores in ended:  # recorded here, and cut off before the others learnt of it
            if trial.number in mine and mine[trial.number].state == "running":
                self._end(mine[trial.number].id, trial, scores)
        self._thread.start()

    def close(self) -> None:
        """Leave. A trial under way stays this worker's for `SharedSpec.patience` seconds, then anybody's."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(10)
        if self._study is not None:
            self._study.close()

    @property
    def _joined(self) -> SharedStudy:
        if self._study is None:
            raise StoreError("The shared study was not joined.")
        return self._study

    def arrivals(self, known: Callable[[int], bool], pass_id: int) -> list[Arrival]:
        """Return what others have ended since, and queue the trials of workers that vanished."""
        trials = self._joined.trials()
        self._bury(trials)
        found = []
        for shared in trials:
            foreign = shared.content.get("worker") != self._worker
            ended = shared.state in ("complete", "failed") and shared.content.get("values") is not None
            if foreign and ended and not known(shared.number):
                found.append(_arrival(shared, pass_id))
        return found

    def waiting(self) -> SharedTrial | None:
        """Take a trial that waits for a worker; None if there is none."""
        for shared in self._joined.trials():
            if shared.state == "waiting" and self._joined.take(shared):
                self._keep(shared.id)
                return shared
        return None

    def under_way(self) -> int:
        """Return how many trials others are making or may take."""
        mine = self._worker
        return sum(
            t.state == "waiting" or (t.state == "running" and t.content.get("worker") != mine)
            for t in self._joined.trials()
        )

    def begin(self, stopped: Callable[[], bool]) -> tuple[SharedTrial, list[Trial]]:
        """Make a new trial; return it, and what others try now.

        It waits until all earlier ones have said what they try, so that no two workers try the same; one that says
        nothing is left out when its worker counts as dead, or when `stopped`.
        """
        new = self._joined.begin()
        self._keep(new.id)
        while True:
            earlier = [t for t in self._joined.trials() if t.number < new.number]
            silent = [t for t in earlier if t.state == "running" and not t.content]
            if not silent or stopped():
                tried = [t for t in earlier if t.state in ("running", "waiting") and t.content.get("values")]
                return new, [_trial(shared, "running", 1) for shared in tried]
            self._bury(earlier)
            time.sleep(0.05)

    def describe(self, shared_id: int, trial: Trial) -> None:
        """Say what a trial of ours tries."""
        content = {"worker": self._worker, "values": dict(trial.values), "origin": trial.origin, "recipe": trial.recipe}
        self._joined.describe(shared_id, content)

    def number(self) -> int:
        """Return a number for a trial that concerns this worker alone: nobody else will use it."""
        shared = self._joined.begin()
        self._joined.describe(shared.id, {"worker": self._worker})
        self._joined.end(shared.id, {"reason": "a verification"}, None)
        return shared.number

    def holds(self, number: int) -> bool:
        """Whether a trial that this worker left unfinished is still its own; it is kept alive from now on."""
        for shared in self._joined.trials():
            if shared.number == number:
                mine = shared.state == "running" and shared.content.get("worker") == self._worker
                if mine:
                    self._keep(shared.id)
                return mine
        return False

    def publish(self, trial: Trial, scores: Sequence[Score]) -> bool:
        """Tell the others what came of a trial; False if they gave it to somebody else meanwhile."""
        shared = next((t for t in self._joined.trials() if t.number == trial.number), None)
        self._mine = None
        return shared is not None and self._end(shared.id, trial, scores)

    def _end(self, shared_id: int, trial: Trial, scores: Sequence[Score]) -> bool:
        result = {
            "state": trial.state, "reason": trial.reason, "seconds": dict(trial.seconds), "started": trial.started,
            "finished": trial.finished, "scores": [[score.image, score.scorer, score.raw] for score in scores],
        }  # fmt: skip
        return self._joined.end(shared_id, result, trial.value if trial.state == "complete" else None)

    def _away(self, why: str, seconds: float) -> bool:
        self._seen.clear()  # nobody could show a sign of life meanwhile
        if threading.current_thread() is self._thread:
            return False  # the next beat is the next try
        _log.warning("%s", why)
        return seconds < self._spec.patience and self._told(f"{why} Trying again …")

    # --- who is alive ------------------------------------------------------------------------------------

    def _keep(self, shared_id: int) -> None:
        self._mine = shared_id

    def _live(self) -> None:
        count = int(time.time())  # above any count of an earlier life of this worker
        while not self._over.wait(self._spec.patience / _BEATS):
            mine = self._mine
            if mine is None:
                continue
            count += 1
            try:
                if not self._joined.beat(mine, count):
                    _log.warning("The shared study gave this worker's trial to another one: it was away too long.")
                    self._mine = None
            except StoreError as error:  # may pass; if it does not, the others take the trial
                _log.warning("%s", error)

    def _bury(self, trials: Sequence[SharedTrial]) -> None:
        now = time.monotonic()
        for shared in trials:
            if shared.state != "running" or shared.content.get("worker") == self._worker or shared.id == self._mine:
                continue
            beat, since = self._seen.get(shared.id, (-1, now))
            if shared.beat != beat:
                self._seen[shared.id] = (shared.beat, now)
            elif now - since > self._spec.patience:
                who = shared.content.get("worker", "unknown")
                reason = f"Its worker ({who}) showed no sign of life for {self._spec.patience:g} s."
                if self._joined.bury(shared.id, reason) and shared.content:
                    again = {"values": shared.content["values"], "origin": f"requeued: {shared.number}"}
                    number = self._joined.queue({**again, "recipe": shared.content.get("recipe", "")})
                    _log.warning("Trial %d: %s It is trial %d now.", shared.number, reason, number)


def _arrival(shared: SharedTrial, pass_id: int) -> Arrival:
    state = str(shared.result.get("state", "failed"))
    trial = _trial(shared, state, pass_id)
    scores = tuple(Score(shared.number, int(i), str(n), float(raw)) for i, n, raw in shared.result.get("scores", ()))
    return Arrival(trial, scores)


def _trial(shared: SharedTrial, state: str, pass_id: int) -> Trial:
    content: dict[str, Any] = dict(shared.content)
    result: dict[str, Any] = dict(shared.result)
    made = Trial(
        shared.number, "running", content["values"], str(content.get("origin", "")), str(content.get("recipe", "")),
        pass_id=pass_id,
    )  # fmt: skip
    if state == "running":
        return made
    return dataclasses.replace(
        made, state="complete" if shared.state == "complete" else "skipped" if state == "skipped" else "failed",
        value=shared.value, reason=str(result.get("reason", "")), seconds=result.get("seconds", {}),
        started=float(result.get("started") or 0.0), finished=result.get("finished") or 0.0,
    )  # fmt: skip
