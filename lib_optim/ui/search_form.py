"""From what the form says about the search to a `SamplerSpec`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_optim.plan.design import StartDesign
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.run_plan import SamplerSpec
from lib_optim.plan.starts import StartPoint

__all__ = ["sampler_from_form"]


def sampler_from_form(form: Mapping[str, Any], starts: tuple[StartPoint, ...]) -> SamplerSpec:
    """Return the sampler with its options, presets, starts and start design.

    The form keeps the options of every sampler that was looked at: ``sampler_options`` maps its id to them. Whether
    names and values are right is the search's to say (`lib_optim.search.samplers.sampler_problems`).

    Raises:
        PlanError: A count of the start design is no whole number.
    """
    sampler = str(form.get("sampler") or "auto")
    options = {str(k): v for k, v in ((form.get("sampler_options") or {}).get(sampler) or {}).items() if v is not None}
    counts = {str(kind): _count(str(kind), count) for kind, count in (form.get("design") or {}).items()}
    earlier = tuple(StartPoint.from_json(row, "sampler.earlier") for row in form.get("earlier") or ())
    presets = form.get("presets", True)  # a switch, or how many
    every = SamplerSpec().presets
    chosen = (every if presets else ()) if isinstance(presets, bool) else every[: max(_count("presets", presets), 0)]
    return SamplerSpec(sampler, options, chosen, starts, StartDesign.from_json(counts, "sampler.design"), earlier)


def _count(kind: str, count: Any) -> Any:
    if kind == "version":
        return count
    try:
        number = float(count or 0)
    except (TypeError, ValueError, OverflowError):
        number = 0.5
    if not number.is_integer():
        raise PlanError([Problem(f"sampler.design.{kind}", f"The start design's {kind} must be a whole number.")])
    return int(number)
