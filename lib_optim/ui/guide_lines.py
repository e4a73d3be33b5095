"""The *Custom* lines of the form: blocks or tensors, a colon, a bound; the first line that names a block gets it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.bounds import Bound, parse_bound
from lib_optim.plan.curves import CurveShape
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.guide import ComponentGuide, Curve, Group, Strategy
from lib_optim.plan.matching import is_key_pattern
from lib_optim.plan.methods import MergeMethod
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.refine import tensors_of
from lib_optim.plan.space import match_blocks

__all__ = ["bound_and_curve", "guide_of_lines"]


def guide_of_lines(
    text: str,
    varied: tuple[str, ...],
    method: MergeMethod,
    blocks: BlockMap,
    keys: Sequence[str],
    bounds: dict[str, Bound],
    problems: list[Problem],
) -> tuple[ComponentGuide, ...]:
    """Return the strategies that lines come to, and put their bounds into `bounds`, what is wrong into `problems`.

    Args:
        text: The lines.
        varied: Method parameters that a line means which names none.
        method: The merge method.
        blocks: The block map.
        keys: The floating tensors of model A.
        bounds: Bounds so far.
        problems: Problems so far.
    """
    # (method parameter, block or tensor) -> component and, where a line gives it to a group, its name; in order
    taken: dict[tuple[str, str], tuple[str, str]] = {}
    curves: dict[str, Curve | None] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        where = f"vary.custom line {number}"
        try:
            names, wanted, bound, group, curve = _line(line, varied, method, blocks, keys)
        except PlanError as error:
            problems.extend(Problem(where, f"Line {number}: {problem}") for problem in error.problems)
            continue
        for name, component in names.items():
            for parameter in wanted:
                if (parameter, name) not in taken:
                    taken[parameter, name] = (component, group)
                    same = bounds.setdefault(f"{group or name}_{parameter}", bound) == bound
                    if not same or curves.setdefault(group, curve) != curve:
                        said = Problem(where, f"Line {number}: '{group}' has another range in a line above.")
                        problems.extend([said] if said not in problems else [])
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
            strategies.extend(_strategies(mine, parameter.name, curves))
        if strategies:
            guides.append(ComponentGuide(component, tuple(strategies)))
    return tuple(guides)


def _strategies(places: Mapping[str, str], parameter: str, curves: Mapping[str, Curve | None]) -> Iterator[Strategy]:
    """Yield the strategies for blocks and tensors, each with the name of its group or ""."""
    alone = tuple(name for name, group in places.items() if not group)
    if alone:
        yield Strategy("select", alone, parameters=(parameter,))
    groups: dict[Curve | None, list[Group]] = {}
    for group in dict.fromkeys(filter(None, places.values())):
        members = tuple(name for name, g in places.items() if g == group)
        groups.setdefault(curves.get(group), []).append(Group(group, members))
    for curve, together in groups.items():
        yield Strategy("group", groups=tuple(together), parameters=(parameter,), curve=curve)


def _line(
    line: str, varied: tuple[str, ...], method: MergeMethod, blocks: BlockMap, keys: Sequence[str]
) -> tuple[dict[str, str], tuple[str, ...], Bound, str, Curve | None]:
    """Return blocks and tensors with their component, method parameters, bound, the name of the group or "", curve."""
    left, colon, right = line.partition(":")
    if not colon:
        raise PlanError(f"'{line}' needs a colon between the blocks and their range, such as IN00-IN05: 0..1.")
    bound, curve = bound_and_curve(right)
    wanted = varied
    group, shared, rest = left.partition("=")
    group, left = (group.strip(), rest.strip()) if shared else ("", left)
    if shared and not (group and left):
        raise PlanError(f"'{line}' needs a name before the = and blocks after it, such as detail = OUT06-OUT11: 0..1.")
    if curve is not None and not group:
        raise PlanError(f"a curve needs a name for its blocks, such as depth = {left.strip()}:{right}.")
    target = re.fullmatch(r"(?P<blocks>.*\S)\s+(?P<parameter>[^\W\d]\w*)\s*", left)
    if target and not re.search(r"[,-]\s*$", target["blocks"]):
        if method.parameter(target["parameter"]) is None:
            known = [p.name for p in method.parameters]
            hint = did_you_mean(target["parameter"], known)
            raise PlanError(f"'{target['parameter']}' is not a parameter of {method.title}.{hint}")
        left, wanted = target["blocks"], (target["parameter"],)
    if not wanted:
        raise PlanError(f"no parameter of {method.title} is ticked to vary; tick one, or name it after the blocks.")
    return _places(left, blocks, keys), wanted, bound, group, curve


def bound_and_curve(text: str) -> tuple[Bound, Curve | None]:
    """Read a bound with or without a curve after it: ``0..1 curve 4``, ``0..1 curve 5 linear``.

    Raises:
        PlanError: It is none.
    """
    found = re.fullmatch(
        r"(?P<bound>.*\S)\s+curve\b\s*(?P<points>\d*)\s*(?P<shape>\w*)\s*", text.strip(), re.IGNORECASE
    )
    if found is None:
        return parse_bound(text), None
    shape, known = found["shape"].casefold() or Curve.shape, get_args(CurveShape)
    if not found["points"] or shape not in known:
        shapes = ", ".join(known)
        raise PlanError(f"'{text.strip()}' is no curve; write 0..1 curve 4, and behind it one of {shapes} if you like.")
    return parse_bound(found["bound"]), Curve(int(found["points"][:9]), shape)


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
