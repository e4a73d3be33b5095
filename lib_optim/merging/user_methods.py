"""The user's own merge methods: Python files in a folder of theirs, each read on its own.

A file registers functions with sd-mecha's ``@merge_method`` and may say more in two ways::

    BOUNDS = {"alpha": "0..1", "mode": "{soft, hard}"}      where a search looks, in the grammar of plan.bounds
    BOUNDS = {"my_method": {"alpha": "0..1"}, ...}          the same for each method by itself

and in the function's docstring, whose first line is the title and whose next paragraph's first line is the formula.
A file that cannot be used harms nothing: what it registered goes, and the reason is kept for the page.

Such a file is a program with all rights of this one. It is only ever read from that folder, never from a request.
"""

from __future__ import annotations

import inspect
import itertools
import sys
import threading
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib_optim.merging.mecha import merge_registry
from lib_optim.merging.registration import origin_of, unregister
from lib_optim.plan.bounds import Bound, parse_bound
from lib_optim.plan.errors import PlanError
from lib_optim.plan.user_files import UserFolder, line_of, run_file, syntax_reason

__all__ = ["METHODS_FOLDER", "UserFile", "UserMethod", "load_user_methods", "user_files", "user_method"]

METHODS_FOLDER = "methods"
"""The folder's name, in the host's data folder."""

_MODULES = "optim_user_methods"  # what the modules are called in tracebacks
_FUTURE_ANNOTATIONS = "from __future__ import annotations"


@dataclass(frozen=True)
class UserMethod:
    """What a file says about one of its methods; empty where it says nothing."""

    title: str = ""
    formula: str = ""
    bounds: Mapping[str, Bound] = field(default_factory=dict)


@dataclass(frozen=True)
class UserFile:
    """One file.

    Attributes:
        path: Where it lies.
        methods: Identifiers that it registered, with what it says about them; empty if it is broken.
        problem: Why it cannot be used, as a sentence; empty if it can.
    """

    path: Path
    methods: Mapping[str, UserMethod]
    problem: str = ""


_lock = threading.Lock()


def load_user_methods(folder: Path, refresh: bool = False) -> tuple[UserFile, ...]:
    """Read the ``*.py`` files of `folder` that were not read yet, in the order of their names.

    Args:
        folder: Where they lie; it need not exist.
        refresh: Also read changed files again, and forget those that are gone. Not while a run goes on: a trial saved
            later must be merged by the method that made it.

    Returns:
        All files that are now in use or broken.
    """
    with _lock:
        return _folder.load(folder, refresh)


def user_files() -> tuple[UserFile, ...]:
    """Return every file read so far."""
    return tuple(_folder.files.values())


def user_method(identifier: str) -> UserMethod | None:
    """Return what the user's file says about a registered method; None if it is not the user's."""
    return next((file.methods[identifier] for file in user_files() if identifier in file.methods), None)


def _load(path: Path) -> UserFile:
    name = _module_name(path)
    if getattr(sys.modules.get(name), "__file__", "") == str(path):  # read before this module itself was loaded again
        unregister([identifier for identifier in merge_registry() if origin_of(identifier) == name])
    before = merge_registry()
    try:
        module = run_file(path, name)
        made = {key: method for key, method in merge_registry().items() if before.get(key) is not method}
        if not made:
            return UserFile(path, {}, f"{path.name} registers no method; put @merge_method above a function.")
        return UserFile(path, {name: _described(name, method, module) for name, method in made.items()})
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything, and must not stop the program
        unregister(merge_registry().keys() - before.keys())
        return UserFile(path, {}, f"{path.name} cannot be used: {_reason(path, error)}.")


def _module_name(path: Path) -> str:
    return f"{_MODULES}.{path.stem}"


def _described(identifier: str, method: Any, module: types.ModuleType) -> UserMethod:
    from lib_optim.merging.table import TABLE

    if identifier in {entry.id for entry in TABLE}:
        raise PlanError(f"Optim has a method '{identifier}' already; choose another name")
    lines = [line.strip() for line in inspect.cleandoc(method.__wrapped__.__doc__ or "").splitlines()]
    title = lines[0].rstrip(".") if lines else ""
    formula = next(_after_gap(lines), "")
    return UserMethod(title, formula, _bounds(identifier, method, getattr(module, "BOUNDS", {})))


def _after_gap(lines: list[str]) -> Iterator[str]:
    yield from (line for before, line in itertools.pairwise(lines) if not before and line)


def _bounds(identifier: str, method: Any, stated: Any) -> dict[str, Bound]:
    if not isinstance(stated, Mapping):
        raise PlanError("BOUNDS must be a dictionary of parameter names and ranges")
    flat = {name: text for name, text in stated.items() if not isinstance(text, Mapping)}
    mine = {**flat, **stated.get(identifier, {})} if isinstance(stated.get(identifier, {}), Mapping) else flat
    names = method.get_param_names()
    defaults = method.get_default_args()
    optional = dict(zip(names.args[len(names.args) - len(defaults.args) :], defaults.args, strict=True))
    optional.update(defaults.kwargs)
    bounds = {}
    for name, text in mine.items():
        if name not in optional:
            if name in flat and name not in stated.get(identifier, {}):
                continue  # meant for another method of the file
            raise PlanError(f"{identifier} has no parameter '{name}' with a default, for which BOUNDS gives {text!r}")
        bound = parse_bound(str(text))
        if not bound.contains(optional[name]):
            raise PlanError(f"the default {optional[name]!r} of '{name}' lies outside its bound {bound}")
        bounds[name] = bound
    return bounds


def _reason(path: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return syntax_reason(error)
    words = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    if isinstance(error, PlanError):
        return words
    if isinstance(error, ValueError) and "already registered" in words:
        return f"{words[0].lower()}{words[1:]}; choose another name for the function"
    if _FUTURE_ANNOTATIONS in path.read_text(encoding="utf-8", errors="replace"):
        return f"sd-mecha cannot read types of parameters after '{_FUTURE_ANNOTATIONS}'; remove that line"
    return f"{type(error).__name__}: {words}{line_of(path, error)}"


_folder: UserFolder[UserFile] = UserFolder(_load, lambda file: unregister(file.methods))
