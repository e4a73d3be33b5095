"""JSON, YAML and TOML files as plain data, with the line on which each entry stands, for messages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.yaml_lines import read_yaml

__all__ = ["FORMATS", "read_file", "told"]

FORMATS = (".yaml", ".yml", ".toml", ".json")
"""Ends of file names. Where two files say something of one name, that of the later format counts."""
_MOST_CHARACTERS = 1_000_000
_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+)')
_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[\w-]+)\s*=""")


def read_file(path: Path) -> tuple[Any, dict[str, int]]:
    """Return the data of a file, and dotted path (``override_settings.x``, ``[0].steps``) to line number from 1.

    Raises:
        PlanError: It cannot be read, is not of its format (with line number), or says a thing twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise PlanError(f"{path.name} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if len(text) > _MOST_CHARACTERS:
        raise PlanError(f"{path.name} cannot be read: it is longer than {_MOST_CHARACTERS} characters.")
    suffix = path.suffix.lower()
    try:
        return _toml(text, path.name) if suffix == ".toml" else _READERS.get(suffix, _json)(text, path.name)
    except PlanError as error:
        raise PlanError([told(problem, path.name, {}) for problem in error.problems]) from error
    except RecursionError as error:
        raise PlanError(f"{path.name} cannot be read: it is nested too deeply.") from error


def told(problem: Problem, name: str, lines: Mapping[str, int]) -> Problem:
    """Return `problem` with file name and, where its path stands in the file, line: ``cat.yaml, line 3: …``."""
    said = re.fullmatch(r"Line (\d+): (.*)", problem.sentence, re.DOTALL)
    if said is not None:
        return Problem(problem.where, f"{name}, line {said[1]}: {said[2]}")
    path = problem.where
    while path and path not in lines:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    line = f", line {lines[path]}" if path in lines else ""
    fresh = not problem.sentence.startswith(name)
    return Problem(problem.where, f"{name}{line}: {problem.sentence}" if fresh or line else problem.sentence)


def _json(text: str, name: str) -> tuple[Any, dict[str, int]]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for key, _ in pairs:
            if sum(key == other for other, _ in pairs) > 1:
                raise PlanError(f"{name}: '{key}' stands in one object twice; remove one.")
        return dict(pairs)

    def refuse(constant: str) -> float:
        raise PlanError(f"{name} cannot be read: {constant} is no number.")

    try:
        data = json.loads(text, parse_constant=refuse, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise PlanError(f"{name}, line {error.lineno}: not valid JSON ({error.msg}).") from error
    except PlanError:
        raise
    except ValueError as error:  # a number without end
        raise PlanError(f"{name} cannot be read: {error}.") from error
    return data, dict(_json_lines(text))


def _json_lines(text: str) -> Iterator[tuple[str, int]]:
    """Walk through valid JSON; yield the path of every entry and the line on which it begins."""
    path: list[str | int] = []  # a name within an object, a number within a list
    key: str | None = None
    for token in _TOKEN.finditer(text):
        word, line = token[1], text.count("\n", 0, token.start(1)) + 1
        if word in "{[":
            if path and isinstance(path[-1], int):
                yield _dotted(path), line
            path.append("" if word == "{" else 0)
        elif word in "}]":
            path.pop()
        elif word == ",":
            if path and isinstance(path[-1], int):
                path[-1] += 1
            key = None
        elif word == ":":
            path[-1] = str(key)
            yield _dotted(path), line
        elif word.startswith('"') and path and isinstance(path[-1], str) and key is None:
            key = json.loads(word)
            continue
        elif path and isinstance(path[-1], int):
            yield _dotted(path), line
        if word in "{[":
            key = None


def _dotted(path: list[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def _yaml(text: str, name: str) -> tuple[Any, dict[str, int]]:
    return read_yaml(text, name)


def _toml(text: str, name: str) -> tuple[Any, dict[str, int]]:
    try:
        import tomllib  # type: ignore[import-not-found, unused-ignore]
    except ImportError:  # before Python 3.11
        try:
            import tomli as tomllib  # type: ignore[no-redef, import-not-found, unused-ignore]
        except ImportError:
            raise PlanError(
                f"{name} cannot be read: TOML needs Python 3.11 or the package tomli; install it, or write YAML."
            ) from None
    try:
        return tomllib.loads(text), dict(_toml_lines(text))
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"\(at line (\d+), column \d+\)|\(at end of document\)", str(error))
        line = at[1] if at and at[1] else text.count("\n") + 1
        said = str(error)[: at.start()].strip() if at else str(error)
        raise PlanError(f"{name}, line {line}: not valid TOML ({said}).") from error
    except ValueError as error:
        raise PlanError(f"{name} cannot be read: {error}.") from error


def _toml_lines(text: str) -> Iterator[tuple[str, int]]:
    """Yield path and line of every table and of every key that begins a line; texts of several lines are passed."""
    table, counts = "", dict[str, int]()
    until = ""
    for number, line in enumerate(text.split("\n"), 1):
        if until:
            until = "" if until in line else until
            continue
        header, key = _HEADER.match(line), _KEY.match(line)
        if header is not None and key is None:
            table = ".".join(part.strip().strip("\"'") for part in header[2].split("."))
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = f"{table}[{counts[table]}]"
            yield table, number
        elif key is not None:
            name = key[1].strip("\"'")
            yield (f"{table}.{name}" if table else name), number
            for mark in ('"""', "'''"):
                if line.count(mark) == 1:
                    until = mark


_READERS = {".yaml": _yaml, ".yml": _yaml, ".json": _json}
