"""Frozen dataclasses that read and write themselves as versioned JSON.

Plain dataclasses on purpose: hosts carry pydantic 1 or 2, and neither may be required.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.nearest import did_you_mean

__all__ = ["Noun"]

T = TypeVar("T", bound="Noun")


class Noun:
    """Base of the nouns in ``lib_optim.plan``.

    Subclasses are ``@dataclass(frozen=True)``. Allowed field types: str, int, float, bool, ``Literal``,
    ``X | None`` and other unions of the above, ``tuple[X, ...]``, ``Mapping[str, X]``, other nouns, and
    ``Any`` for values that are already JSON.

    `VERSION` grows when a field changes meaning or goes away; `upgrade` then mends older data.
    """

    VERSION: ClassVar[int] = 1

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict: ``{"version": VERSION, field: value, …}``."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return {"version": self.VERSION, **{f.name: _plain(getattr(self, f.name)) for f in fields}}

    @classmethod
    def from_json(cls: type[T], data: Any, where: str = "") -> T:
        """Build the noun from `data`; fields left out take their defaults.

        Args:
            data: A mapping as written by `to_json`. The version may be left out (current is assumed).
            where: Dotted path of `data` inside the document, for messages.

        Raises:
            PlanError: Unknown or missing fields, wrong types, or a version newer than this program's.
        """
        label = where or cls.__name__
        if not isinstance(data, Mapping):
            raise PlanError([Problem(where, f"{label} must be an object, not {_kind(data)}.")])
        values = {str(key): value for key, value in data.items()}
        version = values.pop("version", cls.VERSION)
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise PlanError([Problem(where, f"{label} has no readable version number ({version!r}).")])
        if version > cls.VERSION:
            raise PlanError(
                [
                    Problem(
                        where,
                        f"{label} was written by a newer Optim (version {version}, this one reads up to "
                        f"{cls.VERSION}); update the extension to open it.",
                    )
                ]
            )
        if version < cls.VERSION:
            values = cls.upgrade(values, version)
        return _build(cls, values, where)

    @classmethod
    def upgrade(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        """Return `data` of an older `version` in today's form."""
        del version
        return data


def _plain(value: Any) -> Any:
    if isinstance(value, Noun):
        return value.to_json()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _build(cls: type[T], values: dict[str, Any], where: str) -> T:
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = _hints(typing.cast("Any", cls))
    problems: list[Problem] = []
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        path = f"{where}.{name}" if where else name
        if name not in fields:
            problems.append(
                Problem(
                    path,
                    f"'{name}' is not a field of {where or cls.__name__}.{did_you_mean(name, fields)}",
                )
            )
            continue
        try:
            arguments[name] = _convert(hints[name], value, path)
        except PlanError as error:
            problems.extend(error.problems)
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            problems.append(Problem(where, f"{where or cls.__name__} lacks the field '{name}'."))
    if problems:
        raise PlanError(problems)
    return cls(**arguments)


def _convert(hint: Any, value: Any, path: str) -> Any:
    origin = typing.get_origin(hint)
    if hint is Any:
        _refuse_halves(value, path)
        return value
    if origin in (typing.Union, types.UnionType):
        return _convert_union(typing.get_args(hint), value, path)
    if origin is not None:
        return _convert_container(hint, origin, value, path)
    if isinstance(hint, type) and issubclass(hint, Noun):
        return value if isinstance(value, hint) else hint.from_json(value, path)
    return _SCALARS[hint](value, path)


def _convert_container(hint: Any, origin: Any, value: Any, path: str) -> Any:
    if origin is typing.Literal:
        if value in typing.get_args(hint):
            return value
        choices = ", ".join(repr(choice) for choice in typing.get_args(hint))
        raise _wrong(path, f"one of {choices}", value)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _wrong(path, "a list", value)
        item = typing.get_args(hint)[0]
        return tuple(_convert_all(item, {f"{path}[{i}]": entry for i, entry in enumerate(value)}).values())
    if not isinstance(value, Mapping):
        raise _wrong(path, "an object", value)
    for key in value:
        _refuse_halves(str(key), path)
    item = typing.get_args(hint)[1]
    entries = _convert_all(item, {f"{path}.{key}": entry for key, entry in value.items()})
    return dict(zip(map(str, value), entries.values(), strict=True))


def _convert_all(hint: Any, entries: Mapping[str, Any]) -> dict[str, Any]:
    """Convert every entry, by its path; one problem does not hide the next."""
    converted: dict[str, Any] = {}
    problems: list[Problem] = []
    for path, entry in entries.items():
        try:
            converted[path] = _convert(hint, entry, path)
        except PlanError as error:
            problems.extend(error.problems)
    if problems:
        raise PlanError(problems)
    return converted


def _float(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(path, "a finite number", value)
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond every float
        number = math.inf
    if not math.isfinite(number):
        raise _wrong(path, "a finite number", value)
    return number


def _int(value: Any, path: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(path, "a whole number", value)
    return value


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise _wrong(path, "text", value)
    _refuse_halves(value, path)
    return value


def _refuse_halves(value: Any, path: str) -> None:
    """Refuse texts that neither the plan's file nor the database could hold, however deep in `value`."""
    if isinstance(value, list | tuple):
        for part in value:
            _refuse_halves(part, path)
    elif isinstance(value, Mapping):
        _refuse_halves([*map(str, value), *value.values()], path)
    elif isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise PlanError([Problem(path, f"'{path}' holds half of a character; leave it out.")]) from error


def _exactly(kind: type, words: str) -> Callable[[Any, str], Any]:
    def check(value: Any, path: str) -> Any:
        if not isinstance(value, kind):
            raise _wrong(path, words, value)
        return value

    return check


_SCALARS: dict[Any, Callable[[Any, str], Any]] = {
    float: _float,
    int: _int,
    str: _text,
    bool: _exactly(bool, "true or false"),
    type(None): _exactly(type(None), "empty"),
}


def _convert_union(options: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and type(None) in options:
        return None
    # bool before int before float: True must stay True and 3 must stay 3.
    exact = [option for option in options if isinstance(option, type) and type(value) is option]
    for option in (*exact, *(o for o in options if o not in exact and o is not type(None))):
        try:
            return _convert(option, value, path)
        except PlanError as error:
            failure = error
    raise failure


def _wrong(path: str, wanted: str, value: Any) -> PlanError:
    return PlanError([Problem(path, f"'{path}' must be {wanted}, not {_kind(value)}.")])


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
