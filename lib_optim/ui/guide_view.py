"""The guide of a form, as the page shows it: a table of blocks, the file, the table after an edit.

POST /optim/api/guide {form, edit?}     see `guide_shown`
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import OptimError, PlanError
from lib_optim.plan.guide_file import write_guide
from lib_optim.plan.guide_tidy import tidied
from lib_optim.ui.form import form_parts
from lib_optim.ui.form_blocks import form_blocks
from lib_optim.ui.guide_form import guide_from_form
from lib_optim.ui.guide_table import edited, guide_rows
from lib_optim.ui.http import Call, Refused

if TYPE_CHECKING:
    from lib_optim.ui.catalog import Catalog

__all__ = ["guide_shown"]


def guide_shown(call: Call, catalog: Catalog) -> dict[str, Any]:
    """Return the table and the file of a form's guide; after `edit`, if there is one (`lib_optim.ui.guide_table`).

    Returns:
        ``rows``; ``file``: the guide as YAML; ``custom``: what an edit makes of the form's lines, else null;
        ``problems``: why there is no table, or why the edit was not done, an answer here and no error.

    Raises:
        Refused: The request is malformed.
    """
    form, edit = call.body.get("form"), call.body.get("edit")
    if not isinstance(form, Mapping) or not isinstance(edit, Mapping | None):
        raise Refused(400, "The request holds no form, or an edit that is none.")
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
        return {"rows": rows, "file": write_guide(tidied(guide, method, blocks)), "custom": custom, "problems": []}
    except PlanError as error:
        sentences = [problem.sentence for problem in error.problems]
    except OptimError as error:
        sentences = [str(error)]
    return {"rows": [], "file": "", "custom": None, "problems": sentences}
