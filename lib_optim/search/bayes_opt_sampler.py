"""The package bayesian-optimization, built anew from the scores: GP-UCB, EI, PI, and the reduction of the domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_optim.plan.bounds import Value
from lib_optim.search.apart import apart
from lib_optim.search.cube import Cube
from lib_optim.search.record import Record
from lib_optim.search.recorded_sampler import RecordedSampler

__all__ = ["BayesOptSampler"]

_RANDOM, _SMART = 5000, 3  # points at which the acquisition is looked at, and from how many it is climbed


class BayesOptSampler(RecordedSampler):
    """A Gaussian process over the unit cube; parameters in steps and choices are rounded to their cells."""

    def __init__(self, seed: int, options: Mapping[str, Any]) -> None:
        super().__init__(seed)
        self._options = options

    def propose(self, record: Record) -> dict[str, Value] | None:
        """Return where the acquisition is largest, or None before there are enough scores."""
        from bayes_opt import BayesianOptimization

        cube, scored = Cube(record.parameters), list(record.scored())
        if len(scored) < self._options["n_startup_trials"]:
            return None
        names = [f"x{i:04d}" for i in range(len(cube))]
        points = [dict(zip(names, cube.point(trial.values), strict=True)) for trial, _ in scored]
        with apart():
            optimiser = BayesianOptimization(
                None,
                dict.fromkeys(names, (0.0, 1.0)),
                acquisition_function=self._acquisition(len(scored)),
                random_state=self.seed,
                verbose=0,
                allow_duplicate_points=True,
            )
            optimiser.set_gp_params(alpha=self._options["noise"])
            window = self._registered(optimiser, points, [value for _, value in scored])
            if window is not None:
                optimiser.set_bounds(window)
            # The package's own `suggest` looks at 10000 points and climbs from ten: seconds in many dimensions.
            found = optimiser.acquisition_function.suggest(
                optimiser._gp, optimiser.space, _RANDOM, _SMART, random_state=optimiser._random_state
            )
        asked = optimiser.space.array_to_params(found)
        return cube.values([asked[name] for name in names])

    def _acquisition(self, scores: int) -> Any:
        """Return the acquisition with its exploration as it is after so many scores: the package decays a live one."""
        from bayes_opt import acquisition

        beyond = max(0, scores - self._options["n_startup_trials"] - self._options["decay_delay"])
        left = self._options["decay"] ** beyond
        if self._options["acquisition"] == "UCB":
            return acquisition.UpperConfidenceBound(kappa=self._options["kappa"] * left)
        kind = {"EI": acquisition.ExpectedImprovement, "PI": acquisition.ProbabilityOfImprovement}
        return kind[self._options["acquisition"]](xi=self._options["xi"] * left)

    def _registered(self, optimiser: Any, points: list[dict[str, float]], scores: list[float]) -> Any:
        """Register everything; return the window of the sequential domain reduction (Stander and Craig 2002)."""
        from bayes_opt import SequentialDomainReductionTransformer

        window, reduction = None, None
        if self._options["domain_reduction"]:
            names = ("gamma_osc", "gamma_pan", "eta", "minimum_window")
            reduction = SequentialDomainReductionTransformer(**{name: self._options[name] for name in names})
            reduction.initialize(optimiser.space)
        for number, (point, score) in enumerate(zip(points, scores, strict=True), 1):
            optimiser.register(point, score)
            if reduction is not None and number >= self._options["n_startup_trials"]:
                window = reduction.transform(optimiser.space)
        return window
