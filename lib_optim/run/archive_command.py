"""``optim export`` and ``optim import``: runs as zip files on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lib_optim.plan.errors import RunError
from lib_optim.run.archive import export_run, import_run
from lib_optim.run.folder import RunFolder

__all__ = ["add_archive_parsers", "export_to", "import_from"]


def add_archive_parsers(commands: Any) -> None:
    """Add both commands to the program's."""
    export: argparse.ArgumentParser = commands.add_parser("export", help="write a run into a zip file")
    export.add_argument("folder", help="name of the run folder")
    export.add_argument("file", type=Path, nargs="?", default=None, help="the zip file (default: named after the run)")
    export.add_argument("--no-images", action="store_true", help="leave the images out")
    export.set_defaults(command="export")
    report: argparse.ArgumentParser = commands.add_parser("report", help="write a run as a web page of its own")
    report.add_argument("folder", help="name of the run folder")
    report.set_defaults(command="report")
    taken: argparse.ArgumentParser = commands.add_parser("import", help="take a run from a zip file")
    taken.add_argument("file", type=Path, help="a zip file that export wrote")
    taken.add_argument("--name", default="", help="of the run (default: as it was called)")
    taken.set_defaults(command="import")


def export_to(options: argparse.Namespace, outputs: Path) -> Path:
    """Write the zip file; return its path.

    Raises:
        StoreError: There is no such run.
        RunError: The file is there already, or cannot be written.
    """
    folder = RunFolder.open(outputs, options.folder)
    path = options.file or Path(f"{folder.name}.zip")
    try:
        with path.open("xb") as file:
            export_run(folder, file, not options.no_images)
    except FileExistsError as error:
        raise RunError(f"{path} is there already; choose another name.") from error
    except OSError as error:
        raise RunError(f"{path} can't be written: {error.strerror or error}.") from error
    except RunError:
        path.unlink(missing_ok=True)
        raise
    return path


def import_from(options: argparse.Namespace, outputs: Path) -> str:
    """Take a run in; return the name of its folder.

    Raises:
        RunError: It is no zip file of a run.
    """
    return import_run(options.file, outputs, options.name)
