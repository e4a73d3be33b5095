"""Hill climbing around the best: change a few parameters of the best merge so far, by steps that adapt."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from lib_optim.plan.bounds import Bound, Value
from lib_optim.search.cube import Cube, cells_of, is_unordered
from lib_optim.search.record import Record, score_of
from lib_optim.search.recorded_sampler import RecordedSampler

__all__ = ["HillClimbingSampler"]

_LARGER, _SMALLER = 1.5, 0.86  # one success in about four tries keeps the step: Rechenberg's rule (1973)
_LEAST, _MOST = 0.005, 0.5
_TRIES = 50


class HillClimbingSampler(RecordedSampler):
    """Moves from the best known point, whoever proposed it.

    The step is a share of each range. With `adapt` it grows when one of our proposals beat everything before it,
    and shrinks when it did not; a failed trial changes nothing. A step too small to leave a cell of a parameter in
    steps moves to the neighbouring one; a switch or a choice takes another value.
    """

    def __init__(self, seed: int, options: Mapping[str, Any]) -> None:
        super().__init__(seed)
        self._step, self._change = options["step"], options["change"]
        self._adapt = options["adapt"]

    def propose(self, record: Record) -> dict[str, Value] | None:
        """Return a neighbour of the best that was not tried before, or None while nothing is scored."""
        scored = list(record.scored())
        if not scored:
            return None
        best = max(scored, key=lambda pair: pair[1])[0]
        cube, drawn = Cube(record.parameters), random.Random(self.seed)
        centre, step = cube.point(best.values), self._step_now(record)
        tried = [dict(trial.values) for trial in record.trials]
        for _ in range(_TRIES):
            values = cube.values(self._neighbour(centre, step, record, drawn))
            if values not in tried:
                return values
        return None

    def _step_now(self, record: Record) -> float:
        step, best = float(self._step), float("-inf")
        for trial in record.trials if self._adapt else ():
            value = score_of(trial)
            if value is None or trial.number >= record.number:
                continue
            if trial.origin == record.origin and best > float("-inf"):
                step = min(max(step * (_LARGER if value > best else _SMALLER), _LEAST), _MOST)
            best = max(best, value)
        return step

    def _neighbour(self, centre: list[float], step: float, record: Record, drawn: random.Random) -> list[float]:
        moved = [drawn.random() < self._change for _ in centre]
        if not any(moved):
            moved[drawn.randrange(len(centre))] = True
        return [
            _moved(u, step, parameter.bound, drawn) if move else u
            for u, move, parameter in zip(centre, moved, record.parameters, strict=True)
        ]


def _moved(u: float, step: float, bound: Bound, drawn: random.Random) -> float:
    """Return another coordinate about `step` away, folded back at the ends; anywhere, where there is no order."""
    if is_unordered(bound):
        return drawn.random()
    by, cells = drawn.gauss(0.0, step), cells_of(bound)
    if cells is not None and cells > 1 and abs(by) * cells < 1:
        by = (1 if by > 0 else -1) / cells
    moved = u + by
    moved = -moved if moved < 0 else 2 - moved if moved > 1 else moved
    return min(max(moved, 0.0), 1.0)
