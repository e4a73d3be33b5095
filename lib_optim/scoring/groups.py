"""How the tab sorts the judges: some are in sight, the others folded away by what they are for."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["GROUPS", "ScorerGroup", "group_of"]


@dataclass(frozen=True)
class ScorerGroup:
    """A fold of the list. `scorers`: ids, in no order of their own: the registry's holds."""

    id: str
    title: str
    scorers: frozenset[str]


GROUPS = (
    ScorerGroup(
        "prompt", "What people prefer, and whether the prompt is met", frozenset({"pickscore", "hpsv2", "blip-itm"})
    ),
    ScorerGroup(
        "looks",
        "Looks, the prompt aside",
        frozenset(
            {"laion1", "laion2", "chad", "waifu", "cityaesthetics", "wdaes", "cafe-aesthetic", "aesthetic-shadow"}
        ),
    ),
    ScorerGroup("alike", "Alike or different", frozenset({"similarity", "consistency", "diversity", "background"})),
    ScorerGroup("guards", "Guards, and judges in other programs", frozenset({"nsfw", "remote"})),
)
"""In the order in which they are shown, after the judges of no group: the usual ones and the user's own."""


def group_of(scorer: str) -> str:
    """Return the id of the group of a scorer, empty for one that is always in sight."""
    return next((group.id for group in GROUPS if scorer in group.scorers), "")
