"""Who judges the images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lib_optim.plan.bounds import Value
from lib_optim.plan.noun import Noun

__all__ = ["MANUAL", "ScorerSpec"]

MANUAL = "manual"


@dataclass(frozen=True)
class ScorerSpec(Noun):
    """One scorer of a run.

    Attributes:
        id: A row of the scorer registry, or ``manual`` for the user's own clicks.
        weight: Its share in the combined score, above 0.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        options: The scorer's own settings (a weights file, a reference image).
    """

    id: str
    weight: float = 1.0
    device: str = "auto"
    options: Mapping[str, Value] = field(default_factory=dict)
