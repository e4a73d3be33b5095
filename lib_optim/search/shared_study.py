"""A study that several workers share, in Optuna's own storages: SQLite, PostgreSQL, MySQL, or its gRPC proxy.

The storage decides who works on what: it numbers the trials, lets one worker only take a waiting trial, and keeps the
first end that a trial is given. A trial's content is JSON in its attributes, so nothing has to be unpickled and a
dashboard can show it. Every worker counts up its running trial's ``beat``; who sees no beat for the grace period by its
own clock takes the worker for dead. So clocks need not agree, and it works through the proxy too, where Optuna's own
heartbeats do not.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from lib_optim.plan.errors import StoreError
from lib_optim.search.shared_storage import Address, close_storage, is_outage, open_storage, quiet
from lib_optim.search.shared_text import read_text, text_parts

if TYPE_CHECKING:
    import optuna

__all__ = ["SharedStudy", "SharedTrial"]

State = Literal["waiting", "running", "complete", "failed"]
T = TypeVar("T")
_CONTENT, _RESULT, _LOST, _BEAT, _PLAN = "optim:trial", "optim:result", "optim:lost", "optim:beat", "optim:plan"
_FORMAT = 2  # of what these hold; another version of Optim may hold them otherwise
_AGAIN = 0.5  # seconds between two tries
_AGREEING = 10.0  # seconds that the worker that made the study has to say what it is about


@dataclass(frozen=True)
class SharedTrial:
    """One trial as the storage holds it.

    Attributes:
        id: The storage's own key.
        number: From 0, of all workers together.
        state: ``failed`` also for one whose worker vanished.
        content: What is tried; empty while its worker is still deciding.
        result: What came of it.
        beat: Its worker's count.
        value: The score, of a complete one.
    """

    id: int
    number: int
    state: State
    content: Mapping[str, Any]
    result: Mapping[str, Any]
    beat: int
    value: float | None


class SharedStudy:
    """A study in a storage. One thread per method call; any thread.

    Args:
        url: ``sqlite:///…``, ``postgresql://…``, ``mysql://…`` or ``grpc://host:port``; ``$NAME`` stands for a variable
            of the environment, such as a password.
        name: Of the study; made if it is not there.
        away: Asked when the storage is away, with what it said and for how many seconds it has been away; whether to
            try again. Not asked at the first connection.

    Raises:
        StoreError: It cannot be reached, or a package is missing; one sentence. So does every method.
    """

    def __init__(self, url: str, name: str, away: Callable[[str, float], bool] = lambda *_: False) -> None:
        import optuna

        self._address = Address(url)
        self._name = name
        self._away: Callable[[str, float], bool] = lambda *_: False

        def connect() -> None:
            direction = optuna.study.StudyDirection.MAXIMIZE
            self._storage = open_storage(self._address)
            try:
                self._id = self._storage.create_new_study([direction], name)
                self._is_new = True
            except optuna.exceptions.DuplicatedStudyError:
                self._id = self._storage.get_study_id_from_name(name)
                self._is_new = False

        with quiet():
            self._ask(connect)
        self._away = away

    def agree(self, plan: Mapping[str, Any]) -> list[str]:
        """Leave `plan` as what this study is about, or compare it with what the worker left that made the study.

        Returns:
            The keys in which they differ.
        """
        mine = {key: _digest(value) for key, value in plan.items()}
        ours: dict[str, Any] = {"format": _FORMAT, "digests": mine}
        found = self._about()
        limit = time.monotonic() + _AGREEING
        while not (found or self._is_new or self.trials() or time.monotonic() > limit):
            time.sleep(0.1)
            found = self._about()
        if found is None:
            if self.trials():
                raise StoreError(
                    f"The study '{self._name}' at {self._address.shown} was not made by Optim; choose another name."
                )
            self._ask(lambda: self._storage.set_study_user_attr(self._id, _PLAN, json.dumps(ours)))
            found = self._about() or ours
        if found.get("format") != _FORMAT:
            raise StoreError(
                f"The shared study '{self._name}' was begun by another version of Optim; use that version for all its "
                "workers, or choose another name."
            )
        theirs = found["digests"]
        return [key for key in (*mine, *(k for k in theirs if k not in mine)) if mine.get(key) != theirs.get(key)]

    def _about(self) -> dict[str, Any] | None:
        text = self._ask(lambda: self._storage.get_study_user_attrs(self._id)).get(_PLAN)
        found: dict[str, Any] | None = None if text is None else json.loads(text)
        return found

    def trials(self) -> list[SharedTrial]:
        """Return all trials, by number."""
        found = self._ask(lambda: self._storage.get_all_trials(self._id, deepcopy=False))
        return sorted(map(_shared, found), key=lambda t: t.number)

    def begin(self) -> SharedTrial:
        """Make a new running trial, without content yet."""
        return self._read(self._ask(lambda: self._storage.create_new_trial(self._id)))

    def take(self, trial: SharedTrial) -> bool:
        """Take a waiting trial; False if another worker was faster."""
        import optuna

        running = optuna.trial.TrialState.RUNNING
        return self._unless_ended(lambda: self._storage.set_trial_state_values(trial.id, running))

    def describe(self, trial_id: int, content: Mapping[str, Any]) -> bool:
        """Say what a running trial tries; False if it was ended by another worker."""
        return self._write(trial_id, _CONTENT, content)

    def beat(self, trial_id: int, count: int) -> bool:
        """Show that its worker lives; False if the trial was ended by another worker."""
        return self._set(trial_id, _BEAT, count)

    def end(self, trial_id: int, result: Mapping[str, Any], value: float | None) -> bool:
        """End a trial, as failed if `value` is None; False if another worker ended it before, and nothing is changed.

        True also if this very end is there already: the connection may have broken before the answer came.
        """
        import optuna

        states = optuna.trial.TrialState
        state, values = (states.FAIL, None) if value is None else (states.COMPLETE, [value])

        def end() -> bool:
            return self._storage.set_trial_state_values(trial_id, state, values)

        if self._write(trial_id, _RESULT, result) and self._unless_ended(end):
            return True
        found = self._read(trial_id)
        return found.value == value and found.result == json.loads(json.dumps(result))

    def bury(self, trial_id: int, reason: str) -> bool:
        """End another worker's trial, which has vanished; False if it is ended, and nothing is changed."""
        import optuna

        failed = optuna.trial.TrialState.FAIL
        # Not where its worker writes the result: it may live, and write at this moment.
        return self._write(trial_id, _LOST, {"state": "failed", "reason": reason}) and self._unless_ended(
            lambda: self._storage.set_trial_state_values(trial_id, failed)
        )

    def queue(self, content: Mapping[str, Any]) -> int:
        """Add a trial that any worker may take; return its number."""
        import optuna

        waiting = optuna.trial.create_trial(
            state=optuna.trial.TrialState.WAITING, user_attrs=text_parts(_CONTENT, content)
        )
        return self._read(self._ask(lambda: self._storage.create_new_trial(self._id, waiting))).number

    def close(self) -> None:
        """Let go of the connections, of all threads. Idempotent."""
        close_storage(self._storage)

    def _read(self, trial_id: int) -> SharedTrial:
        return _shared(self._ask(lambda: self._storage.get_trial(trial_id)))

    def _write(self, trial_id: int, key: str, data: Mapping[str, Any]) -> bool:
        return all(self._set(trial_id, name, text) for name, text in text_parts(key, data).items())

    def _set(self, trial_id: int, key: str, value: Any) -> bool:
        def write() -> bool:
            self._storage.set_trial_user_attr(trial_id, key, value)
            return True

        return self._unless_ended(write)

    def _unless_ended(self, call: Callable[[], bool]) -> bool:
        import optuna

        try:
            return self._ask(call)
        except optuna.exceptions.UpdateFinishedTrialError:
            return False

    def _ask(self, call: Callable[[], T]) -> T:
        """Do `call`; what storages raise, which is their drivers' business, becomes one sentence."""
        import optuna

        began = time.monotonic()
        while True:
            try:
                return call()
            except (StoreError, optuna.exceptions.UpdateFinishedTrialError):
                raise
            except ImportError as error:
                raise StoreError(
                    f"The shared study at {self._address.shown} needs a package that is not installed "
                    f"({self._address.said(error)}); install {self._address.package}."
                ) from error
            except Exception as error:
                said = self._address.said(error)
                sentence = f"The shared study at {self._address.shown} cannot be used: {said}"
                if not is_outage(error) or not self._away(sentence, time.monotonic() - began):
                    raise StoreError(sentence) from error
                time.sleep(_AGAIN)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _shared(trial: optuna.trial.FrozenTrial) -> SharedTrial:
    attributes = trial.user_attrs
    states: dict[str, State] = {"WAITING": "waiting", "RUNNING": "running", "COMPLETE": "complete"}
    state = states.get(trial.state.name, "failed")
    lost = read_text(_LOST, attributes) if state == "failed" else {}
    return SharedTrial(
        trial._trial_id, trial.number, state, read_text(_CONTENT, attributes), lost or read_text(_RESULT, attributes),
        int(attributes.get(_BEAT, 0)), trial.value if state == "complete" else None,
    )  # fmt: skip
