"""What became of the user's own scorer files, as JSON for the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lib_optim.scoring.user_scorers import load_user_scorers

__all__ = ["own_scorers"]


def own_scorers(folder: Path, refresh: bool) -> dict[str, Any]:
    """Return the folder, and of each file in it the scorer it gave and its problem, as a sentence.

    Args:
        folder: Where the files lie.
        refresh: Read changed files again (`lib_optim.scoring.user_scorers.load_user_scorers`).
    """
    files = [
        {"file": file.path.name, "scorer": file.row.title if file.row else "", "problem": file.problem}
        for file in load_user_scorers(folder, refresh)
    ]
    return {"folder": str(folder), "files": files}
