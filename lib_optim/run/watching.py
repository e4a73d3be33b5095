"""What the page shows of judges that are only watched: who they are, and whether the search parts from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lib_optim.plan.records import Trial
from lib_optim.run.passes import RunPass
from lib_optim.scoring.registry import scorer_row
from lib_optim.search.parting import parting

__all__ = ["watched_json"]


def watched_json(search: RunPass | None, trials: Iterable[Trial]) -> list[dict[str, Any]]:
    """Return the part ``watched`` of the snapshot: a row per judge that decides nothing in a search.

    ``parted`` is None, or the judge's mean score of the bests ``before`` the last third and ``after``, in it
    (`lib_optim.search.parting`).
    """
    if search is None:
        return []
    keys = {spec.key: spec.id for spec in search.record.scorers if spec not in search.record.deciding}
    ours = (
        [t for t in trials if t.pass_id == search.id and t.state == "complete" and t.value is not None] if keys else []
    )
    found = []
    for key, scorer in keys.items():
        lower = scorer_row(scorer).lower_is_better
        points = [(t.value or 0.0, t.watched[key]) for t in sorted(ours, key=lambda t: t.number) if key in t.watched]
        parted = parting(points, lower)
        found.append(
            {
                "scorer": key,
                "lower": lower,
                "parted": None if parted is None else {"before": parted.before, "after": parted.after},
            }
        )
    return found
