"""How a run ended."""

from __future__ import annotations

from dataclasses import dataclass

from lib_optim.run.view import RunState

__all__ = ["Outcome"]


@dataclass(frozen=True)
class Outcome:
    """The end of a run.

    Attributes:
        state: ``finished``, also if the user stopped it, or ``failed``.
        sentence: Why it ended, and what came of it.
        stopped: Whether the user stopped it.
        saved: Path of the winner's checkpoint; empty if none was saved.
    """

    state: RunState
    sentence: str
    stopped: bool = False
    saved: str = ""
