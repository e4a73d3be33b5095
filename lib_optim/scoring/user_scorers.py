"""The user's own scorers: Python files in a folder of theirs, each read on its own.

A file has a function ``score(images, prompts)``, or a class with such a method, and may say more about itself in
constants; `UserScorer` has the contract, docs/own-scorers.md a working example. A file that cannot be used harms
nothing: it is listed with the reason.

Such a file is a program with all rights of this one. It is only ever read from that folder, never from a request.
"""

from __future__ import annotations

import inspect
import math
import re
import threading
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_optim.plan.errors import PlanError
from lib_optim.plan.user_files import UserFolder, run_file
from lib_optim.scoring.base import OptionRow, Scorer, ScorerRow
from lib_optim.scoring.user_scorer import CONTEXTS, UserScorer, reason_of

__all__ = ["SCORERS_FOLDER", "USER_PREFIX", "ScorerFile", "load_user_scorers", "read_scorer", "user_scorer_files"]

SCORERS_FOLDER = "scorers"
"""The folder's name, in the host's data folder."""

USER_PREFIX = "own-"
"""Begins the ids of the user's scorers, so that they collide with none of ours; the file's name follows."""

_MODULES = "optim_user_scorers"  # what the modules are called in tracebacks
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_WORDS = {"TITLE": "", "MEASURES": "", "FOOLED_BY": "unknown; its author says nothing"}
_KINDS = {bool: "bool", int: "number", float: "number", str: "text"}
_DEVICES = {"cpu", "cuda"}


@dataclass(frozen=True)
class ScorerFile:
    """One file.

    Attributes:
        path: Where it lies.
        row: The scorer it holds; None if it is broken.
        problem: Why it cannot be used, as a sentence; empty if it can.
    """

    path: Path
    row: ScorerRow | None
    problem: str = ""

    @property
    def id(self) -> str:
        """The scorer's id, which it has even while it is broken."""
        return USER_PREFIX + self.path.stem


_lock = threading.Lock()


def load_user_scorers(folder: Path, refresh: bool = False) -> tuple[ScorerFile, ...]:
    """Read the ``*.py`` files of `folder` that were not read yet, in the order of their names.

    Args:
        folder: Where they lie; it need not exist.
        refresh: Also read changed files again, and forget those that are gone. Not while a run goes on: all its
            trials must be judged alike.

    Returns:
        All files that are now in use or broken.
    """
    with _lock:
        return _folder.load(folder, refresh)


def user_scorer_files() -> tuple[ScorerFile, ...]:
    """Return every file read so far; of two that give the same id, the first."""
    files: dict[str, ScorerFile] = {}
    for file in tuple(_folder.files.values()):
        files.setdefault(file.id, file)
    return tuple(files.values())


def read_scorer(path: Path) -> ScorerFile:
    """Read one file, whatever is wrong with it."""
    if not _NAME.fullmatch(path.stem):
        return ScorerFile(path, None, f"{path.name} cannot be used: its name may hold letters, digits, - and _ only.")
    try:
        module = run_file(path, f"{_MODULES}.{path.stem}")
        return ScorerFile(path, _row(path, module))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything, and must not stop the program
        return ScorerFile(path, None, f"{path.name} cannot be used: {reason_of(path, error)}.")


def _row(path: Path, module: types.ModuleType) -> ScorerRow:
    made = _made(module)
    options = _options(made)
    words = {name: _constant(module, name, str, default) for name, default in _WORDS.items()}
    lines = [line.strip() for line in inspect.cleandoc(module.__doc__ or "").splitlines()]
    title = words["TITLE"] or (lines[0].rstrip(".") if lines else "") or path.stem.replace("_", " ").capitalize()
    typical, devices = _typical(module), _devices(module)

    def build(given: Mapping[str, Any], models_dir: Any) -> Scorer:
        del models_dir
        values = {option.name: given.get(option.name, option.default) for option in options}
        return UserScorer(title, path, made, values)

    return ScorerRow(
        id=USER_PREFIX + path.stem,
        title=title,
        measures=words["MEASURES"] or next((line for line in lines[1:] if line), f"What {path.name} says."),
        fooled_by=words["FOOLED_BY"],
        reads_prompt=_constant(module, "READS_PROMPT", bool, True),
        typical=typical,
        licence=f"your own file {path.name}",
        memory=0,
        weights=(),
        packages=(),
        options=options,
        build=build,
        devices=devices,
        batches=True,
        across=_constant(module, "ACROSS", bool, False),
    )


