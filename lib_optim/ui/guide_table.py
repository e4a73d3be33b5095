"""The block table of the page: the same guide as the form's lines, a row per block, and edits of them.

A row says what one method parameter does in one block: searched alone, searched together with others, fixed, or not
merged at all. Blocks that follow another, and tensors, have a row where they have a value of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from lib_optim.plan.blocks import Block, BlockMap
from lib_optim.plan.bounds import Bound
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.guide import Guide
from lib_optim.plan.guide_file import is_guide_file, write_guide
from lib_optim.plan.guide_tidy import spans, tidied
from lib_optim.plan.matching import is_key_pattern, match_blocks
from lib_optim.plan.methods import MergeMethod
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.owners import Owners
from lib_optim.plan.refine import refined_for
from lib_optim.plan.space import Parameter, Space, space_of
from lib_optim.ui.guide_form import guide_from_form
from lib_optim.ui.guide_lines import bound_and_curve

__all__ = ["HOW", "edited", "guide_rows"]

HOW = ("vary", "group", "fixed", "keep")
"""What a block may do: a value of its own is searched, one shared with others, it has a fixed one, it stays as in A."""


def guide_rows(guide: Guide, method: MergeMethod, blocks: BlockMap, keys: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the rows of every method parameter that the guide's strategies set, in block order.

    Returns:
        ``{block, title, component, parameter, how, group, bound, value}``; `bound` is text in the grammar of
        `lib_optim.plan.bounds`, for a fixed one too; `group` names what shares the value, for ``group`` only.
        What lies on a curve is a group, too, and the curve stands behind its bound, as in a line: ``0..1 curve 4``.

    Raises:
        PlanError: The guide cannot be used.
    """
    blocks = refined_for(guide, blocks, keys)
    space, owners = space_of(guide, method, blocks), Owners(guide, method, blocks)
    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys(parameter for parameter, _ in owners.owner):
        named = (block for block in blocks.blocks if block.follows is None or (name, block.name) in owners.owner)
        rows.extend(_row(block, name, space, blocks, owners) for block in named)
    return rows


def _row(block: Block, parameter: str, space: Space, blocks: BlockMap, owners: Owners) -> dict[str, Any]:
    row = {"block": block.name, "title": block.title, "component": block.component, "parameter": parameter,
           "tensor": block.key is not None, "how": "keep", "group": "", "bound": "", "value": None}  # fmt: skip
    curve = _of(space.curves, parameter, block.name)
    if curve is not None:
        label = curve.name.removesuffix(f"_{parameter}")
        bounds = [str(p.bound) for p in space.parameters if p.name in curve.points] or [f"={curve.low}"]
        bend = f"curve {len(curve.points)} {curve.shape}"
        return row | {"how": "group", "group": label, "bound": f"{bounds[0]} {bend}"}
    setting = _of(space.settings, parameter, block.name)
    if setting is not None:
        set_here = owners.label(parameter, block.name) is not None
        fixed = {"how": "fixed", "bound": str(Bound("fixed", value=setting.value)), "value": setting.value}
        return row | (fixed if set_here else {})
    dimension = _of(space.parameters, parameter, block.name)
    if dimension is None:
        return row
    others = [name for name in dimension.blocks if not set(blocks.chain(name)[1:]) & set(dimension.blocks)]
    label = dimension.name.removesuffix(f"_{parameter}")
    alone = len(others) == 1 and label in (*blocks.chain(others[0]), *blocks.components)
    return row | {"how": "vary" if alone else "group", "group": "" if alone else label, "bound": str(dimension.bound)}


def _of(rows: Sequence[Any], parameter: str, block: str) -> Any:
    found = (row for row in rows if row.method_parameter == parameter and block in row.blocks)
    return next(found, None)


