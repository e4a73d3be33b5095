"""The files that a run keeps up to date for people: ``trials.csv`` and ``best.mecha``. Copies of the record."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from lib_optim.merging.merger import Recipe
from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import StoreError
from lib_optim.plan.records import Score, Trial
from lib_optim.run.check import Resolved
from lib_optim.run.folder import RunFolder, write_atomic
from lib_optim.run.passes import Passes
from lib_optim.run.results import TrialTable
from lib_optim.run.view import RunView

__all__ = ["RunFiles"]

_log = logging.getLogger(__name__)


class RunFiles:
    """Used under the history's guard.

    Args:
        resolved: The plan.
        folder: Where they go.
        scores: Returns the scores of a trial.
        view: Which trial is the best, and where errors are shown.
        passes: The passes.
        recipe: Returns the recipe of one point of the space.
    """

    def __init__(
        self,
        resolved: Resolved,
        folder: RunFolder,
        scores: Callable[[int], list[Score]],
        view: RunView,
        passes: Passes,
        recipe: Callable[[Mapping[str, Value]], Recipe],
    ) -> None:
        self._resolved, self._folder, self._scores, self._view = resolved, folder, scores, view
        self._passes, self._recipe = passes, recipe
        self._best: tuple[int, Mapping[str, Value]] | None = None
        self.renew()

    def renew(self) -> None:
        """Have the table written anew: a new pass may have other scorers, and so other columns."""
        scorers = [spec.key for run_pass in self._passes.all for spec in run_pass.record.scorers]
        scorers += [spec.key for spec in self._resolved.plan.verify.scorers]
        axes = dict.fromkeys(axis for run_pass in self._passes.all for axis in run_pass.record.axes)
        names = [parameter.name for parameter in self._resolved.space.parameters]
        self._table = TrialTable(self._folder.trials_csv, names, list(dict.fromkeys(scorers)), list(axes))
        self._tabled: set[int] | None = None

    def update(self, ended: Mapping[int, Trial], changed: int | None) -> None:
        """Bring both up to date. What goes wrong here ends no run.

        Args:
            ended: The trials that have ended, by number.
            changed: The one that ended last or has a new value; None for all.
        """
        try:
            if changed is None or self._tabled is None or changed in self._tabled or changed not in ended:
                self._tabled = None
                self._table.rewrite([self._row(trial) for trial in ended.values()])
                self._tabled = set(ended)
            else:
                self._table.append(*self._row(ended[changed]))
                self._tabled.add(changed)
            best = self._view.best
            if best is None:
                self._folder.best_recipe.unlink(missing_ok=True)
                self._best = None
            elif self._best != (best.number, best.values):
                write_atomic(self._folder.best_recipe, self._recipe(best.values).text)
                self._best = (best.number, best.values)
        except (StoreError, OSError) as error:
            self._tabled = None
            _log.warning("A file of the run was not written: %s", error)
            self._view.error(f"{error} The run goes on; run.db has everything.")

    def _row(self, trial: Trial) -> tuple[Trial, str, list[Score]]:
        return trial, self._passes.of(trial).label, self._scores(trial.number)
