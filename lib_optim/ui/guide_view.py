"""The guide of a form, as the page shows it: a table of blocks, the file, the table after an edit.

POST /optim/api/guide {form, edit}     the form's guide as a table of blocks and as a file, after `edit` if given
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lib_optim.plan.curves import places
from lib_optim.plan.errors import OptimError, PlanError
from lib_optim.plan.guide_file import write_guide
from lib_optim.plan.guide_tidy import tidied
from lib_optim.plan.refine import refined_for
from lib_optim.plan.space import Parameter, Setting, Space, space_of
from lib_optim.ui.form import form_parts
from lib_optim.ui.form_blocks import form_blocks
from lib_optim.ui.form_shape import checked_form
from lib_optim.ui.guide_form import guide_from_form
from lib_optim.ui.guide_table import edited, guide_rows
from lib_optim.ui.http import Call, Refused

if TYPE_CHECKING:
    from lib_optim.ui.catalog import Catalog

__all__ = ["curve_drawings", "guide_shown"]

_STEPS = 60


def guide_shown(call: Call, catalog: Catalog) -> dict[str, Any]:
    """Return the table and the file of a form's guide; after `edit`, if there is one (`lib_optim.ui.guide_table`).

    Returns:
        ``rows``; ``curves`` (`curve_drawings`); ``file``: the guide as YAML; ``custom``: what an edit makes of the
        form's lines, else null; ``problems``: why there is no table, or why the edit was not done; an answer, no
        error.

    Raises:
        Refused: The request is malformed.
    """
    form, edit = call.body.get("form"), call.body.get("edit")
    form = checked_form(form)
    if not isinstance(edit, Mapping | None):
        raise Refused(400, "The request holds an edit that is none.")
    choices = catalog.choices()
    custom: str | None = None
    try:
        base, method = form_parts(form, choices)
        blocks, keys = form_blocks(form, choices, base), choices.keys(base)
        if edit is not None:
            custom = edited(form, edit, method, blocks, keys)
            form = {**form, "vary": {**(form.get("vary") or {}), "mode": "custom", "custom": custom}}
        guide = guide_from_form(form, method, blocks, keys)
        rows = guide_rows(guide, method, blocks, keys)
        space = space_of(guide, method, refined_for(guide, blocks, keys))
        file = write_guide(tidied(guide, method, blocks))
        return {"rows": rows, "curves": curve_drawings(space), "file": file, "custom": custom, "problems": []}
    except PlanError as error:
        sentences = [problem.sentence for problem in error.problems]
    except OptimError as error:
        sentences = [str(error)]
    return {"rows": [], "curves": [], "file": "", "custom": None, "problems": sentences}


def curve_drawings(space: Space) -> list[dict[str, Any]]:
    """Return an example of every curve: its points, up and down within their ranges, and what runs through them.

    Returns:
        ``{name, ends, points, line}``: the first and the last block, and positions 0 to 1 with values.
    """
    rows: list[Parameter | Setting] = [*space.parameters, *space.settings]
    by_name = {row.name: row for row in rows}
    drawings = []
    for curve in space.curves:
        heights = [_height(by_name[name], high=i % 2 == 1) for i, name in enumerate(curve.points)]
        steps = tuple(i / _STEPS for i in range(_STEPS + 1))
        line = replace(curve, blocks=tuple(map(str, steps)), depths=steps).values(heights)
        dots = zip(places(curve.shape, len(heights)), heights, strict=True)
        order = sorted(zip(curve.depths, curve.blocks, strict=True))
        ends = [order[0][1], order[-1][1]]
        drawings.append(
            {
                "name": curve.name,
                "ends": ends,
                "points": list(dots),
                "line": list(zip(steps, line.values(), strict=True)),
            }
        )
    return drawings


def _height(point: Parameter | Setting, high: bool) -> float:
    if isinstance(point, Setting):
        return float(point.value)
    low, top = point.bound.low or 0.0, point.bound.high or 0.0
    return low + (0.8 if high else 0.2) * (top - low)
