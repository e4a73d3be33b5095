"""Our own sampler: its mathematics against finite differences, its promises against awkward histories."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from lib_optim.plan.blocks import block_map
from lib_optim.search import optim_model, optim_sampler
from lib_optim.search.depths import DEPTHS, depths_of
from lib_optim.search.optim_columns import Columns
from lib_optim.search.optim_kernel import Features, Kernel, prior
from lib_optim.search.optim_model import Axes, Model, fit
from lib_optim.search.optim_sampler import OptimSampler
from tests.search.test_study import make_space

DIMS = 5
ALIKE = Kernel.neighbours(np.array(["a", "a", "a", "b", "b"]), np.array([0.0, 0.1, 0.9, 0.0, 0.1]))
FLOATS: dict[str, BaseDistribution] = {f"x{i}": FloatDistribution(0, 1) for i in range(DIMS)}
MIXED: dict[str, BaseDistribution] = {
    "float": FloatDistribution(-1, 3),
    "log": FloatDistribution(1e-4, 1, log=True),
    "step": FloatDistribution(0, 1, step=0.25),
    "int": IntDistribution(1, 40),
    "many": IntDistribution(2, 64, log=True),
    "bool": CategoricalDistribution((False, True)),
    "choice": CategoricalDistribution(("a", "b", "c")),
    "fixed": FloatDistribution(0.5, 0.5),
}


def data(n: int = 14, dims: int = DIMS) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    points = rng.uniform(size=(n, dims))
    return points, -((points[:, 0] - 0.3) ** 2) + 0.05 * rng.standard_normal(n)


def a_theta(dims: int = DIMS) -> Any:
    return prior(dims, smooth=True)[0] + 0.3 * np.random.default_rng(1).standard_normal(dims + 6)


def study_of(
    space: dict[str, BaseDistribution], rows: list[tuple[dict[str, Any], float | None]], seed: int = 0, **options: Any
) -> optuna.Study:
    direction = options.pop("direction", "maximize")
    study = optuna.create_study(direction=direction, sampler=OptimSampler(seed, **options))
    for values, score in rows:
        state = TrialState.FAIL if score is None else TrialState.COMPLETE
        study.add_trial(create_trial(state=state, params=values, distributions=space, value=score))
    return study


def rows_of(n: int, space: dict[str, BaseDistribution] = FLOATS) -> list[tuple[dict[str, Any], float | None]]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    drawn = [study.ask(space).params for _ in range(n)]
    return [(values, -((float(next(iter(values.values()))) - 0.3) ** 2)) for values in drawn]


def test_the_gradient_of_the_evidence() -> None:
    points, scores = data()
    features, y, theta = Features.of(points), optim_model.standardised(scores), a_theta()
    _, gradient = optim_model._evidence(theta, features, y, ALIKE)
    for i, step in enumerate(np.eye(len(theta)) * 1e-5):
        up, down = (optim_model._evidence(theta + s * step, features, y, ALIKE)[0] for s in (1, -1))
        assert gradient[i] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-6)


def test_a_draw_has_the_right_gradient_and_spread() -> None:
    points, scores = data()
    model = Model(points, scores, Axes(ALIKE), a_theta())
    at = np.random.default_rng(5).uniform(size=(3, DIMS))
    function = model.draw(np.random.default_rng(2), 0.7)
    _, gradient = function(at)
    for i, step in enumerate(np.eye(DIMS) * 1e-5):
        assert gradient[:, i] == pytest.approx((function(at + step)[0] - function(at - step)[0]) / 2e-5, abs=1e-5)
    assert model.draw(np.random.default_rng(2), 0.0)(at)[0] == pytest.approx(model.mean(at))
    draws = np.array([model.draw(np.random.default_rng(i), 1.0)(at)[0] for i in range(600)])
    seen, kernel = Features.of(points), model.kernel
    cross = kernel.between(Features.of(at), seen)
    full = kernel.between(seen, seen) + kernel.noise * np.eye(len(points))
    variance = np.diag(kernel.between(Features.of(at), Features.of(at)) - cross @ np.linalg.solve(full, cross.T))
    assert draws.mean(0) == pytest.approx(model.mean(at), abs=0.12)
    assert draws.std(0) == pytest.approx(np.sqrt(variance), rel=0.15)


def test_fitting_finds_the_axis_that_matters() -> None:
    points, scores = data(40, 12)
    theta = fit(points, scores, Axes(np.eye(12)), None, 60)
    assert np.argmax(theta[:12]) == 0
    assert theta[0] > np.delete(theta[:12], 0).max() + 1


def test_it_beats_random_draws_on_a_bowl() -> None:
    optimum = np.linspace(0.2, 0.8, 8)
    space: dict[str, BaseDistribution] = {f"x{i}": FloatDistribution(0, 1) for i in range(8)}

    def best(sampler: optuna.samplers.BaseSampler) -> float:
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for _ in range(30):
            trial = study.ask(space)
            study.tell(trial, -float(((np.array([*trial.params.values()]) - optimum) ** 2).sum()))
        return study.best_value

    ours = [best(OptimSampler(seed)) for seed in range(3)]
    drawn = [best(optuna.samplers.RandomSampler(seed=seed)) for seed in range(3)]
    assert max(ours) > -0.05
    assert min(ours) > max(drawn)


def test_the_history_alone_decides() -> None:
    rows = rows_of(17)
    first = study_of(FLOATS, rows).ask(FLOATS).params
    assert study_of(FLOATS, rows).ask(FLOATS).params == first
    optim_sampler._cache.clear()
    assert study_of(FLOATS, rows).ask(FLOATS).params == first
    assert study_of(FLOATS, rows, seed=1).ask(FLOATS).params != first
    changed = [*rows[:3], (rows[3][0], 5.0), *rows[4:]]
    assert study_of(FLOATS, changed).ask(FLOATS).params != first


def test_minimising_is_maximising_the_negative() -> None:
    rows = rows_of(15)
    negative = [(values, -float(score or 0)) for values, score in rows]
    up = study_of(FLOATS, rows).ask(FLOATS).params
    assert study_of(FLOATS, negative, direction="minimize").ask(FLOATS).params == up


@pytest.mark.parametrize(
    "scores",
    [
        [0.5] * 16, [1e300] * 15 + [-1e300], [1e-300 * i for i in range(16)], [0.0] * 15 + [1.0],
        [None if i % 3 else 0.1 * i for i in range(40)],
    ],
    ids=["constant", "huge", "tiny", "one", "failures"],
)  # fmt: skip
def test_awkward_scores(scores: list[float | None]) -> None:
    rows = [(values, score) for (values, _), score in zip(rows_of(len(scores)), scores, strict=True)]
    params = study_of(FLOATS, rows).ask(FLOATS).params
    assert all(math.isfinite(value) and 0 <= value <= 1 for value in params.values())


def test_the_same_point_many_times() -> None:
    values = rows_of(1)[0][0]
    params = study_of(FLOATS, [(values, 0.1 * (i % 2)) for i in range(14)]).ask(FLOATS).params
    assert params != values


@pytest.mark.parametrize("n", [0, 1, 5, 10, 25])
def test_every_kind_of_parameter_gets_a_value_it_can_have(n: int) -> None:
    params = study_of(MIXED, rows_of(n, MIXED)).ask(MIXED).params
    assert params.keys() == MIXED.keys()
    for name, row in MIXED.items():
        assert row._contains(row.to_internal_repr(params[name])), (name, params[name])
    assert type(params["int"]) is int
    assert params["step"] in (0, 0.25, 0.5, 0.75, 1)


def test_a_round_trip_through_the_columns() -> None:
    columns = Columns(MIXED, {})
    assert columns.width == len(columns.frozen) == 6 + 2 + 3
    for values, _ in rows_of(30, MIXED):
        point = columns.encode([values])
        assert columns.snap(point) == pytest.approx(point)
        again = columns.decode(point[0])
        assert again == {
            name: pytest.approx(value) if isinstance(value, float) else value for name, value in values.items()
        }
    frozen = [bool(columns.frozen[columns._groups[name][0]]) for name in MIXED]
    assert frozen == [False, False, True, False, False, True, True, False]


def test_no_point_is_tried_twice_while_others_are_left() -> None:
    space: dict[str, BaseDistribution] = {"a": IntDistribution(0, 3), "b": CategoricalDistribution(("x", "y"))}
    rows: list[tuple[dict[str, Any], float | None]] = []
    for number in range(8):
        params = study_of(space, rows, seed=number, n_startup_trials=1).ask(space).params
        rows.append((params, float(params["a"])))
    assert len({tuple(values.items()) for values, _ in rows}) == 8
    assert study_of(space, rows).ask(space).params in [values for values, _ in rows]


def test_the_start_points_are_spread_and_do_not_repeat_after_failures() -> None:
    rows: list[tuple[dict[str, Any], float | None]] = []
    for number in range(6):
        rows.append((study_of(FLOATS, rows, seed=number).ask(FLOATS).params, None))
    assert all(0.4 <= value <= 0.6 for value in rows[0][0].values())
    points = np.array([[*values.values()] for values, _ in rows])
    assert len(np.unique(points.round(6), axis=0)) == 6
    assert (points[1:].max(0) - points[1:].min(0)).min() > 0.4


def test_depths_follow_the_block_map_and_kinds_stay_apart() -> None:
    space = make_space(4)
    depths = depths_of(space, block_map("sd1"))
    places = [depths[p.name][1] for p in space.parameters]
    assert places == sorted(places)
    assert len(set(places)) == 4
    assert all(0 <= place <= 1 for place in places)
    assert len({kind for kind, _ in depths.values()}) == 1
    near = Columns(FLOATS, {name: ("a" if i < 3 else "b", i / 4) for i, name in enumerate(FLOATS)}).neighbours
    assert near[0, 1] > near[0, 2] > near[0, 3] == 0


def test_depths_given_with_the_study_are_used() -> None:
    rows = rows_of(16)
    study, other = study_of(FLOATS, rows), study_of(FLOATS, rows)
    other.set_user_attr(DEPTHS, {name: (name, 0.0) for name in FLOATS})
    assert study.ask(FLOATS).params != other.ask(FLOATS).params


def test_of_very_many_trials_the_best_and_the_latest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optim_sampler, "_MOST", 6)
    scores = np.array([9.0, 8, 7, 0, 0, 0, 0, 1, 1, 1])
    assert optim_sampler._kept(scores).tolist() == [0, 1, 2, 7, 8, 9]
    assert optim_sampler._kept(np.arange(10.0)).tolist() == [4, 5, 6, 7, 8, 9]
    assert optim_sampler._kept(np.zeros(6)).tolist() == list(range(6))
    params = study_of(FLOATS, rows_of(30)).ask(FLOATS).params
    assert all(0 <= value <= 1 for value in params.values())


def test_fits_grow_rarer_as_trials_add_up() -> None:
    stages = optim_sampler._stages(10, 600)
    steps = np.diff(stages)
    assert stages[:4] == [10, 13, 16, 19]
    assert (np.diff(steps) >= 0).all()
    assert steps[-1] > 10
    assert optim_sampler._stages(10, 599) == [stage for stage in stages if stage <= 599]
    assert optim_sampler._stages(1, 1) == [1]
