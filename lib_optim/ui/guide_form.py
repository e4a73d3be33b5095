"""The "What to vary" part of the form: mode, method parameters and custom lines to a `Guide`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.bounds import Bound, parse_bound
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.guide import ComponentGuide, Group, Guide, Strategy
from lib_optim.plan.guide_file import is_guide_file, read_guide
from lib_optim.plan.matching import is_key_pattern
from lib_optim.plan.methods import MergeMethod, MethodParameter
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.refine import tensors_of
from lib_optim.plan.space import match_blocks

__all__ = ["MODES", "guide_from_form"]

MODES = ("blocks", "groups", "single", "custom")

# The UNet's halves, in the names that every shipped map uses.
_GROUPS = (Group("IN", ("IN*",)), Group("MID", ("M0*",)), Group("OUT", ("OUT*",)))


def guide_from_form(form: Mapping[str, Any], method: MergeMethod, blocks: BlockMap, keys: Sequence[str] = ()) -> Guide:
    """Return the guide for ``form["parameters"]`` and ``form["vary"]``.

    Args:
        form: What the page sends.
        method: The merge method.
        blocks: The block map of model A.
        keys: The floating tensors of model A, for lines that name tensors.

    Raises:
        PlanError: Every line, range and value that cannot be used.
    """
    problems: list[Problem] = []
    bounds, varied = _parameters(form.get("parameters") or {}, method, problems)
    vary = form.get("vary") or {}
    mode = str(vary.get("mode") or MODES[0])
    if mode not in MODES:
        problems.append(Problem("vary.mode", f"'{mode}' is no way to vary; choose one of {', '.join(MODES)}."))
    if mode == "custom" and is_guide_file(str(vary.get("custom") or "")):
        components = _file(str(vary["custom"]), bounds, problems)
    elif mode == "custom":
        components = _custom(str(vary.get("custom") or ""), varied, method, blocks, keys, bounds, problems)
    else:
        whole = [p for p in method.parameters if p.blocks]
        if method.parameters and not varied and not any(_varies(form, p) for p in whole):
            problems.append(Problem("parameters", "Nothing is left to search: tick a method parameter to vary."))
        if not varied and not method.blocks:
            varied = _kept_at(method, bounds)  # only an adjustment is searched, of a merge that stays
        components = _by_mode(mode, vary, varied, blocks) if varied else ()
        if mode == "single":
            _tie(components, varied, method, bounds)
    if problems:
        raise PlanError(problems)
    return Guide(components, bounds)


def _file(text: str, bounds: dict[str, Bound], problems: list[Problem]) -> tuple[ComponentGuide, ...]:
    """Read a guide file. What it says of a method parameter counts before what the form says."""
    try:
        guide = read_guide(text)
    except PlanError as error:
        problems.extend(Problem("vary.custom", str(problem)) for problem in error.problems)
        return ()
    named = {name.casefold() for name in guide.bounds}
    for name in [name for name in bounds if name.casefold() in named]:
        del bounds[name]
    bounds.update(guide.bounds)
    return guide.components


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
        if vary and not parameter.blocks:
            varied.append(parameter.name)
        if parameter.blocks and not text:  # one value in the whole model, which the bounds alone switch
            default = 0.0 if parameter.default is None else parameter.default
            bounds[parameter.name] = parameter.bound if vary else Bound("fixed", value=default)
        if not text:
            continue
        where = f"parameters.{parameter.name}"
        try:
            bounds[parameter.name] = parse_bound(text) if vary else _fixed(text, parameter)
        except PlanError as error:
            problems.extend(Problem(where, f"{parameter.name}: {problem}") for problem in error.problems)
    return bounds, tuple(varied)


def _varies(form: Mapping[str, Any], parameter: MethodParameter) -> bool:
    row = (form.get("parameters") or {}).get(parameter.name) or {}
    return bool(row.get("vary", parameter.searched))


def _kept_at(method: MergeMethod, bounds: dict[str, Bound]) -> tuple[str, ...]:
    """Fix the first parameter of the merge itself, so that a strategy may name it and its blocks are merged."""
    for parameter in method.parameters:
        if not parameter.blocks and parameter.default is not None:
            bounds.setdefault(parameter.name, Bound("fixed", value=parameter.default))
            return (parameter.name,)
    return ()


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
    keys: Sequence[str],
    bounds: dict[str, Bound],
    problems: list[Problem],
) -> tuple[ComponentGuide, ...]:
    # (method parameter, block or tensor) -> component and, where a line gives it to a group, its name; in order
    taken: dict[tuple[str, str], tuple[str, str]] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        where = f"vary.custom line {number}"
        try:
            names, wanted, bound, group = _line(line, varied, method, blocks, keys)
        except PlanError as error:
            problems.extend(Problem(where, f"Line {number}: {problem}") for problem in error.problems)
            continue
        for name, component in names.items():
            for parameter in wanted:
                if (parameter, name) not in taken:
                    taken[parameter, name] = (component, group)
                    if bounds.setdefault(f"{group or name}_{parameter}", bound) != bound:
                        problems.append(Problem(where, f"Line {number}: '{group}' has another range in a line above."))
                        break
    if not taken and not problems:
        problems.append(
            Problem("vary.custom", "Nothing is varied: write a line for at least one block, such as IN00-IN05: 0..1.")
        )
    guides: list[ComponentGuide] = []
    for component in blocks.components:
        strategies: list[Strategy] = []
        for parameter in method.parameters:
            mine = {name: group for (p, name), (c, group) in taken.items() if (p, c) == (parameter.name, component)}
            strategies.extend(_strategies(mine, parameter.name))
        if strategies:
            guides.append(ComponentGuide(component, tuple(strategies)))
    return tuple(guides)


def _strategies(places: Mapping[str, str], parameter: str) -> Iterator[Strategy]:
    """Yield the strategies for blocks and tensors, each with the name of its group or ""."""
    alone = tuple(name for name, group in places.items() if not group)
    if alone:
        yield Strategy("select", alone, parameters=(parameter,))
    groups = tuple(
        Group(group, tuple(name for name, g in places.items() if g == group))
        for group in dict.fromkeys(filter(None, places.values()))
    )
    if groups:
        yield Strategy("group", groups=groups, parameters=(parameter,))


def _line(
    line: str, varied: tuple[str, ...], method: MergeMethod, blocks: BlockMap, keys: Sequence[str]
) -> tuple[dict[str, str], tuple[str, ...], Bound, str]:
    """Return blocks and tensors with their component, method parameters, bound, and the name of the group or ""."""
    left, colon, right = line.partition(":")
    if not colon:
        raise PlanError(f"'{line}' needs a colon between the blocks and their range, such as IN00-IN05: 0..1.")
    bound = parse_bound(right)
    wanted = varied
    group, shared, rest = left.partition("=")
    group, left = (group.strip(), rest.strip()) if shared else ("", left)
    if shared and not (group and left):
        raise PlanError(f"'{line}' needs a name before the = and blocks after it, such as detail = OUT06-OUT11: 0..1.")
    target = re.fullmatch(r"(?P<blocks>.*\S)\s+(?P<parameter>[^\W\d]\w*)\s*", left)
    if target and not re.search(r"[,-]\s*$", target["blocks"]):
        if method.parameter(target["parameter"]) is None:
            known = [p.name for p in method.parameters]
            hint = did_you_mean(target["parameter"], known)
            raise PlanError(f"'{target['parameter']}' is not a parameter of {method.title}.{hint}")
        left, wanted = target["blocks"], (target["parameter"],)
    if not wanted:
        raise PlanError(f"no parameter of {method.title} is ticked to vary; tick one, or name it after the blocks.")
    return _places(left, blocks, keys), wanted, bound, group


def _places(text: str, blocks: BlockMap, keys: Sequence[str]) -> dict[str, str]:
    """Expand names, ranges and wildcards into blocks and tensors, each with its component.

    A block that follows another comes only when named by itself, and so does the VAE.
    """
    chosen: dict[str, None] = {}
    known = {block.name for block in blocks.blocks}
    for pattern in filter(None, (part.strip() for part in text.split(","))):
        if is_key_pattern(pattern):
            vae = pattern.casefold().startswith(("vae", "first_stage_model"))
            found = tensors_of(pattern, blocks, keys)
            wanted = [key for key, block in found.items() if vae or blocks.block(block).component != "vae"]
            if not wanted:
                raise PlanError(f"'{pattern}' means tensors of the VAE only; write VAE/{pattern} if you want those.")
            chosen.update(dict.fromkeys(wanted))
            continue
        exact = any(block.name.casefold() == pattern.casefold() for block in blocks.blocks)
        pool = tuple(b for b in blocks.blocks if (exact or b.follows is None) and (exact or b.component != "vae"))
        chosen.update(dict.fromkeys(match_blocks([pattern], pool, blocks.id)))
    return {name: blocks.block(name if name in known else blocks.block_of(name) or "").component for name in chosen}
