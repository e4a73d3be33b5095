"""The "What to vary" part of the form: mode, method parameters and custom lines to a `Guide`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from lib_optim.plan.blocks import Block, BlockMap
from lib_optim.plan.bounds import Bound, parse_bound
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.guide import ComponentGuide, Group, Guide, Strategy
from lib_optim.plan.methods import MergeMethod, MethodParameter
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.space import match_blocks

__all__ = ["MODES", "guide_from_form"]

MODES = ("blocks", "groups", "single", "custom")

# The UNet's halves, in the names that every shipped map uses.
_GROUPS = (Group("IN", ("IN*",)), Group("MID", ("M0*",)), Group("OUT", ("OUT*",)))


def guide_from_form(form: Mapping[str, Any], method: MergeMethod, blocks: BlockMap) -> Guide:
    """Return the guide for ``form["parameters"]`` and ``form["vary"]``.

    Raises:
        PlanError: Every line, range and value that cannot be used.
    """
    problems: list[Problem] = []
    bounds, varied = _parameters(form.get("parameters") or {}, method, problems)
    vary = form.get("vary") or {}
    mode = str(vary.get("mode") or MODES[0])
    if mode not in MODES:
        problems.append(Problem("vary.mode", f"'{mode}' is no way to vary; choose one of {', '.join(MODES)}."))
    if mode == "custom":
        components = _custom(str(vary.get("custom") or ""), varied, method, blocks, bounds, problems)
    else:
        if method.parameters and not varied:
            problems.append(Problem("parameters", "Nothing is left to search: tick a method parameter to vary."))
        components = _by_mode(mode, vary, varied, blocks)
        if mode == "single":
            _tie(components, varied, method, bounds)
    if problems:
        raise PlanError(problems)
    return Guide(components, bounds)


def _parameters(
    rows: Mapping[str, Any], method: MergeMethod, problems: list[Problem]
) -> tuple[dict[str, Bound], tuple[str, ...]]:
    """Return bounds by method parameter, and the names of those to vary."""
    bounds: dict[str, Bound] = {}
    varied: list[str] = []
    for parameter in method.parameters:
        row = rows.get(parameter.name) or {}
        text = str(row.get("text") or "").strip()
        vary = bool(row.get("vary", parameter.searched))
        if vary:
            varied.append(parameter.name)
        if not text:
            continue
        where = f"parameters.{parameter.name}"
        try:
            bounds[parameter.name] = parse_bound(text) if vary else _fixed(text, parameter)
        except PlanError as error:
            problems.extend(Problem(where, f"{parameter.name}: {problem}") for problem in error.problems)
    return bounds, tuple(varied)


def _fixed(text: str, parameter: MethodParameter) -> Bound:
    if parameter.kind == "str":
        return Bound("fixed", value=text.strip("'\""))
    bound = parse_bound(text if text.startswith("=") else f"={text}")
    if bound.kind != "fixed":
        kind = {"float": "a number", "int": "a whole number", "bool": "true or false"}[parameter.kind]
        raise PlanError(f"'{text}' is not {kind}; write one, or tick the box to vary it.")
    return bound


def _by_mode(
    mode: str, vary: Mapping[str, Any], varied: tuple[str, ...], blocks: BlockMap
) -> tuple[ComponentGuide, ...]:
    wanted = {"text_encoder": bool(vary.get("text_encoder", True)), "vae": bool(vary.get("vae", False))}
    guides: list[ComponentGuide] = []
    for component in blocks.components:
        if component == "unet":
            strategy = {
                "groups": Strategy("group", groups=_GROUPS, parameters=varied),
                "single": Strategy("single", parameters=varied),
            }.get(mode, Strategy("all", parameters=varied))
            guides.append(ComponentGuide(component, (strategy,)))
        elif wanted.get(component):
            kind: Literal["all", "single"] = "all" if mode == "blocks" else "single"
            guides.append(ComponentGuide(component, (Strategy(kind, parameters=varied),)))
    return tuple(guides)


def _tie(
    components: tuple[ComponentGuide, ...], varied: tuple[str, ...], method: MergeMethod, bounds: dict[str, Bound]
) -> None:
    """Make "one weight" one: text encoder and VAE copy the UNet's. A word can't be tied, it reads as a value."""
    for guide in components:
        for name in varied:
            parameter = method.parameter(name)
            if guide.component != "unet" and parameter is not None and parameter.kind != "str":
                bounds[f"{guide.component}_{name}"] = Bound("same", value=f"unet_{name}")


def _custom(
    text: str,
    varied: tuple[str, ...],
    method: MergeMethod,
    blocks: BlockMap,
    bounds: dict[str, Bound],
    problems: list[Problem],
) -> tuple[ComponentGuide, ...]:
    taken: dict[tuple[str, str], str] = {}  # (method parameter, block) -> component, in order of the lines
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        where = f"vary.custom line {number}"
        try:
            names, wanted, bound = _line(line, varied, method, blocks)
        except PlanError as error:
            problems.extend(Problem(where, f"Line {number}: {problem}") for problem in error.problems)
            continue
        for block in names:
            for parameter in wanted:
                if (parameter, block.name) not in taken:
                    taken[parameter, block.name] = block.component
                    bounds[f"{block.name}_{parameter}"] = bound
    if not taken and not problems:
        problems.append(
            Problem("vary.custom", "Nothing is varied: write a line for at least one block, such as IN00-IN05: 0..1.")
        )
    guides: list[ComponentGuide] = []
    for component in blocks.components:
        strategies = tuple(
            Strategy("select", chosen, parameters=(parameter.name,))
            for parameter in method.parameters
            if (chosen := tuple(name for (p, name), c in taken.items() if p == parameter.name and c == component))
        )
        if strategies:
            guides.append(ComponentGuide(component, strategies))
    return tuple(guides)


def _line(
    line: str, varied: tuple[str, ...], method: MergeMethod, blocks: BlockMap
) -> tuple[tuple[Block, ...], tuple[str, ...], Bound]:
    left, colon, right = line.partition(":")
    if not colon:
        raise PlanError(f"'{line}' needs a colon between the blocks and their range, such as IN00-IN05: 0..1.")
    bound = parse_bound(right)
    wanted = varied
    target = re.fullmatch(r"(?P<blocks>.*\S)\s+(?P<parameter>[^\W\d]\w*)\s*", left)
    if target and not re.search(r"[,-]\s*$", target["blocks"]):
        if method.parameter(target["parameter"]) is None:
            known = [p.name for p in method.parameters]
            hint = did_you_mean(target["parameter"], known)
            raise PlanError(f"'{target['parameter']}' is not a parameter of {method.title}.{hint}")
        left, wanted = target["blocks"], (target["parameter"],)
    if not wanted:
        raise PlanError(f"no parameter of {method.title} is ticked to vary; tick one, or name it after the blocks.")
    return _blocks(left, blocks), wanted, bound


def _blocks(text: str, blocks: BlockMap) -> tuple[Block, ...]:
    """Expand names, ranges and wildcards. A block that follows another comes only when named by itself."""
    chosen: dict[str, None] = {}
    for pattern in filter(None, (part.strip() for part in text.split(","))):
        exact = any(block.name.casefold() == pattern.casefold() for block in blocks.blocks)
        pool = tuple(b for b in blocks.blocks if (exact or b.follows is None) and (exact or b.component != "vae"))
        chosen.update(dict.fromkeys(match_blocks([pattern], pool, blocks.id)))
    return tuple(blocks.block(name) for name in chosen)
