"""Does another model look like the common base? Offered with the plan check; nothing is reordered by itself."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from lib_optim.plan.errors import OptimError
from lib_optim.plan.run_plan import RunPlan

__all__ = ["base_advice"]


def base_advice(plan: RunPlan) -> dict[str, Any] | None:
    """Return ``{"sentence", "button", "models"}`` with the paths in the order to offer; None for nothing to offer."""
    from lib_optim.merging.ancestor import base_place
    from lib_optim.merging.methods import method_row

    paths = [model.path for model in plan.models]
    try:
        row = method_row(plan.method)
        place = base_place(row, len(paths))
        if place is None:
            return None
        found = _likely(tuple(paths), tuple(Path(path).stat().st_mtime_ns for path in paths))
    except (OptimError, OSError):  # what is wrong with the plan is said by its check
        return None
    if found is None or found == place:
        return None
    models = list(paths)
    models[place], models[found] = models[found], models[place]
    letter, wanted = (chr(ord("A") + i) for i in (found, place))
    return {
        "sentence": f"{letter} ({Path(paths[found]).name}) looks like the common base of the others, and "
        f"{row.method.title} takes model {wanted} for the base.",
        "button": f"Exchange {letter} and {wanted}",
        "models": models,
    }


@functools.lru_cache(maxsize=64)
def _likely(paths: tuple[str, ...], stamps: tuple[int, ...]) -> int | None:
    from lib_optim.merging.ancestor import likely_base

    del stamps
    return likely_base([Path(path) for path in paths])
