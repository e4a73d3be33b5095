"""The "What to vary" part of the form: mode, method parameters and custom lines to a `Guide`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.bounds import Bound, parse_bound
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.guide import ComponentGuide, Curve, Group, Guide, Strategy
from lib_optim.plan.guide_file import is_guide_file, read_guide
from lib_optim.plan.methods import MergeMethod, MethodParameter
from lib_optim.ui.guide_lines import guide_of_lines

__all__ = ["MODES", "guide_from_form"]

MODES = ("blocks", "groups", "single", "curve", "custom")

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
        components = guide_of_lines(str(vary.get("custom") or ""), varied, method, blocks, keys, bounds, problems)
    else:
        whole = [p for p in method.parameters if p.blocks]
        if method.parameters and not varied and not any(_varies(form, p) for p in whole):
            problems.append(Problem("parameters", "Nothing is left to search: tick a method parameter to vary."))
        if not varied and not method.blocks:
            varied = _kept_at(method, bounds)  # only an adjustment is searched, of a merge that stays
        components = _by_mode(mode, vary, varied, method, blocks) if varied else ()
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
    mode: str, vary: Mapping[str, Any], varied: tuple[str, ...], method: MergeMethod, blocks: BlockMap
) -> tuple[ComponentGuide, ...]:
    wanted = {"text_encoder": bool(vary.get("text_encoder", True)), "vae": bool(vary.get("vae", False))}
    guides: list[ComponentGuide] = []
    for component in blocks.components:
        if component == "unet":
            strategies = {
                "groups": (Strategy("group", groups=_GROUPS, parameters=varied),),
                "single": (Strategy("single", parameters=varied),),
                "curve": _curves(vary, varied, method),
            }.get(mode, (Strategy("all", parameters=varied),))
            guides.append(ComponentGuide(component, strategies))
        elif wanted.get(component):
            kind: Literal["all", "single"] = "all" if mode == "blocks" else "single"
            guides.append(ComponentGuide(component, (Strategy(kind, parameters=varied),)))
    return tuple(guides)


def _curves(vary: Mapping[str, Any], varied: tuple[str, ...], method: MergeMethod) -> tuple[Strategy, ...]:
    """Return a curve for every number that is varied, and one value for what is none."""
    given = {"points": vary.get("points") or Curve.points, "shape": vary.get("shape") or Curve.shape}
    curve = Curve.from_json(given, "vary")
    numbers = tuple(p.name for p in method.parameters if p.name in varied and p.kind == "float")
    others = tuple(name for name in varied if name not in numbers)
    found = (Strategy("single", parameters=numbers, curve=curve), Strategy("single", parameters=others))
    return tuple(strategy for strategy in found if strategy.parameters)


def _tie(
    components: tuple[ComponentGuide, ...], varied: tuple[str, ...], method: MergeMethod, bounds: dict[str, Bound]
) -> None:
    """Make "one weight" one: text encoder and VAE copy the UNet's. A word can't be tied, it reads as a value."""
    for guide in components:
        for name in varied:
            parameter = method.parameter(name)
            if guide.component != "unet" and parameter is not None and parameter.kind != "str":
                bounds[f"{guide.component}_{name}"] = Bound("same", value=f"unet_{name}")
