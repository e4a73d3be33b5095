"""Tables of the search benchmark: mean, median and quartiles of the regret, and differences on the same instances."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.search_problems import FAMILIES

__all__ = ["Cell", "auto_is", "summary", "tables"]

AUTO = "**auto**"
SUMMED = ("auto", "tpe5", "cma", "cma-sep", "gp", "bayes_opt", "gfo-bayes", "random")


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
    """Return markdown: per dimension and noise the figures, `auto` beside each other one, and the families."""
    parts = []
    for dims, sigma in sorted({(cell.dims, cell.sigma) for cell in cells}, key=lambda place: (place[1], place[0])):
        here = _as_shown([cell for cell in cells if (cell.dims, cell.sigma) == (dims, sigma)])
        parts += [
            f"### {dims} dimensions, noise {sigma:g}",
            _figures(here, (*against, "cma-sep")),
            *(_duels(here, n) for n in (60, 120) if any(n in cell.found for cell in here)),
            _families(here, against),
        ]
    return "\n\n".join(part for part in parts if part)


def summary(cells: Sequence[Cell]) -> str:
    """Return markdown: one row per size, noise and budget, one column per sampler, each mean / median (runs)."""
    places = sorted({(cell.dims, cell.sigma) for cell in cells}, key=lambda place: (place[1], place[0]))
    rows = []
    for dims, sigma in places:
        ours = "auto" if auto_is(dims) == "gp" else auto_is(dims)
        here = [cell for cell in cells if (cell.dims, cell.sigma) == (dims, sigma)]
        here = [replace(cell, sampler="auto") if cell.sampler == ours else cell for cell in here]
        for n in (30, 60, 120):
            found = {name: [c.found[n] for c in here if c.sampler == name and n in c.found] for name in SUMMED}
            if any(found.values()):
                rows.append([str(dims), f"{sigma:g}", str(n), *(_brief(found[name]) for name in SUMMED)])
    return _markdown(["parameters", "noise", "trials", *SUMMED], rows)


def _brief(values: Sequence[float]) -> str:
    return f"{np.mean(values):.2f} / {np.median(values):.2f} ({len(values)})" if values else "–"


def auto_is(dims: int) -> str:
    """Return which sampler the program's `auto` takes for numbers alone."""
    return "gp" if dims <= 8 else "optim"


def _as_shown(cells: Sequence[Cell]) -> list[Cell]:
    """Name the cells of what `auto` does so, and add what they come to if the last trials verify the winner.

    Above 8 dimensions `auto` is `optim`, the same runs; below, it is the program's `gp`, run as `auto`: the study is
    built anew for each suggestion, so that its draws differ from those of the peer `gp`.
    """
    shown = []
    for cell in cells:
        ours = cell.sampler == ("auto" if auto_is(cell.dims) == "gp" else auto_is(cell.dims))
        shown.append(replace(cell, sampler=f"{AUTO} ({auto_is(cell.dims)})") if ours else cell)
        if ours and cell.verified:
            shown.append(replace(shown[-1], sampler=f"{shown[-1].sampler}, verified", found=cell.verified))
    return sorted(shown, key=lambda cell: not cell.sampler.startswith(AUTO))


def _duels(cells: Sequence[Cell], n: int) -> str:
    """Return what `auto` does beside each other sampler, on the instances that both have."""
    found = {(cell.sampler, (cell.family, cell.seed)): cell.found[n] for cell in cells if n in cell.found}
    ours = [name for name in _names(cells) if name.startswith(AUTO)]
    rows = []
    for other in (name for name in _names(cells) if name not in ours):
        places = [place for name, place in found if name == other and all((mine, place) in found for mine in ours)]
        if not ours or len(places) < 2:
            continue
        theirs = np.array([found[other, place] for place in places])
        row = [other, str(len(places)), f"{theirs.mean():.3f}, {np.median(theirs):.3f}"]
        for mine in ours:
            values = np.array([found[mine, place] for place in places])
            ratios = f"{values.mean() / theirs.mean():.2f}, {np.median(values) / np.median(theirs):.2f}"
            row += [f"{values.mean():.3f}, {np.median(values):.3f}", ratios, _paired(values - theirs)]
        rows.append(row)
    heads = [head for mine in ours for head in (f"{mine}: mean, median", "part of theirs", "Δ")]
    title = f"`auto` at n = {n} beside each other sampler, on the instances that both ran"
    return f"{title}\n\n" + _markdown(["sampler", "runs", "mean, median", *heads], rows) if rows else ""


def _figures(cells: Sequence[Cell], against: Sequence[str]) -> str:
    budgets = sorted({n for cell in cells for n in cell.found})
    heads = [f"n = {n}: mean, median [IQR]" for n in budgets] + [f"Δ to {name} at {_at(budgets)}" for name in against]
    rows = []
    for name in _names(cells):
        mine = [cell for cell in cells if cell.sampler == name]
        columns = [_spread([cell.found[n] for cell in mine if n in cell.found]) for n in budgets]
        columns += [_difference(mine, cells, other, _at(budgets)) for other in against]
        rows.append([name, str(len(mine)), *columns, f"{1000 * np.mean([cell.cpu for cell in mine]):.1f}"])
    return _markdown(["sampler", "runs", *heads, "CPU ms, last ten"], rows)


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
    return _paired(np.array(both))


def _paired(both: NDArray[np.float64]) -> str:
    if len(both) < 2 or not both.any():
        return "–"
    error = both.std(ddof=1) / np.sqrt(len(both))
    worse = " **worse**" if both.mean() > 2 * error else ""
    return f"{both.mean():+.3f} ±{error:.3f} ({(both < 0).sum()}/{len(both)}){worse}"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
