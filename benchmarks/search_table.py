"""Tables of the search benchmark: mean, median and quartiles of the regret, and differences on the same instances."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.search_problems import FAMILIES

__all__ = ["Cell", "tables"]


@dataclass(frozen=True)
class Cell:
    """One run. `found` and `verified` map trials to regret; `cpu` is seconds per suggestion over the last ten."""

    sampler: str
    family: str
    dims: int
    sigma: float
    seed: int
    found: Mapping[int, float]
    cpu: float = 0.0
    verified: Mapping[int, float] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, int, float, int]:
        """What makes it the same run."""
        return self.sampler, self.family, self.dims, self.sigma, self.seed

    def to_json(self) -> dict[str, Any]:
        """Return a dict of plain JSON."""
        found, verified = ({str(n): round(value, 4) for n, value in of.items()} for of in (self.found, self.verified))
        row = {
            "sampler": self.sampler,
            "family": self.family,
            "dims": self.dims,
            "sigma": self.sigma,
            "seed": self.seed,
        }
        return {**row, "found": found, "verified": verified, "cpu": round(self.cpu, 5)}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Cell:
        """Read what `to_json` wrote."""
        found, verified = ({int(n): value for n, value in row.get(of, {}).items()} for of in ("found", "verified"))
        place = (row["sampler"], row["family"], row["dims"], row["sigma"], row["seed"])
        return cls(*place, found, row["cpu"], verified)


def tables(cells: Sequence[Cell], against: Sequence[str] = ("tpe5", "random")) -> str:
    """Return markdown: per dimension and noise one table of figures, and one of the families."""
    parts = []
    for dims, sigma in sorted({(cell.dims, cell.sigma) for cell in cells}):
        here = [cell for cell in cells if (cell.dims, cell.sigma) == (dims, sigma)]
        parts += [
            f"### {dims} dimensions, noise {sigma:g}",
            _figures(here, (*against, "cma-sep")),
            _families(here, against),
        ]
    return "\n\n".join(parts)


def _figures(cells: Sequence[Cell], against: Sequence[str]) -> str:
    budgets = sorted({n for cell in cells for n in cell.found})
    heads = [f"n = {n}: mean, median [IQR]" for n in budgets] + [f"Δ to {name} at {_at(budgets)}" for name in against]
    rows = []
    for name in _names(cells):
        mine = [cell for cell in cells if cell.sampler == name]
        columns = [_spread([cell.found[n] for cell in mine if n in cell.found]) for n in budgets]
        columns += [_difference(mine, cells, other, _at(budgets)) for other in against]
        rows.append([name, str(len(mine)), *columns, f"{1000 * np.mean([cell.cpu for cell in mine]):.1f}"])
    return _markdown(["sampler", "runs", *heads, "CPU ms"], rows)


def _families(cells: Sequence[Cell], against: Sequence[str]) -> str:
    budgets = sorted({n for cell in cells for n in cell.found})
    n = _at(budgets)
    rows = []
    for name in _names(cells):
        columns = []
        for family in FAMILIES:
            mine = [cell for cell in cells if cell.sampler == name and cell.family == family and n in cell.found]
            others = [cell for cell in cells if cell.family == family]
            mean = f"{np.mean([cell.found[n] for cell in mine]):.3f}" if mine else "–"
            columns.append(
                "; ".join([mean, *(_difference(mine, others, other, n) for other in against if other != name)])
            )
        rows.append([name, *columns])
    return f"Mean regret at n = {n}; paired Δ to {', '.join(against)}\n\n" + _markdown(["sampler", *FAMILIES], rows)


def _at(budgets: Sequence[int]) -> int:
    return 60 if 60 in budgets else budgets[-1]


def _names(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(cell.sampler for cell in cells))


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "–"
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return f"{np.mean(values):.3f}, {middle:.3f} [{low:.2f}–{high:.2f}]"


def _difference(mine: Sequence[Cell], cells: Sequence[Cell], other: str, n: int) -> str:
    """Return mean ± standard error of the paired differences and how often `mine` was better."""
    place: Callable[[Cell], tuple[str, int]] = lambda cell: (cell.family, cell.seed)  # noqa: E731
    theirs = {place(cell): cell.found[n] for cell in cells if cell.sampler == other and n in cell.found}
    both = [cell.found[n] - theirs[place(cell)] for cell in mine if n in cell.found and place(cell) in theirs]
    if len(both) < 2 or not any(both):
        return "–"
    error = np.std(both, ddof=1) / np.sqrt(len(both))
    return f"{np.mean(both):+.3f} ±{error:.3f} ({sum(d < 0 for d in both)}/{len(both)})"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