def _made(module: types.ModuleType) -> Callable[..., Any]:
    """The function ``score`` of the file, or its one class that has such a method."""
    own = [thing for thing in vars(module).values() if getattr(thing, "__module__", None) == module.__name__]
    classes = [thing for thing in own if inspect.isclass(thing) and callable(getattr(thing, "score", None))]
    function = getattr(module, "score", None)
    if callable(function) and not inspect.isclass(function):
        _signature(function, 2)
        return function
    if len(classes) > 1:
        raise PlanError(f"it has {len(classes)} classes with a method 'score'; leave one, the others in other files")
    if not classes:
        raise PlanError("it has no function score(images, prompts) and no class with such a method")
    bound = isinstance(inspect.getattr_static(classes[0], "score"), staticmethod)
    _signature(classes[0].score, 2 if bound else 3)
    return classes[0]


def _signature(function: Callable[..., Any], least: int) -> None:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != CONTEXTS]
    placed = [p for p in parameters if p.kind in kinds]
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
        return
    needed = [p for p in placed if p.default is inspect.Parameter.empty]
    if len(placed) < least or len(needed) > least:
        names = ", ".join(p.name for p in placed[least - 2 :])
        raise PlanError(f"its 'score' takes ({names}); it must take (images, prompts)")


def _options(made: Callable[..., Any]) -> tuple[OptionRow, ...]:
    """What the user can set: parameters with a default, of the function after * or of the class's constructor."""
    if inspect.isclass(made):
        named = list(inspect.signature(made).parameters.values()) if made.__init__ is not object.__init__ else []
        named = [p for p in named if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    else:
        named = [p for p in inspect.signature(made).parameters.values() if p.kind is p.KEYWORD_ONLY]
        named = [p for p in named if p.name != CONTEXTS]
    rows = []
    for parameter in named:
        kind = _KINDS.get(type(parameter.default))
        if kind is None:
            raise PlanError(f"its option '{parameter.name}' needs a default that is a number, a text, True or False")
        if kind == "number" and not math.isfinite(parameter.default):
            raise PlanError(f"the default of its option '{parameter.name}' is not finite")
        title = parameter.name.replace("_", " ").capitalize()
        rows.append(OptionRow(parameter.name, title, kind, parameter.default))
    return tuple(rows)


def _constant(module: types.ModuleType, name: str, kind: type, default: Any) -> Any:
    value = getattr(module, name, default)
    if not isinstance(value, kind):
        raise PlanError(f"{name} must be {'a text' if kind is str else 'True or False'}, not {value!r}")
    return " ".join(value.split()) if isinstance(value, str) else value


def _typical(module: types.ModuleType) -> tuple[float, float]:
    value = getattr(module, "TYPICAL", (0.0, 1.0))
    good = isinstance(value, tuple | list) and len(value) == 2
    good = good and all(type(v) in (int, float) and math.isfinite(v) for v in value) and value[0] != value[1]
    if not good:
        raise PlanError(f"TYPICAL must be the scores of bad and of good images, two different numbers, not {value!r}")
    return float(value[0]), float(value[1])


def _devices(module: types.ModuleType) -> tuple[str, ...]:
    value = getattr(module, "DEVICES", ("cpu", "cuda"))
    if not isinstance(value, tuple | list) or not value or not set(value) <= _DEVICES:
        raise PlanError(f"DEVICES must name 'cpu', 'cuda' or both, not {value!r}")
    return tuple(value)


_folder: UserFolder[ScorerFile] = UserFolder(read_scorer)
