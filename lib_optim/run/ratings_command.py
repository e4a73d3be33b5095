"""``python -m lib_optim ratings`` and ``taste``: what a person said of a run's images, and what is learned from it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import RunError
from lib_optim.run.folder import RunFolder, write_atomic
from lib_optim.run.ratings import FORMATS, ratings_of, ratings_text

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager

__all__ = ["add_ratings_parsers", "ratings_from", "taste_from"]


def add_ratings_parsers(commands: Any) -> None:
    """Add both subcommands to `commands`, as ``add_subparsers`` returns them."""
    ratings = commands.add_parser("ratings", help="write the ratings of a run as a table")
    ratings.add_argument("folder", help="name of the run folder")
    ratings.add_argument("--format", choices=FORMATS, default="csv")
    ratings.add_argument("--out", type=Path, default=None, help="the file to write (default: print)")
    ratings.set_defaults(command="ratings")
    taste = commands.add_parser("taste", help="learn a taste from the ratings of runs, for the judge My taste")
    taste.add_argument("folders", nargs="+", metavar="folder", help="names of run folders")
    taste.add_argument("--name", required=True, help="what the taste is called")
    taste.add_argument("--by", default="", help="how images are looked at: packaged or clip (default: clip if there)")
    taste.set_defaults(command="taste")


def ratings_from(manager: RunManager, options: argparse.Namespace) -> str:
    """Return the table, or where it was written.

    Raises:
        StoreError: The run cannot be read, or the file not written.
    """
    text = ratings_text(ratings_of(RunFolder.open(manager.outputs, options.folder)), options.format)
    if options.out is None:
        return text.rstrip("\n")
    write_atomic(options.out, text)
    return str(options.out)


def taste_from(manager: RunManager, options: argparse.Namespace) -> str:
    """Learn and save; return what to print.

    Raises:
        RunError: Too few ratings, or the name is taken.
        OptimError: A run cannot be read, or nothing can be learned.
    """
    from lib_optim.run.taste_training import train_taste
    from lib_optim.scoring.taste_file import taste_path, write_taste

    path = taste_path(options.name, manager.scorers_dir)
    if path.exists():
        raise RunError(f"A taste called {path.stem} is saved, and runs may use it; choose another name.")
    folders = [RunFolder.open(manager.outputs, name) for name in dict.fromkeys(options.folders)]
    trained = train_taste(folders, manager.scorers_dir, options.by)
    write_taste(trained.taste, path)
    told = trained.taste.to_json()
    gone = f"; {trained.gone} rated images could not be read" if trained.gone else ""
    return (
        f"{path}\n{told['ratings']} ratings by {told['embedding']}; cross-validated rank correlation "
        f"{told['agreement']}{gone}"
    )
