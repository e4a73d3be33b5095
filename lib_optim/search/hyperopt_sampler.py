"""The package hyperopt, handed the scores anew each time: its TPE, and the adaptive one."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Mapping
from typing import Any

from lib_optim.plan.bounds import Value
from lib_optim.search.apart import apart
from lib_optim.search.cube import Cube
from lib_optim.search.record import Record
from lib_optim.search.recorded_sampler import RecordedSampler

__all__ = ["HyperoptSampler"]

_SEEDS = 2**31 - 1
_NOW = dt.datetime(2000, 1, 1, tzinfo=dt.timezone.utc)  # the adaptive one asks how long a trial took


class HyperoptSampler(RecordedSampler):
    """hyperopt over the unit cube; steps, switches and choices by the number of their cell.

    Args:
        seed: Of this suggestion.
        adaptive: ATPE (its settings predicted from the history), not TPE.
        options: TPE's.
    """

    def __init__(self, seed: int, adaptive: bool, options: Mapping[str, Any]) -> None:
        super().__init__(seed)
        self._adaptive, self._options = adaptive, options

    def propose(self, record: Record) -> dict[str, Value]:
        """Return hyperopt's suggestion."""
        from hyperopt import Trials, hp
        from hyperopt.base import Domain

        cube = Cube(record.parameters)
        names = [f"x{i:04d}" for i in range(len(cube))]
        space = {
            name: hp.uniform(name, 0.0, 1.0) if cells is None else hp.quniform(name, -0.5, cells - 0.5, 1)
            for name, cells in zip(names, cube.cells, strict=True)
        }
        with apart(self.seed):
            domain = Domain(lambda values: 0.0, space)
            trials = Trials()
            docs = []
            for tid, (trial, value) in enumerate(record.scored()):
                point = cube.point(trial.values)
                said = [
                    u if cells is None else float(int(u * cells)) for u, cells in zip(point, cube.cells, strict=True)
                ]
                docs.append(_document(tid, dict(zip(names, said, strict=True)), -value, domain.cmd))
            trials.insert_trial_docs(docs)
            trials.refresh()
            [document] = self._suggest([len(docs)], domain, trials, self.seed % _SEEDS)
        asked = [document["misc"]["vals"][name][0] for name in names]
        return cube.values(
            [
                u if cells is None else (min(max(round(u), 0), cells - 1) + 0.5) / cells
                for u, cells in zip(asked, cube.cells, strict=True)
            ]
        )

    @property
    def _suggest(self) -> Any:
        if self._adaptive:
            from hyperopt import atpe

            return atpe.suggest
        from hyperopt import tpe

        return functools.partial(tpe.suggest, verbose=False, **self._options)


def _document(tid: int, values: Mapping[str, float], loss: float, command: Any) -> dict[str, Any]:
    """Return a finished trial in hyperopt's form."""
    misc = {
        "tid": tid, "cmd": command, "workdir": None,
        "idxs": {name: [tid] for name in values}, "vals": {name: [value] for name, value in values.items()},
    }  # fmt: skip
    return {
        "tid": tid, "state": 2, "spec": None, "result": {"status": "ok", "loss": loss}, "misc": misc, "exp_key": None,
        "owner": None, "version": 0, "book_time": _NOW, "refresh_time": _NOW,
    }  # fmt: skip
