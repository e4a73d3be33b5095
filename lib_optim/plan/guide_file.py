"""A guide as a YAML or JSON file: the fields of `lib_optim.plan.guide`, with short forms for hand-written ones.

| field | in full, as in plan.json | short |
|---|---|---|
| ``components`` | a list of ``{component, strategies}`` | ``unet: [...]``: component to strategies |
| a strategy | ``{type: all}`` | ``all`` |
| ``blocks``, ``parameters`` | a list | ``IN00-IN05, M00`` |
| ``groups`` | a list of ``{name, blocks}`` | ``detail: OUT06-OUT11``: name to blocks |
| ``curve`` | ``{points: 4, shape: smooth}`` | ``4`` |
| a bound | ``{kind: float, low: 0, high: 1}`` | ``0..1``, the grammar of `lib_optim.plan.bounds`; a number is fixed |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import yaml

from lib_optim.plan.bounds import Bound, parse_bound
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.guide import ComponentGuide, Curve, Guide, Strategy
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.noun import Noun
from lib_optim.plan.yaml_lines import at_line, read_yaml

__all__ = ["is_guide_file", "read_guide", "write_guide"]

T = TypeVar("T", bound=Noun)
_LARGEST = 1e300
_FIELDS = ("version", "components", "bounds")
_HEAD = '# A guide of Optim: what is varied, and within which bounds. See "A guide as a file" in the user guide.\n'


def is_guide_file(text: str) -> bool:
    """Tell whether `text` is a guide file, rather than *Custom* lines of the form (``IN00-IN05: 0..1``)."""
    lines = (line.split("#", 1)[0].rstrip() for line in text.splitlines())
    first = next((line for line in lines if line.strip() and line.strip() != "---"), "")
    return bool(re.match(rf"\s*\{{|\"?({'|'.join(_FIELDS)})\"?\s*:", first))


def read_guide(text: str, what: str = "The guide") -> Guide:
    """Read a guide file. Nothing is run, and nothing but the fields above is taken.

    Args:
        text: YAML or JSON.
        what: What it is called in messages.

    Raises:
        PlanError: Every problem, a sentence each, with its line. Whether blocks and parameters exist is `space_of`'s to
            say.
    """
    data, lines = read_yaml(text, what)
    if not isinstance(data, Mapping):
        raise PlanError(f"{what} needs the fields components and bounds, such as 'components: {{unet: [all]}}'.")
    problems: list[Problem] = []
    for name in data:
        if name not in _FIELDS:
            sentence = f"'{name}' is not a field of a guide.{did_you_mean(str(name), _FIELDS)}"
            problems.append(Problem(str(name), sentence))
    if data.get("version", Guide.VERSION) != Guide.VERSION:
        problems.append(Problem("version", f"This Optim reads version {Guide.VERSION} of guides; update it."))
    components = tuple(_components(data.get("components"), problems))
    bounds = _bounds(data.get("bounds"), problems)
    if problems:
        raise PlanError(at_line(problem, lines) for problem in problems)
    return Guide(components, bounds)


def _components(data: Any, problems: list[Problem]) -> list[ComponentGuide]:
    rows: list[tuple[str, Any, str]] = []
    if isinstance(data, Mapping):
        rows = [(str(name), strategies, f"components.{name}") for name, strategies in data.items()]
    elif isinstance(data, list):
        for i, row in enumerate(data):
            where = f"components[{i}]"
            if isinstance(row, Mapping) and set(row) - {"version"} == {"component", "strategies"}:
                rows.append((str(row["component"]), row["strategies"], f"{where}.strategies"))
            else:
                problems.append(Problem(where, "An entry of components needs component and strategies, nothing else."))
    if not rows and not problems:
        problems.append(Problem("components", "A guide lists at least one component, such as 'unet: [all]'."))
    return [ComponentGuide(name, tuple(_strategies(found, where, problems))) for name, found, where in rows]


def _strategies(data: Any, where: str, problems: list[Problem]) -> list[Strategy]:
    if isinstance(data, str | Mapping):
        data = [data]
    if not isinstance(data, list) or not data:
        problems.append(Problem(where, "A component needs a list of strategies, such as [all]."))
        return []
    found = (_built(Strategy, _long(entry), f"{where}[{i}]", problems) for i, entry in enumerate(data))
    return [strategy for strategy in found if strategy is not None]


def _long(entry: Any) -> Any:
    """Return a strategy in full, as far as it is readable; `Noun.from_json` refuses the rest."""
    if isinstance(entry, str):
        return {"type": entry}
    if not isinstance(entry, Mapping):
        return entry
    full = dict(entry)
    for name in ("blocks", "parameters"):
        if isinstance(full.get(name), str):
            full[name] = _words(full[name])
    if isinstance(full.get("curve"), int):
        full["curve"] = {"points": full["curve"]}
    groups = full.get("groups")
    if isinstance(groups, Mapping):
        full["groups"] = [
            {"name": str(name), "blocks": _words(blocks) if isinstance(blocks, str) else blocks}
            for name, blocks in groups.items()
        ]
    return full


def _bounds(data: Any, problems: list[Problem]) -> dict[str, Bound]:
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        problems.append(Problem("bounds", "bounds must map names to bounds, such as 'alpha: 0..1'."))
        return {}
    found: dict[str, Bound] = {}
    for name, value in data.items():
        where = f"bounds.{name}"
        if isinstance(value, bool | int | float):
            if not isinstance(value, bool) and not abs(value) <= _LARGEST:
                problems.append(Problem(where, f"{name} is too large a number; write one below {_LARGEST:g}."))
            found[str(name)] = Bound("fixed", value=value)
        elif isinstance(value, str):
            try:
                found[str(name)] = parse_bound(value)
            except PlanError as error:
                problems.extend(Problem(where, f"{name}: {problem}") for problem in error.problems)
        elif isinstance(value, Mapping):
            bound = _built(Bound, value, where, problems)
            found |= {} if bound is None else {str(name): bound}
        else:
            sentence = f"{name} needs a bound, such as 0..1 or =0.5; put it in quotes if it reads as something else."
            problems.append(Problem(where, sentence))
    return found


def _built(cls: type[T], data: Any, where: str, problems: list[Problem]) -> T | None:
    try:
        return cls.from_json(data, where)
    except PlanError as error:
        problems.extend(error.problems)
        return None


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def write_guide(guide: Guide) -> str:
    """Write `guide` as YAML that `read_guide` reads back to an equal one."""
    components = {row.component: [_short(strategy) for strategy in row.strategies] for row in guide.components}
    bounds = {name: _plain(bound) for name, bound in guide.bounds.items()}
    # Lists on one line, but a line for each bound.
    text = _dump({"components": components}, None)
    return _HEAD + text + (_dump({"bounds": bounds}, False) if bounds else "")


def _dump(data: Any, flow: bool | None) -> str:
    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, default_flow_style=flow, width=100))


def _short(strategy: Strategy) -> Any:
    row: dict[str, Any] = {"type": strategy.type}
    for field in fields(strategy):
        value = getattr(strategy, field.name)
        if field.name == "groups" and value:
            row["groups"] = {group.name: list(group.blocks) for group in value}
        elif isinstance(value, Curve):
            row["curve"] = {"points": value.points, "shape": value.shape}
        elif isinstance(value, tuple) and value:
            row[field.name] = list(value)
    return strategy.type if len(row) == 1 else row


def _plain(bound: Bound) -> Any:
    """Return a bound's text where it reads back as the same bound; all fields where it does not."""
    text = str(bound)
    try:
        same = parse_bound(text) == bound
    except PlanError:
        same = False
    return text if same else {k: v for k, v in bound.to_json().items() if k != "version" and v not in (None, [], ())}
