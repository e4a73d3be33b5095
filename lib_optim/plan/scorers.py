"""Who judges the images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from lib_optim.plan.bounds import Value
from lib_optim.plan.noun import Noun

__all__ = ["MANUAL", "ScorerSpec", "by_hand", "ratings_json"]

MANUAL = "manual"


@dataclass(frozen=True)
class ScorerSpec(Noun):
    """One scorer of a run.

    Attributes:
        id: A row of the scorer registry, or ``manual`` for the user's own clicks.
        weight: Its share in the combined score; 0: it is watched, and decides nothing.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        options: The scorer's own settings (a weights file, a reference image).
        name: Of one of several ratings by hand (anatomy, style); empty where there is only one. Others have none.
        axis: The objective that it belongs to, where a run has several (`lib_optim.plan.objectives`); empty: none.
        payloads: Names or wildcards of the payloads that it judges; empty: all. It sees no image of another one.
    """

    id: str
    weight: float = 1.0
    device: str = "auto"
    options: Mapping[str, Value] = field(default_factory=dict)
    name: str = ""
    axis: str = ""
    payloads: tuple[str, ...] = ()

    def judges(self, payload: str) -> bool:
        """Whether it judges the images of the payload with this name."""
        name = payload.casefold()
        return not self.payloads or any(fnmatchcase(name, pattern.casefold()) for pattern in self.payloads)

    @property
    def key(self) -> str:
        """What its scores are recorded under: its id, for a named rating ``manual: anatomy``."""
        return f"{self.id}: {self.name}" if self.name else self.id


def ratings_json(specs: Iterable[ScorerSpec]) -> list[dict[str, object]]:
    """Return the ratings by hand among `specs` as the page takes them: ``key`` of the score, ``name``, ``weight``."""
    return [{"key": spec.key, "name": spec.name, "weight": spec.weight} for spec in specs if spec.id == MANUAL]


def by_hand(key: str) -> bool:
    """Tell whether the scores recorded under `key` are a person's."""
    return key == MANUAL or key.startswith(f"{MANUAL}: ")
