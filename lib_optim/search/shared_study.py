"""A study that several workers share, in Optuna's own storages: SQLite, PostgreSQL, MySQL, or its gRPC proxy.

The storage decides who works on what: it numbers the trials, lets one worker only take a waiting trial, and keeps the
first end that a trial is given. A trial's content is JSON in its attributes, so nothing has to be unpickled and a
dashboard can show it. Every worker counts up its running trial's ``beat``; who sees no beat for the grace period by its
own clock takes the worker for dead. So clocks need not agree, and it works through the proxy too, where Optuna's own
heartbeats do not.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lib_optim.plan.errors import StoreError

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

__all__ = ["SharedStudy", "SharedTrial"]

State = Literal["waiting", "running", "complete", "failed"]
_CONTENT, _RESULT, _BEAT, _PLAN = "optim:trial", "optim:result", "optim:beat", "optim:plan"
_SQLITE_PATIENCE = 30.0


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

    Raises:
        StoreError: It cannot be reached, or a package is missing; one sentence.
    """

    def __init__(self, url: str, name: str) -> None:
        import optuna

        self._shown = re.sub(r"://[^@/]*@", "://…@", url)  # no password in a sentence
        with self._sentence(), _quiet():
            self._storage = _storage(os.path.expandvars(url))
            direction = optuna.study.StudyDirection.MAXIMIZE
            try:
                self._id = self._storage.create_new_study([direction], name)
            except optuna.exceptions.DuplicatedStudyError:
                self._id = self._storage.get_study_id_from_name(name)

    def agree(self, plan: Mapping[str, Any]) -> list[str]:
        """Leave `plan` as what this study is about, or compare it with what the first worker left.

        Returns:
            The keys in which they differ.
        """
        with self._sentence():
            theirs = self._storage.get_study_user_attrs(self._id).get(_PLAN)
            if theirs is None:
                self._storage.set_study_user_attr(self._id, _PLAN, json.dumps(plan, sort_keys=True))
                theirs = self._storage.get_study_user_attrs(self._id)[_PLAN]
            found = json.loads(theirs)
            ours = json.loads(json.dumps(plan))
            return [key for key in (*ours, *(k for k in found if k not in ours)) if ours.get(key) != found.get(key)]

    def trials(self) -> list[SharedTrial]:
        """Return all trials, by number."""
        with self._sentence():
            return sorted(map(_shared, self._storage.get_all_trials(self._id, deepcopy=False)), key=lambda t: t.number)

    def begin(self) -> SharedTrial:
        """Make a new running trial, without content yet."""
        with self._sentence():
            return self._read(self._storage.create_new_trial(self._id))

    def take(self, trial: SharedTrial) -> bool:
        """Take a waiting trial; False if another worker was faster."""
        import optuna

        with self._sentence():
            try:
                return self._storage.set_trial_state_values(trial.id, optuna.trial.TrialState.RUNNING)
            except optuna.exceptions.UpdateFinishedTrialError:
                return False

    def describe(self, trial_id: int, content: Mapping[str, Any]) -> bool:
        """Say what a running trial tries; False if it was ended by another worker."""
        return self._set(trial_id, _CONTENT, json.dumps(content))

    def beat(self, trial_id: int, count: int) -> bool:
        """Show that its worker lives; False if the trial was ended by another worker."""
        return self._set(trial_id, _BEAT, count)

    def end(self, trial_id: int, result: Mapping[str, Any], value: float | None) -> bool:
        """End a trial, as failed if `value` is None; False if it was ended before, and nothing is changed."""
        import optuna

        if not self._set(trial_id, _RESULT, json.dumps(result)):
            return False
        states = optuna.trial.TrialState
        with self._sentence():
            try:
                if value is None:
                    return self._storage.set_trial_state_values(trial_id, states.FAIL)
                return self._storage.set_trial_state_values(trial_id, states.COMPLETE, [value])
            except optuna.exceptions.UpdateFinishedTrialError:
                return False

    def queue(self, content: Mapping[str, Any]) -> int:
        """Add a trial that any worker may take; return its number."""
        import optuna

        waiting = optuna.trial.create_trial(
            state=optuna.trial.TrialState.WAITING, user_attrs={_CONTENT: json.dumps(content)}
        )
        with self._sentence():
            return self._read(self._storage.create_new_trial(self._id, waiting)).number

    def close(self) -> None:
        """Let go of the connection. Idempotent."""
        self._storage.remove_session()

    def _read(self, trial_id: int) -> SharedTrial:
        return _shared(self._storage.get_trial(trial_id))

    def _set(self, trial_id: int, key: str, value: Any) -> bool:
        import optuna

        with self._sentence():
            try:
                self._storage.set_trial_user_attr(trial_id, key, value)
            except optuna.exceptions.UpdateFinishedTrialError:
                return False
            return True

    @contextmanager
    def _sentence(self) -> Iterator[None]:
        """Turn what storages raise, which is their drivers' business, into one sentence."""
        import optuna

        try:
            yield
        except (StoreError, optuna.exceptions.UpdateFinishedTrialError, optuna.exceptions.DuplicatedStudyError):
            raise
        except ImportError as error:
            raise StoreError(
                f"The shared study at {self._shown} needs a package that is not installed ({error}); install it, such "
                "as psycopg2-binary for PostgreSQL, pymysql for MySQL, grpcio for the proxy."
            ) from error
        except Exception as error:
            what = " ".join(str(error.__cause__ or error).split())[:200]
            raise StoreError(f"The shared study at {self._shown} cannot be used: {what}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    import optuna

    previous = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(previous)


def _storage(url: str) -> BaseStorage:
    import optuna

    scheme, _, rest = url.partition("://")
    if scheme == "grpc":
        host, _, port = rest.rstrip("/").rpartition(":")
        proxy = optuna.storages.GrpcStorageProxy(host=host or rest, port=int(port))
        proxy.wait_server_ready(timeout=10)
        return proxy
    arguments = (
        {"connect_args": {"timeout": _SQLITE_PATIENCE}} if scheme.startswith("sqlite") else {"pool_pre_ping": True}
    )
    return optuna.storages.get_storage(optuna.storages.RDBStorage(url, engine_kwargs=arguments))


def _shared(trial: optuna.trial.FrozenTrial) -> SharedTrial:
    attributes = trial.user_attrs
    states: dict[str, State] = {"WAITING": "waiting", "RUNNING": "running", "COMPLETE": "complete"}
    state = states.get(trial.state.name, "failed")
    return SharedTrial(
        trial._trial_id, trial.number, state, json.loads(attributes.get(_CONTENT, "{}")),
        json.loads(attributes.get(_RESULT, "{}")), int(attributes.get(_BEAT, 0)),
        trial.value if state == "complete" else None,
    )  # fmt: skip
