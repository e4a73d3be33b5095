"""Payload files: JSON, YAML or TOML, our own and those of other programs, with the line of every mistake.

What a file may hold:

* one payload: an object of fields;
* several: a list of such objects, or an object ``payloads`` with that list;
* several by name, ``{castle: {prompt: …}, lake: {…}}``, as in the ``cargo`` folder of sd-webui-bayesian-merger and
  sd-optim; fields beside the names hold for all of them;
* such a program's ``cargo.yaml``: fields for all, and ``defaults: [cargo: [castle, lake]]``, files in ``cargo/``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.file_lines import FORMATS, read_file, told
from lib_optim.plan.payload import Payload
from lib_optim.plan.payload_peers import own_fields

__all__ = ["load_payload", "payload_files"]

_OBJECTS = frozenset({"override_settings", "alwayson_scripts"})
"""Fields that are objects themselves: every other object within one is a payload by its name."""


@dataclasses.dataclass(frozen=True)
class _Entry:
    """A payload as a file has it: where in it, how it is called unless it says so, its fields, what holds for all."""

    where: str
    name: str
    fields: Any
    common: Mapping[str, Any]


def payload_files(folder: Path) -> list[Path]:
    """Return the payload files of `folder`; where two name one payload alike, the later one counts."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in FORMATS] if folder.is_dir() else []
    return sorted(found, key=lambda path: (path.suffix.lower() == ".json", path.name))


def load_payload(path: Path) -> tuple[Payload, ...]:
    """Read a payload file. A single payload without a name is called like the file.

    Raises:
        PlanError: The file cannot be read, or has unknown or wrong fields; one sentence each, with file and line.
    """
    data, lines = read_file(path)
    problems: list[Problem] = []
    payloads: list[Payload] = []
    entries = list(_entries(data, path, problems))
    if not entries and not problems:
        raise PlanError(f"{path.name} holds no payload; write an object, or a list of objects.")
    for entry in entries:
        mistakes: list[Problem] = []
        payload = _payload(entry, path.name, mistakes)
        if payload is not None:
            payloads.append(payload)
        problems.extend(told(mistake, path.name, lines) for mistake in mistakes)
    names = [payload.name for payload in payloads]
    problems += [
        Problem(path.name, f"{path.name} has two payloads '{name}'; give one of them another name.")
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    if problems:
        raise PlanError(problems)
    return tuple(payloads)


def _entries(data: Any, path: Path, problems: list[Problem]) -> Iterator[_Entry]:
    if isinstance(data, Mapping) and isinstance(data.get("payloads"), list):
        common = {str(key): value for key, value in data.items() if key != "payloads"}
        yield from _listed(data["payloads"], "payloads", path.stem, common)
    elif isinstance(data, list):
        yield from _listed(data, "", path.stem, {})
    elif isinstance(data, Mapping):
        named = {str(key): value for key, value in data.items() if isinstance(value, Mapping) and key not in _OBJECTS}
        common = {str(key): value for key, value in data.items() if key not in named}
        cargo = _cargo(common.pop("defaults", None))
        if not named and not cargo:
            yield _Entry("", path.stem, data, {})
        for name, fields in named.items():
            yield _Entry(name, name, fields, common)
        for name in cargo:
            yield from _elsewhere(name, path, common, problems)
    else:
        yield _Entry("", path.stem, data, {})


def _listed(rows: list[Any], where: str, stem: str, common: Mapping[str, Any]) -> Iterator[_Entry]:
    for i, fields in enumerate(rows):
        yield _Entry(f"{where}[{i}]", stem if len(rows) == 1 else f"{stem} {i + 1}", fields, common)


def _cargo(defaults: Any) -> list[str]:
    """Return the names in hydra's ``defaults: [cargo: [a, b]]``."""
    rows = defaults if isinstance(defaults, list) else []
    groups = [row.get("cargo") for row in rows if isinstance(row, Mapping)]
    return [str(name) for group in groups if isinstance(group, list) for name in group]


def _elsewhere(name: str, path: Path, common: Mapping[str, Any], problems: list[Problem]) -> Iterator[_Entry]:
    """Yield the payloads of ``cargo/<name>.yaml``; its mistakes are told with its own lines."""
    if Path(name).name != name or name in (".", ".."):
        problems.append(Problem("defaults", f"{path.name}: '{name}' is no name of a file in the folder 'cargo'."))
        return
    file = path.parent / "cargo" / f"{name}.yaml"
    try:
        data, lines = read_file(file)
    except PlanError as error:
        problems.extend(error.problems)
        return
    for entry in _entries(data, file, problems):
        whole = dataclasses.replace(entry, common={**common, **entry.common})
        mistakes: list[Problem] = []
        _payload(whole, file.name, mistakes)
        problems.extend(told(mistake, f"cargo/{file.name}", lines) for mistake in mistakes)
        if not mistakes:
            yield whole


def _payload(entry: _Entry, file: str, mistakes: list[Problem]) -> Payload | None:
    label = entry.where if entry.where and not entry.where.startswith("[") else f"{file}{entry.where}"
    if not isinstance(entry.fields, Mapping):
        try:
            Payload.from_json(entry.fields, label)
        except PlanError as error:
            mistakes.extend(Problem(entry.where, problem.sentence) for problem in error.problems)
        return None
    given = {str(key): value for key, value in entry.fields.items()}
    fields = {
        "name": entry.name,
        **own_fields(entry.common, "", mistakes),
        **own_fields(given, entry.where, mistakes),
    }
    try:
        payload = Payload.from_json(fields, label)
        found = payload.problems(entry.where)
    except PlanError as error:
        # Paths in the sentences begin with the label, those that lines are known for with the place in the file.
        rest = [(problem.where.removeprefix(label).lstrip("."), problem.sentence) for problem in error.problems]
        mistakes.extend(Problem(_below(entry.where, name, given), sentence) for name, sentence in rest)
        return None
    mistakes.extend(
        Problem(_below(entry.where, problem.where.removeprefix(entry.where).lstrip("."), given), problem.sentence)
        for problem in found
    )
    return None if mistakes else payload


def _below(where: str, name: str, given: Mapping[str, Any]) -> str:
    """Return the path of a field: in the payload itself, or among what holds for all."""
    own = name.partition(".")[0].partition("[")[0] in given
    return f"{where}.{name}".strip(".") if own or not where else name or where
