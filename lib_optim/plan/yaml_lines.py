"""YAML (and so JSON) as plain data, with the line on which each entry stands, for messages. Nothing in it is run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from lib_optim.plan.errors import PlanError, Problem

__all__ = ["at_line", "read_yaml"]

_MOST_CHARACTERS = 200_000
_DEEPEST = 50


class _Loader(yaml.SafeLoader):
    """The words and numbers of JSON and no others: ``no`` is a name, ``1e-6`` a number, ``2020-01-01`` text."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own way


for _tag, _pattern, _first in (
    ("null", r"null|~|", ["n", "~", ""]),
    ("bool", r"true|false", list("tf")),
    ("int", r"[-+]?\d+", list("-+0123456789")),
    ("float", r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), _first)


def read_yaml(text: str, what: str) -> tuple[Any, dict[str, int]]:
    """Return the data of a YAML text, and dotted path (``bounds.IN05``, ``components.unet[0]``) to line number from 1.

    Args:
        text: One document of numbers, words, lists and objects.
        what: What it is, for messages: ``The guide``.

    Raises:
        PlanError: Not YAML, more than one document, a key given twice, anchors and aliases (they can blow a small file
            up without end), tags (they make objects), too long.
    """
    if len(text) > _MOST_CHARACTERS:
        raise PlanError(f"{what} is longer than {_MOST_CHARACTERS} characters; it cannot be one.")
    try:
        depth = 0
        for event in yaml.parse(text, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:  # the parser's time grows with the square of it
                raise _wrong(event.start_mark, f"{what} is nested more than {_DEEPEST} deep")
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise _wrong(event.start_mark, "anchors and aliases (& and *) are not read; write it out")
            tag = getattr(event, "tag", None)
            if tag is not None:
                raise _wrong(event.start_mark, f"the tag {tag} is not read; leave it away")
        root = yaml.compose(text, Loader=_Loader)
        lines = {} if root is None else dict(_lines(root, ""))
        return yaml.load(text, Loader=_Loader), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = (error.problem or "it cannot be read").replace("\n", " ")
        raise _wrong(mark, f"{what} is not valid YAML or JSON ({said})") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise PlanError(f"{what} cannot be read: {reason}.") from error


def at_line(problem: Problem, lines: Mapping[str, int]) -> Problem:
    """Return `problem` with the line of the innermost entry on its path that stands in the text."""
    path = problem.where
    while path and path not in lines:
        path = path[: max(path.rfind("."), path.rfind("["))] if set(".[") & set(path) else ""
    line = lines.get(path)
    return problem if line is None else Problem(problem.where, f"Line {line}: {problem.sentence}")


def _wrong(mark: Any, sentence: str) -> PlanError:
    line = 0 if mark is None else mark.line
    return PlanError([Problem("", f"Line {line + 1}: {sentence}.")])


def _lines(node: yaml.Node, path: str) -> Iterator[tuple[str, int]]:
    if path:
        yield path, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _wrong(key.start_mark, "a name must be one word, not a list or an object")
            if key.value in seen:
                raise _wrong(key.start_mark, f"'{key.value}' stands here for the second time; remove one")
            seen.add(key.value)
            below = f"{path}.{key.value}" if path else str(key.value)
            yield from _lines(value, below)
            yield below, key.start_mark.line + 1  # where the name stands, not what follows it
    elif isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            yield from _lines(item, f"{path}[{i}]")
