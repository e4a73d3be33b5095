"""A plan check as JSON for the page: the resolved table, counts, sizes and every problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lib_optim.plan.bounds import Bound
from lib_optim.plan.scorers import MANUAL
from lib_optim.plan.starts import first_point
from lib_optim.run.pace import known_pace

if TYPE_CHECKING:
    from lib_optim.hosts.base import Host
    from lib_optim.run.check import PlanCheck, Resolved

__all__ = ["check_json", "time_json"]


def check_json(check: PlanCheck) -> dict[str, Any]:
    """Return `check` as the page shows it; the table is empty where problems prevent it."""
    resolved = check.resolved
    space = resolved.space if resolved else None
    origin, first = first_point(resolved.plan.sampler, resolved.space, resolved.blocks) if resolved else ("", {})
    return {
        "problems": [{"where": problem.where, "sentence": problem.sentence} for problem in check.problems],
        "warnings": list(check.warnings),
        "notes": list(check.notes),
        "parameters": [
            {
                "name": p.name,
                "kind": _kind(p.bound),
                "range": str(p.bound),
                "parameter": p.method_parameter,
                "blocks": list(p.blocks),
                "start": first.get(p.name),
            }
            for p in (space.parameters if space else ())
        ],
        "start": origin,
        "settings": [
            {"name": s.name, "value": s.value, "parameter": s.method_parameter, "blocks": list(s.blocks)}
            for s in (space.settings if space else ())
        ],
        "method": resolved.method.title if resolved else "",
        "architecture": resolved.architecture.title if resolved else "",
        "trials": check.trials if resolved else 0,
        "design": _design(resolved) if resolved else 0,
        "finalists": resolved.plan.verify.finalists if resolved else 0,
        "verify_images": check.verify_images,
        "passes": [{"trials": trials, "images_per_trial": images} for trials, images in check.counts[:-1]],
        "images_per_trial": check.images_per_trial,
        "merged_bytes": check.merged_bytes,
        "image_bytes": check.image_bytes,
        "kept_blocks": (
            [b.name for b in resolved.blocks.blocks if b.name not in resolved.space.merged_blocks] if resolved else []
        ),
    }


def time_json(check: PlanCheck, host: Host) -> dict[str, Any] | None:
    """Return how long `check`'s plan will take: ``seconds``, ``folder`` (the run that this goes by) and ``by_hand``
    (whether a person's time comes on top); None where no run has shown it yet, or only with far
    larger or smaller images."""
    resolved = check.resolved
    pace = known_pace(host, resolved.architecture.id) if resolved else None
    if resolved is None or pace is None or not resolved.jobs:
        return None
    seconds = pace.seconds(check.counts, resolved.jobs)
    if seconds is None:
        return None
    by_hand = any(spec.id == MANUAL for spec in resolved.plan.scorers)
    return {"seconds": seconds, "folder": pace.folder, "by_hand": by_hand}


def _kind(bound: Bound) -> str:
    """Return what a parameter is, in a word or two."""
    words = {"float": "number", "int": "whole number", "bool": "yes or no", "choice": "choice"}
    extra = ", log" if bound.log else f", step {bound.step:g}" if bound.step is not None else ""
    return words[bound.kind] + extra


def _design(resolved: Resolved) -> int:
    """Return how many points the start design has, the user's own and the presets that fit included."""
    from lib_optim.search.study import Search

    plan = resolved.plan
    return Search(resolved.space, resolved.blocks, plan.sampler, plan.seed).starts
