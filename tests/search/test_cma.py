"""CMA-ES from the record: what its options change, and that replaying equals going on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import cmaes
import numpy as np
import pytest

from lib_optim.plan.bounds import Value, parse_bound
from lib_optim.plan.earlier import earlier_problems
from lib_optim.plan.run_plan import SamplerSpec
from lib_optim.plan.space import Space
from lib_optim.plan.starts import StartPoint
from lib_optim.search.record import derived_seed
from lib_optim.search.samplers import fit_problems
from lib_optim.search.study import Search
from tests.search.test_study import SD1, finished, make_space, new, run, score


def test_it_is_the_algorithm_of_the_cmaes_package() -> None:
    space, seed = make_space(3), 7
    ours = run(new(space, "cma", seed, variant="full", begin="middle", sigma=0.3, population=5), 20)
    theirs = cmaes.CMA(np.full(3, 0.5), 0.3, bounds=np.array([[0.0, 1.0]] * 3), population_size=5, n_max_resampling=30)
    batch = []
    for number, values in enumerate(ours):
        theirs.reseed_rng(derived_seed(seed, number))
        x = theirs.ask()
        assert list(values.values()) == pytest.approx(list(x), abs=1e-12)
        batch.append((x, -score(values)))
        if len(batch) == 5:
            theirs.tell(batch)
            batch = []


@pytest.mark.parametrize("variant", ["separable", "full", "margin", "adaptive"])
@pytest.mark.parametrize("text", ["0..1", "0..1 step 0.05"])
def test_every_variant_learns(variant: str, text: str) -> None:
    space = make_space(4, alpha=text)
    first, last = [], []
    for seed in range(4):
        points = [score(v) for v in run(new(space, "cma", seed, variant=variant, begin="middle", population=6), 42)]
        first.append(sum(points[:6]))
        last.append(sum(points[-6:]))
    assert sum(last) > sum(first) / 2


def test_the_variants_differ() -> None:
    space = make_space(4, alpha="0..1 step 0.25")
    runs = [
        run(new(space, "cma", 1, variant=variant, population=6), 20)
        for variant in ("separable", "full", "margin", "adaptive")
    ]
    assert all(a != b for i, a in enumerate(runs) for b in runs[:i])


def test_one_dimension_and_values_that_cannot_change_do_no_harm() -> None:
    bound = parse_bound("{0.5}")
    space = make_space(2)
    single = dataclasses.replace(space.parameters[1], bound=bound)
    for parameters in (space.parameters[:1], (space.parameters[0], single)):
        for variant in ("separable", "margin"):
            points = run(new(dataclasses.replace(space, parameters=parameters), "cma", variant=variant), 12)
            assert len({point["IN00_alpha"] for point in points}) == 12


def corner_first(begin: str, others: list[tuple[list[float], float]]) -> Mapping[str, Value]:
    search = new(make_space(2), "cma", begin=begin, sigma=0.02)
    for number, (point, value) in enumerate(others):
        values = dict(zip(("IN00_alpha", "IN01_alpha"), point, strict=True))
        search.add(finished(number, values, value, f"preset: {number}"))
    return search.suggest(len(others)).values


def test_it_begins_where_it_is_told() -> None:
    others = [([0.1, 0.1], 0.0), ([0.9, 0.2], 5.0), ([0.88, 0.22], 4.0), ([0.5, 0.9], -3.0)]
    near = {"best": (0.9, 0.2), "middle": (0.5, 0.5), "warm start": (0.89, 0.21)}
    for begin, (x, y) in near.items():
        reach = 0.4 if begin == "warm start" else 0.1
        assert math.dist(tuple(corner_first(begin, others).values()), (x, y)) < reach, begin
    assert corner_first("warm start", others) != corner_first("best", others)
    assert corner_first("best", []) == corner_first("middle", [])


def test_a_warm_start_learns_from_an_earlier_run_and_from_nothing_else() -> None:
    space = make_space(2)

    def at(name: str, x: float, y: float, score: float) -> StartPoint:
        return StartPoint(name, values={"IN00_alpha": x, "IN01_alpha": y}, score=score)

    good = [at(f"good {i}", 0.8 + i / 100, 0.2, 9.0 - i) for i in range(4)]
    poor = [at(f"poor {i}", 0.1, i / 20, -float(i)) for i in range(16)]
    other = [StartPoint("unknown", {"IN00": 0.5}), StartPoint("outside", values={"IN00_alpha": 3.0}, score=99.0)]

    def first(points: list[StartPoint]) -> Mapping[str, Value]:
        spec = SamplerSpec("cma", {"begin": "warm start", "variant": "full"}, (), earlier=tuple(points))
        assert not fit_problems(spec, space, 30)
        return Search(space, SD1, spec, 7).suggest(0).values

    near = first([*good, *poor])
    assert math.dist(tuple(near.values()), (0.81, 0.2)) < 0.35
    assert first([*good, *poor, *other]) == near
    assert first([]) != near


def test_what_cannot_be_learnt_from_is_refused() -> None:
    space = make_space(2)
    points = tuple(StartPoint(f"t{i}", {"IN00": 5.0}, score=1.0) for i in range(4))
    [problem] = earlier_problems(points, space, SD1)
    assert str(problem).startswith("Of 4 earlier trials, 0 fit the ranges of this run, and at least 3 are needed")
    for spec in (SamplerSpec("tpe", earlier=points), SamplerSpec("cma", earlier=points), SamplerSpec(earlier=points)):
        [problem] = fit_problems(spec, space, 30)
        assert str(problem).startswith("Only CMA-ES that begins with a warm start learns from earlier trials")


def test_what_it_begins_from_is_fixed_by_its_first_proposal() -> None:
    """Better trials of others that come later (a human's, another sampler's) do not move the past."""
    search = new(make_space(2), "cma", sigma=0.02)
    search.add(finished(0, {"IN00_alpha": 0.2, "IN01_alpha": 0.2}, 1.0, "preset: a"))
    mine = search.suggest(1)
    search.add(finished(1, mine.values, 0.5, mine.origin))
    before = search.suggest(3).values
    search.add(finished(2, {"IN00_alpha": 0.9, "IN01_alpha": 0.9}, 9.0, "preset: b"))
    assert search.suggest(3).values == before


def flat(space: Space, trials: int, **options: Any) -> list[Mapping[str, Value]]:
    """Scores that are all the same: CMA-ES ends after some generations."""
    search = Search(space, *arguments(options))
    rng = np.random.default_rng(3)
    points = []
    for number in range(trials):
        point = dict(zip([p.name for p in space.parameters], rng.random(len(space.parameters)).tolist(), strict=True))
        search.add(finished(number, point, 1.0, "sampler: cma"))
    for number in range(trials, trials + 8):
        suggestion = search.suggest(number)
        points.append(suggestion.values)
        search.add(finished(number, suggestion.values, 1.0, suggestion.origin))
    return points


def arguments(options: Mapping[str, Any]) -> tuple[Any, ...]:
    from lib_optim.plan.run_plan import SamplerSpec
    from tests.search.test_study import SD1

    return SD1, SamplerSpec("cma", {"population": 4, "variant": "full", **options}, ()), 7


def test_restarts_happen_after_convergence_and_differ_by_kind_and_growth() -> None:
    space, trials = make_space(1), 4 * 40
    none = flat(space, trials)
    ipop, bipop = (flat(space, trials, restarts=kind) for kind in ("IPOP", "BIPOP"))
    assert none != ipop
    assert ipop != bipop
    assert flat(space, trials, restarts="IPOP", growth=3) != ipop
    assert flat(space, 20, restarts="IPOP") == flat(space, 20), "no restart before convergence"


def test_120_trials_are_replayed_fast() -> None:
    import time

    space = make_space(12)
    search = new(space, "cma")
    for number, point in enumerate(np.random.default_rng(1).random((120, 12)).tolist()):
        values = dict(zip([p.name for p in space.parameters], point, strict=True))
        search.add(finished(number, values, score(values), "sampler: cma"))
    search.suggest(120)
    began = time.process_time()
    search.suggest(121)
    assert time.process_time() - began < 0.5
