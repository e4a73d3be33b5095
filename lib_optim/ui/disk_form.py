"""The disk as the form says it: what a run's images may take, and how they are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.run_plan import DiskSpec
from lib_optim.ui.fields import optional_number, whole

__all__ = ["disk_fields", "disk_from_form"]


def disk_from_form(form: Mapping[str, Any], problems: list[Problem]) -> DiskSpec:
    """Return what the form says of the disk; what an older form lacks is as by default."""
    fields = {**disk_fields(DiskSpec()), **(form.get("disk") or {})}
    room = optional_number(fields, "gigabytes", "disk.gigabytes", "The disk budget", problems, low=0) or 0.0
    found: list[Problem] = []
    quality = whole(fields, "quality", 50, 100, "The quality of the images", found)
    problems.extend(Problem("disk.quality", problem.sentence) for problem in found)
    try:
        return DiskSpec.from_json({"gigabytes": room, "format": fields["format"], "quality": quality}, "disk")
    except PlanError as error:
        problems.extend(error.problems)
        return DiskSpec()


def disk_fields(disk: DiskSpec) -> dict[str, Any]:
    """Return the form's fields for `disk`."""
    return {"gigabytes": disk.gigabytes or "", "format": disk.format, "quality": disk.quality}
