"""Trials of an earlier run, or a table of another program, as start points: what the page asks, as JSON.

POST /optim/api/starts {base, csv | run, name, count}   start points from a table, or from the best of an earlier run
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import OptimError, PlanError, StoreError
from lib_optim.plan.start_tables import starts_of_table
from lib_optim.run.folder import RunFolder
from lib_optim.ui.http import Call

if TYPE_CHECKING:
    from lib_optim.ui.catalog import Catalog

__all__ = ["starts_shown"]


def starts_shown(call: Call, catalog: Catalog, outputs: Path) -> dict[str, Any]:
    """Return the best rows of a table as start points, or why there are none.

    A table that cannot be used is an answer here, not an error.
    """
    empty: dict[str, Any] = {"points": [], "form": "", "rows": 0, "notes": [], "problems": []}
    choices = catalog.choices()
    base = choices.models.get(str(call.body.get("base") or ""))
    if base is None:
        return {**empty, "problems": ["Choose model A first: the weights are for its blocks."]}
    run, wanted = str(call.body.get("run") or ""), call.body.get("count")
    count = wanted if isinstance(wanted, int) and not isinstance(wanted, bool) else 0
    try:
        text = _read(outputs, run) if run else str(call.body.get("csv") or "")
        name = str(call.body.get("name") or "").strip() or (f"{run} trial" if run else "table")
        table = starts_of_table(text, choices.blocks(base.path), count, name[:60])
    except PlanError as error:
        return {**empty, "problems": [problem.sentence for problem in error.problems]}
    except OptimError as error:
        return {**empty, "problems": [str(error)]}
    points = [point.to_json() for point in table.points]
    return {**empty, "points": points, "form": table.form, "rows": table.rows, "notes": list(table.notes)}


def _read(outputs: Path, run: str) -> str:
    path = RunFolder.open(outputs, run).trials_csv
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"The table of the run '{run}' cannot be read: {error}.") from error
