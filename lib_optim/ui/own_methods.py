"""What became of the user's own method files, as JSON for the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lib_optim.merging.user_methods import load_user_methods

__all__ = ["own_methods"]


def own_methods(folder: Path, refresh: bool) -> dict[str, Any]:
    """Return the folder, and of each file in it its methods that can be used and its problems, as sentences.

    Args:
        folder: Where the files lie.
        refresh: Read changed files again (`lib_optim.merging.user_methods.load_user_methods`).
    """
    from lib_optim.merging.methods import excluded_methods

    files = load_user_methods(folder, refresh)
    excluded = excluded_methods()
    own = [
        {
            "file": file.path.name,
            "methods": [name for name in file.methods if name not in excluded],
            "problems": [file.problem] * bool(file.problem)
            + [f"{name} of {file.path.name}: {excluded[name]}" for name in file.methods if name in excluded],
        }
        for file in files
    ]
    return {"folder": str(folder), "files": own}
