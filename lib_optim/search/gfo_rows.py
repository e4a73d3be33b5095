"""The families that users know from Hyperactive, as data rows: gradient-free-optimizers has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lib_optim.plan.space import Space
from lib_optim.search.sampler_row import Package, SamplerOption, SamplerRow

if TYPE_CHECKING:
    import optuna

__all__ = ["GFO_ROWS", "LEAST_SCORES", "first_scores"]

_FAMILY = "gradient-free-optimizers"
_PACKAGE = Package("gradient_free_optimizers", '"gradient-free-optimizers>=1.13"', "ask_tell/__init__.py")
_MOST_DIMENSIONS = 31
LEAST_SCORES = 3
"""Scores before any of them begins; the first ones set the scale of all that follow."""


def _stepwise(kind: str) -> Callable[[int, Mapping[str, Any]], optuna.samplers.BaseSampler]:
    def build(seed: int, options: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
        from lib_optim.search.gfo import GfoSampler

        return GfoSampler(seed, kind, options)

    return build


def _model(kind: str) -> Callable[[int, Mapping[str, Any]], optuna.samplers.BaseSampler]:
    def build(seed: int, options: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
        from lib_optim.search.gfo import GfoModelSampler

        return GfoModelSampler(seed, kind, options)

    return build


def first_scores(kind: str, options: Mapping[str, Any], dimensions: int) -> int:
    """Return how many scores an optimiser needs before its first question: one per member, or per corner."""
    members = dimensions + 1 if kind == "DownhillSimplexOptimizer" else int(options.get("population", 0))
    return max(members, LEAST_SCORES)


def _too_many(space: Space, options: Mapping[str, Any], trials: int) -> str | None:
    del options, trials
    if len(space.parameters) <= _MOST_DIMENSIONS:
        return None
    return (
        f"This search takes at most {_MOST_DIMENSIONS} parameters, and the run has {len(space.parameters)}; group "
        "some blocks or choose another search."
    )


def _too_short(kind: str) -> Callable[[Space, Mapping[str, Any], int], str | None]:
    def refuses(space: Space, options: Mapping[str, Any], trials: int) -> str | None:
        first = first_scores(kind, options, len(space.parameters))
        if first < trials:
            return None
        return (
            f"This search begins after {first} scored trials, and the run has {trials}: all of them would be random; "
            "have more trials, a smaller population or fewer parameters."
        )

    return refuses


def _number(name: str, title: str, default: float, low: float, high: float, text: str) -> SamplerOption:
    return SamplerOption(name, type(default), default, low, high, text, title)


_LOCAL = (
    _number("epsilon", "Step", 0.03, 0.001, 0.5, "Size of a step, as a share of each range"),
    _number("n_neighbours", "Neighbours", 3, 1, 50, "Trials around a point before the next step is chosen"),
    SamplerOption("distribution", str, "normal", None, None, "How steps are drawn", "Distribution of steps",
                  ("normal", "laplace", "gumbel", "logistic")),
)  # fmt: skip
_RESTART = _number("rand_rest_p", "Random trials", 0.0, 0.0, 1.0, "Share of trials that are drawn anywhere")


def _population(default: int) -> SamplerOption:
    return _number("population", "Population", default, 2, 200, "Members; as many trials are scored before they move")


def _row(
    name: str, title: str, kind: str, note: str, *options: SamplerOption, model: bool = False
) -> SamplerRow:  # fmt: skip
    build = (_model if model else _stepwise)(kind)
    refuses = _too_many if model else _too_short(kind)
    return SamplerRow(f"gfo_{name}", title, note, options, build, (_PACKAGE,), refuses, _FAMILY)


GFO_ROWS = (
    _row("annealing", "Simulated annealing", "SimulatedAnnealingOptimizer",
         "Hill climbing that accepts worse points while it is hot (Kirkpatrick et al. 1983)",
         *_LOCAL,
         _number("annealing_rate", "Cooling", 0.97, 0.5, 0.9999, "Factor of the temperature per trial"),
         _number("start_temp", "Start temperature", 1.0, 0.001, 1000.0, "Higher: worse points are accepted longer")),
    _row("random_annealing", "Random annealing", "RandomAnnealingOptimizer",
         "Steps that begin large and cool down",
         *_LOCAL,
         _number("annealing_rate", "Cooling", 0.98, 0.5, 0.9999, "Factor of the step per trial"),
         _number("start_temp", "Start temperature", 10.0, 0.1, 100.0, "Factor of the first steps")),
    _row("hill", "Hill climbing (neighbours)", "HillClimbingOptimizer",
         "The best of some neighbours is the next point", *_LOCAL),
    _row("stochastic_hill", "Stochastic hill climbing", "StochasticHillClimbingOptimizer",
         "Hill climbing that sometimes accepts a worse point",
         *_LOCAL, _number("p_accept", "Acceptance", 0.5, 0.0, 1.0, "Chance to accept a worse point")),
    _row("repulsing_hill", "Repulsing hill climbing", "RepulsingHillClimbingOptimizer",
         "Hill climbing with a large step where nothing was better",
         *_LOCAL, _number("repulsion_factor", "Repulsion", 5.0, 1.0, 50.0, "Factor of that step")),
    _row("restart_hill", "Hill climbing with restarts", "RandomRestartHillClimbingOptimizer",
         "Hill climbing that begins anew somewhere else",
         *_LOCAL, _number("n_iter_restart", "Restart after", 10, 2, 1000, "Trials between two restarts")),
    _row("swarm", "Particle swarm", "ParticleSwarmOptimizer",
         "Particles that fly towards their own and the swarm's best (Kennedy and Eberhart 1995)",
         _population(10), _RESTART,
         _number("inertia", "Inertia", 0.5, 0.0, 2.0, "Share of its speed that a particle keeps"),
         _number("cognitive_weight", "Own best", 0.5, 0.0, 4.0, "Pull of a particle's own best"),
         _number("social_weight", "Swarm's best", 0.5, 0.0, 4.0, "Pull of the swarm's best")),
    _row("spiral", "Spiral", "SpiralOptimization",
         "Members that spiral into the best point (Tamura and Yasuda 2011)",
         _population(10), _RESTART, _number("decay_rate", "Decay", 0.99, 0.5, 1.2, "Factor of the radius per round")),
    _row("evolution", "Evolution strategy", "EvolutionStrategyOptimizer",
         "Mutation and crossover of a small population",
         _population(10), _RESTART,
         _number("mutation_rate", "Mutation", 0.7, 0.0, 1.0, "Share of children by mutation"),
         _number("crossover_rate", "Crossover", 0.3, 0.0, 1.0, "Share of children by crossover")),
    _row("differential", "Differential evolution", "DifferentialEvolutionOptimizer",
         "Moves by differences of members (Storn and Price 1997)",
         _population(10),
         _number("mutation_rate", "Mutation", 0.9, 0.0, 2.0, "Factor of the difference"),
         _number("crossover_rate", "Crossover", 0.9, 0.0, 1.0, "Chance of each parameter to take the difference")),
    _row("tempering", "Parallel tempering", "ParallelTemperingOptimizer",
         "Annealing at several temperatures that swap places (Swendsen and Wang 1986)",
         _population(5)),
    _row("pattern", "Pattern search", "PatternSearch",
         "A cross of points that shrinks where none of them is better (Hooke and Jeeves 1961)",
         _RESTART,
         _number("n_positions", "Points", 4, 1, 50, "Points of the pattern"),
         _number("pattern_size", "Size", 0.25, 0.01, 1.0, "First size of the pattern, as a share of each range"),
         _number("reduction", "Reduction", 0.9, 0.1, 0.99, "Factor of the size where nothing was better")),
    _row("simplex", "Downhill simplex", "DownhillSimplexOptimizer",
         "A simplex that crawls uphill (Nelder and Mead 1965); for few parameters",
         _number("alpha", "Reflection", 1.0, 0.1, 5.0, "How far the worst corner is reflected"),
         _number("gamma", "Expansion", 2.0, 1.1, 5.0, "How much further after a success"),
         _number("beta", "Contraction", 0.5, 0.05, 0.95, "How much nearer after a failure")),
    _row("powell", "Powell's method", "PowellsMethod",
         "One parameter after the other (Powell 1964)",
         _RESTART,
         _number("iters_p_dim", "Trials per parameter", 10, 2, 200, "Before the next parameter's turn"),
         SamplerOption("line_search", str, "grid", None, None, "How one parameter is searched", "Line search",
                       ("grid", "golden", "hill_climb"))),
    _row("direct", "DIRECT", "DirectAlgorithm",
         "Divides the space into ever smaller boxes (Jones et al. 1993); ignores the seed"),
    _row("lipschitz", "Lipschitz", "LipschitzOptimizer",
         "Where a bound on the slope leaves most room (Malherbe and Vayatis 2017)",
         _number("candidates", "Candidates", 2000, 10, 20000, "Points compared per suggestion"), model=True),
    _row("forest", "Forest", "ForestOptimizer",
         "A forest of trees with expected improvement",
         SamplerOption("tree_regressor", str, "extra_tree", None, None, "Kind of trees", "Trees",
                       ("extra_tree", "random_forest")),
         _number("n_estimators", "Number of trees", 100, 5, 1000, "More are slower"),
         _number("xi", "Exploration", 0.03, 0.0, 10.0, "Improvement that is expected at least"),
         _number("candidates", "Candidates", 2000, 10, 20000, "Points compared per suggestion"), model=True),
)  # fmt: skip
