"""A run that has ended, opened for what a person says of its images: no worker, no merge, no image.

Held for one click: the folder's lock keeps other processes away, the record gets the rating, and everything that
follows from it (the trial's value, the best, the verdict, ``trials.csv`` and ``best.mecha``) is brought up to date as
in a run that goes on. A later resume searches on from the new values.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from lib_optim.hosts.base import Host
from lib_optim.plan.errors import RunError
from lib_optim.run.context import RunContext
from lib_optim.run.folder import RunFolder
from lib_optim.run.hearing import Hearing
from lib_optim.run.recorded import recorded_run
from lib_optim.run.store import Store
from lib_optim.run.view import RunView

__all__ = ["ended_run"]


@contextlib.contextmanager
def ended_run(host: Host, scorers_dir: Path, name: str, view: RunView) -> Iterator[Hearing]:
    """Yield what takes what people say of the run in folder `name`, which nobody runs.

    Args:
        host: Whose models the recipe of the best is written with.
        scorers_dir: Weights of scorers.
        name: The folder.
        view: Where the run is on show, or a view that nobody sees.

    Raises:
        RunError: It is going on in another process, or it takes part in a shared study.
        StoreError: There is no such run, or its files cannot be read.
        PlanError: Its models cannot be merged any more.
    """
    resolved = recorded_run(host, scorers_dir, name).resolved
    if resolved.plan.shared.url:
        raise RunError(
            "This run takes part in a shared study, which has taken its scores; resume it to rate its images."
        )
    folder = RunFolder.open(host.paths().outputs, name)
    with folder.locked(), contextlib.closing(Store(folder.record())) as store:
        if not store.trials():
            raise RunError(f"The run {name} has made no trial yet.")
        context = RunContext(resolved, folder, store, host, view, scorers_dir)
        try:
            context.open_merger(resolved)
            context.show()
            context.history.open()
            context.history.rest()
            yield context.hearing
        finally:
            context.close_merger()
            context.book.automatic.close()
