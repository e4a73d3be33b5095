"""Regular expressions that somebody else wrote: whether to match keys with them can take for ever."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

try:
    from re import _parser as parser  # type: ignore[attr-defined, unused-ignore]
except ImportError:  # Python 3.10
    import sre_parse as parser  # type: ignore[import-not-found, no-redef, unused-ignore]

__all__ = ["pattern_problem"]

_LONGEST = 500


def pattern_problem(pattern: str) -> str:
    """Return why `pattern` is not used; empty if it is.

    A repeat inside of a repeat, ``(a+)+``, or a choice inside of one, ``(a|a)*``, may take time that doubles with each
    character of a key.
    """
    if len(pattern) > _LONGEST:
        return f"longer than {_LONGEST} characters"
    try:
        re.compile(pattern)
        again = _explodes(parser.parse(pattern), inside=False)
    except (re.error, OverflowError):
        return ""  # it is broken, which the map's own check says
    return "it repeats a repeat or a choice, which can take for ever" if again else ""


def _explodes(tree: Iterable[tuple[Any, Any]], inside: bool) -> bool:
    for operation, value in tree:
        name = str(operation)
        repeats = name in ("MAX_REPEAT", "MIN_REPEAT") and value[1] == parser.MAXREPEAT
        if inside and (repeats or name == "BRANCH"):
            return True
        if any(_explodes(part, inside or repeats) for part in _parts(value)):
            return True
    return False


def _parts(value: Any) -> Iterator[Any]:
    """Yield the patterns inside of a node, however they are wrapped."""
    if isinstance(value, parser.SubPattern):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _parts(part)