def edited(
    form: Mapping[str, Any], edit: Mapping[str, Any], method: MergeMethod, blocks: BlockMap, keys: Sequence[str] = ()
) -> str:
    """Return the text for *Custom* that the form's guide becomes by one edit.

    Lines and groups that name tensors stay as they are; the others are written anew, without their comments. A guide
    file stays a guide file.

    Args:
        form: As in `lib_optim.ui.form`.
        edit: ``{blocks, parameter, how, bound, group}``: `blocks` as in a line (names, wildcards, ranges), `how` of
            `HOW`, `bound` in the grammar of bounds, `group` a name for ``group``.
        method: The merge method.
        blocks: The block map of model A.
        keys: The floating tensors of model A.

    Raises:
        PlanError: The form's guide or the edit cannot be used.
    """
    before = guide_from_form(form, method, blocks, keys)
    rows = guide_rows(before, method, blocks, keys)
    text = str((form.get("vary") or {}).get("custom") or "")
    custom = (form.get("vary") or {}).get("mode") == "custom"
    file = custom and is_guide_file(text)
    if file and any(row["tensor"] for row in rows):
        raise PlanError("This guide file names single tensors, which the table cannot write; edit its text instead.")
    known = list(dict.fromkeys(row["parameter"] for row in rows))
    parameter = str(edit.get("parameter") or known[0])
    if parameter not in known:
        raise PlanError(f"'{parameter}' is not searched by block.{did_you_mean(parameter, known)}")
    patterns = [part.strip() for part in str(edit.get("blocks") or "").split(",") if part.strip()]
    if not patterns or any(is_key_pattern(pattern) for pattern in patterns):
        raise PlanError("Name the blocks that shall change, such as IN00-IN05 or OUT*; tensors are edited as text.")
    shown = {row["block"] for row in rows}
    pool = tuple(b for b in blocks.blocks if b.name in shown and (b.component != "vae" or b.name in patterns))
    chosen = match_blocks(patterns, pool, blocks.id)
    change = _change(edit)
    touched: set[tuple[str, str]] = set()
    for row in rows:
        joined = change["group"] and row["group"].casefold() == change["group"].casefold()
        if row["parameter"] == parameter and (row["block"] in chosen or joined):
            row.update(change)  # whoever joins a group brings its range along
            touched.add((parameter, row["block"]))
    kept = [line for line in text.splitlines() if custom and not file and _names_tensors(line)]
    lines = [*kept, *_lines([row for row in rows if not row["tensor"]], len(known) > 1, blocks)]
    if not lines:
        raise PlanError("Nothing would be merged any more; leave at least one block.")
    made = "\n".join(lines)
    after = guide_from_form(
        {**form, "vary": {**(form.get("vary") or {}), "mode": "custom", "custom": made}}, method, blocks, keys
    )
    if _others(before, touched, method, blocks, keys) != _others(after, touched, method, blocks, keys):
        raise PlanError("The table cannot write this guide without changing other blocks, too; edit its text instead.")
    return write_guide(tidied(after, method, blocks)) if file else made


def _others(
    guide: Guide, touched: Collection[tuple[str, str]], method: MergeMethod, blocks: BlockMap, keys: Sequence[str]
) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Return what sets every method parameter in every block that an edit leaves alone."""
    blocks = refined_for(guide, blocks, keys)
    space = space_of(guide, method, blocks)
    found: dict[tuple[str, str], tuple[Any, ...]] = {}
    shapes = {curve.name: curve.shape for curve in space.curves}
    for dimension in (*space.parameters, *space.settings):
        places = [(dimension.method_parameter, name) for name in dimension.blocks]
        free = [p for p in places if not any((p[0], name) in touched for name in blocks.chain(p[1]))]
        what = (str(dimension.bound), *sorted(free)) if isinstance(dimension, Parameter) else (dimension.value,)
        for place in free:  # of a curve, every point
            found[place] = (*found.get(place, ()), *what, shapes.get(dimension.curve))
    return found


def _change(edit: Mapping[str, Any]) -> dict[str, str]:
    how, group = str(edit.get("how") or ""), str(edit.get("group") or "").strip()
    if how not in HOW:
        raise PlanError(f"'{how}' is nothing that a block can do; choose one of {', '.join(HOW)}.")
    if how == "keep":
        return {"how": how, "group": "", "bound": ""}
    try:
        bound, curve = bound_and_curve(str(edit.get("bound") or ""))
    except PlanError as error:
        raise PlanError(Problem("vary", str(problem)) for problem in error.problems) from error
    if (bound.kind in ("fixed", "same")) != (how == "fixed"):
        raise PlanError(f"{bound} does not go with '{how}'; write a range to search, or =0.5 to fix.")
    if how == "group" and not group:
        raise PlanError("A group needs a name, such as detail.")
    if curve is not None and how != "group":
        raise PlanError("A curve goes through several blocks; make them one group, with a name.")
    text = str(bound) if curve is None else f"{bound} {curve}"
    return {"how": how, "group": group if how == "group" else "", "bound": text}


def _names_tensors(line: str) -> bool:
    left = line.split("#", 1)[0].partition(":")[0]
    return any(is_key_pattern(part.strip()) for part in left.rpartition("=")[2].split(","))


def _lines(rows: Sequence[Mapping[str, Any]], several: bool, blocks: BlockMap) -> Iterator[str]:
    """Yield lines: groups and single blocks in block order, neighbours with one bound together."""
    taken = {name.casefold() for name in (*blocks.components, *(block.name for block in blocks.blocks))}
    for parameter in dict.fromkeys(row["parameter"] for row in rows):
        mine = [row for row in rows if row["parameter"] == parameter and row["how"] != "keep"]
        parts: dict[tuple[str, str], list[str]] = {}
        for row in mine:
            parts.setdefault((row["group"], row["bound"]), []).append(row["block"])
        suffix = f" {parameter}" if several else ""
        for (group, bound), names in parts.items():
            # A group of all blocks is called after its component, which a line cannot do.
            free = f"all_{group}" if group.casefold() in taken else group
            yield f"{f'{free} = ' if group else ''}{', '.join(spans(names, blocks))}{suffix}: {bound}"
