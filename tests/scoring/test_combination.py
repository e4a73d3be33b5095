"""The combination is monotone in each score and does not depend on order, for every mean, scale, weight and filter."""

from __future__ import annotations

import dataclasses
import math
import statistics
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_optim.plan.calibration import Calibration, CalibrationRow
from lib_optim.plan.combining import AS_BEFORE, Combining, Mean, combining_problems
from lib_optim.plan.errors import ScorerError
from lib_optim.plan.payload import Payload, jobs_of
from lib_optim.plan.run_plan import RunPlan
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring import combine
from lib_optim.scoring.calibration import calibrated, calibration_row, silent
from lib_optim.scoring.combine import Combination, bent, trial_value
from lib_optim.scoring.means import mean_of
from lib_optim.scoring.registry import scorer_row
from tests.rig import make_plan

MEANS: tuple[Mean, ...] = get_args(Mean)
IDS = ("imagereward", "clipscore", "technical", "similarity", "manual", "demo")
NAMES = ("cat", "cat 2", "dog")
raws = st.floats(-100, 100)
weights = st.floats(0.01, 100)
REAL = scorer_row
LOWER = dataclasses.replace(scorer_row("demo"), typical=(1.0, 0.2))


@pytest.fixture(autouse=True)
def _one_whose_lower_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(combine, "scorer_row", lambda id_: LOWER if id_ == "demo" else REAL(id_))


@st.composite
def trials(draw: Any) -> dict[str, Any]:
    ids = draw(st.lists(st.sampled_from(IDS), min_size=1, unique=True))
    everywhere = draw(st.sampled_from(ids))  # a payload that counts needs a judge
    filters = st.lists(st.sampled_from(["cat", "CAT*", "dog", "*"]), max_size=2).map(tuple)
    specs = [ScorerSpec(id_, weight=draw(weights), payloads=() if id_ == everywhere else draw(filters)) for id_ in ids]
    jobs = jobs_of(
        tuple(Payload(name, seed=1, batch_size=draw(st.integers(1, 3)), score_weight=draw(weights)) for name in NAMES)
    )
    how = Combining(
        draw(st.sampled_from(["auto", "calibrated", "typical"])), draw(st.sampled_from(MEANS)),
        draw(st.sampled_from(MEANS)), draw(st.sampled_from([0.0, 0.25, 1.0])),
    )  # fmt: skip
    rows = [
        CalibrationRow(id_, name, draw(raws), draw(st.sampled_from([0.0, 0.01, 1.0])) if id_ != everywhere else 0.5, 9)
        for id_ in ids
        for name in NAMES
    ]
    calibration = Calibration(tuple(rows)) if draw(st.booleans()) else None
    raw = {job.index: {id_: draw(raws) for id_ in ids} for job in jobs}
    return {"raw": raw, "jobs": jobs, "specs": specs, "how": how, "calibration": calibration}


@given(trials(), st.data())
@settings(max_examples=200)
def test_a_better_score_never_makes_a_trial_worse(made: dict[str, Any], data: st.DataObject) -> None:
    before = trial_value(**made)
    index = data.draw(st.sampled_from(sorted(made["raw"])))
    spec = data.draw(st.sampled_from(made["specs"]))
    by = data.draw(st.floats(0, 50)) * (-1 if spec.id == "demo" else 1)
    better = {**made["raw"], index: {**made["raw"][index], spec.key: made["raw"][index][spec.key] + by}}
    after = trial_value(**{**made, "raw": better})
    assert after >= before - 1e-9 * max(1.0, abs(before))


@given(trials(), st.data())
def test_neither_the_order_of_judges_nor_of_images_matters(made: dict[str, Any], data: st.DataObject) -> None:
    specs, jobs = data.draw(st.permutations(made["specs"])), data.draw(st.permutations(made["jobs"]))
    assert trial_value(**{**made, "specs": specs, "jobs": jobs}) == trial_value(**made)


@given(trials(), st.data())
def test_every_judge_and_image_that_counts_moves_the_mean(made: dict[str, Any], data: st.DataObject) -> None:
    """All of them better by much is better, by every mean and scale, strictly."""
    much = {i: {k: v + (-200 if k == "demo" else 200) for k, v in raw.items()} for i, raw in made["raw"].items()}
    assert trial_value(**{**made, "raw": much}) > trial_value(**made)


def test_a_judge_is_not_asked_about_payloads_that_it_does_not_judge() -> None:
    specs = [ScorerSpec("technical"), ScorerSpec("similarity", payloads=("DOG",))]
    jobs = jobs_of((Payload("cat"), Payload("dog")))
    good = scorer_row("technical").typical[1]
    raw = {0: {"technical": good}, 1: {"technical": good, "similarity": scorer_row("similarity").typical[0]}}
    assert trial_value(raw, jobs, specs) == pytest.approx((1 + 0.5) / 2)
    with pytest.raises(ScorerError, match="Image 2 of payload 'dog' has no score by similarity"):
        trial_value({0: raw[0], 1: raw[0]}, jobs, specs)
    with pytest.raises(ScorerError, match="No judge looks at"):
        trial_value(raw, jobs[:1], specs[1:])


# --- means ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0.05, 20), weights), min_size=1, max_size=6))
def test_above_the_floor_the_means_are_those_of_the_textbook(pairs: list[tuple[float, float]]) -> None:
    values, shares = [v for v, _ in pairs], [w for _, w in pairs]
    total = sum(shares)
    expected = {
        "arithmetic": sum(v * w for v, w in pairs) / total,
        "geometric": math.exp(sum(w * math.log(v) for v, w in pairs) / total),
        "harmonic": total / sum(w / v for v, w in pairs),
        "quadratic": math.sqrt(sum(w * v * v for v, w in pairs) / total),
        "min": min(values),
    }
    for kind, value in expected.items():
        assert mean_of(kind, values, shares) == pytest.approx(value, rel=1e-9)  # type: ignore[arg-type]


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=7))
def test_the_median_of_equal_weights_is_the_median(values: list[float]) -> None:
    assert mean_of("median", values, [1.0] * len(values)) == pytest.approx(statistics.median(values))


def test_the_median_goes_by_weight() -> None:
    assert mean_of("median", [0.0, 1.0, 2.0], [1.0, 1.0, 5.0]) == 2.0


@pytest.mark.parametrize("kind", MEANS)
def test_a_bad_image_lowers_every_mean_also_below_zero(kind: Mean) -> None:
    good = mean_of(kind, [0.8, 0.8], [1.0, 1.0])
    falling = [mean_of(kind, [0.8, bad], [1.0, 1.0]) for bad in (0.7, 0.3, 0.01, 0.0, -0.5, -8.0, -1e6)]
    steps = [good, *falling]
    assert steps == sorted(steps, reverse=True)
    assert all(math.isfinite(value) for value in steps)
    if kind != "quadratic":  # which looks at the better half: below the floor its worst number hardly counts
        assert len(set(steps)) == len(steps)


@pytest.mark.parametrize("kind", MEANS)
def test_equal_numbers_give_exactly_their_value_on_every_scale(kind: Mean) -> None:
    assert mean_of(kind, [-7.3, -7.3], [0.1, 3.0], -3.0, 3.0) == -7.3


def test_one_judge_keeps_its_own_numbers_under_every_mean() -> None:
    jobs = jobs_of((Payload("cat"), Payload("dog")))
    for kind in MEANS:
        value = trial_value(
            {0: {"manual": 6.0}, 1: {"manual": 8.0}}, jobs, [ScorerSpec("manual")], how=Combining(payload_mean=kind)
        )
        assert 6.0 <= value <= 8.0
    assert value == 6.0  # min is the last


# --- seeds ---------------------------------------------------------------------------------------------------------


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0, 1))
def test_two_seeds_lose_their_standard_deviation(a: float, b: float, share: float) -> None:
    jobs = jobs_of((Payload("cat", seed=1, batch_size=2),))
    value = trial_value({0: {"manual": a}, 1: {"manual": b}}, jobs, [ScorerSpec("manual")], how=Combining(spread=share))
    assert value == pytest.approx((a + b) / 2 - share * statistics.pstdev([a, b]), abs=1e-9)


def test_the_share_of_the_worst_seed_has_bounds() -> None:
    for share in (0.0, 0.5, 1.0):
        assert not list(combining_problems(Combining(spread=share)))
    for share in (-0.1, 1.1, math.nan, math.inf):
        assert [problem.where for problem in combining_problems(Combining(spread=share))] == ["combining.spread"]


# --- calibration ---------------------------------------------------------------------------------------------------


def test_the_middle_and_the_spread_are_robust() -> None:
    row = calibration_row("technical", "cat", [0.4, 0.5, 0.6, 0.5, 0.45, 0.55, -40.0])
    assert row.median == 0.5
    assert row.spread == pytest.approx(1.4826 * 0.05)
    assert row.n == 7


def test_where_half_is_equal_the_standard_deviation_is_taken_and_where_all_is_the_judge_says_nothing() -> None:
    scores = [0.0, 0.0, 0.0, 0.0, 1.0]
    assert calibration_row("technical", "cat", scores).spread == pytest.approx(statistics.pstdev(scores))
    found = calibrated({("technical", "cat"): [0.3] * 5, ("technical", "dog"): [0.1, 0.2, 0.4]}, range(5))
    assert [(row.scorer, row.payload) for row in silent(found)] == [("technical", "cat")]
    specs = [ScorerSpec("technical"), ScorerSpec("manual")]
    combination = Combination(specs, Combining(), found)
    assert [spec.id for spec, _ in combination.judges("cat")] == ["manual"]
    assert [spec.id for spec, _ in combination.judges("dog")] == ["technical", "manual"]
    assert combination.image({"technical": 0.9, "manual": 7.5}, "cat") == 1.0
    unknown = found.row("technical", "held out")
    assert unknown is not None
    assert unknown.spread == found.row("technical", "dog").spread  # type: ignore[union-attr]


def test_what_was_known_stands() -> None:
    first = calibrated({("technical", "cat"): [0.1, 0.2, 0.4]}, [0, 1, 2])
    second = calibrated({("technical", "cat"): [5.0, 6.0], ("demo", "cat"): [1.0, 0.5]}, [0, 1], first.rows)
    assert second.row("technical", "cat") == first.row("technical", "cat")
    assert second.row("demo", "cat") is not None
    assert Calibration.from_json(second.to_json()) == second


@given(st.floats(-1e6, 1e6), st.floats(0, 1e3))
def test_the_bend_is_strictly_increasing_and_straight_in_the_middle(z: float, by: float) -> None:
    assert bent(z + by) >= bent(z)
    if by > 1e-3 and abs(z) < 1e3:
        assert bent(z + by) > bent(z)
    assert bent(-z) == -bent(z)
    assert abs(bent(z)) <= abs(z)
    if abs(z) <= 3:
        assert bent(z) == z


def test_calibrated_scores_are_in_spreads_from_the_start_design() -> None:
    specs = [ScorerSpec("technical"), ScorerSpec("demo", weight=3.0)]
    rows = (CalibrationRow("technical", "cat", 0.5, 0.1, 9), CalibrationRow("demo", "cat", 0.6, 0.2, 9))
    combination = Combination(specs, Combining(), Calibration(rows))
    assert combination.image({"technical": 0.7, "demo": 0.6}, "cat") == pytest.approx(0.5)
    assert combination.image({"technical": 0.5, "demo": 0.4}, "cat") == pytest.approx(0.75)  # lower is better
    provisional = Combination(specs, Combining()).image({"technical": 0.9, "demo": 0.2}, "cat")
    assert provisional == pytest.approx(1.0)


def test_one_judge_is_calibrated_only_when_asked() -> None:
    calibration = Calibration((CalibrationRow("technical", "cat", 0.5, 0.1, 9),))
    specs = [ScorerSpec("technical")]
    assert Combination(specs, Combining(), calibration).image({"technical": 0.8}, "cat") == 0.8
    asked = Combination(specs, Combining(scale="calibrated"), calibration)
    assert asked.image({"technical": 0.8}, "cat") == pytest.approx(3.0)
    typical = Combination([*specs, ScorerSpec("manual")], Combining(scale="typical"), calibration)
    assert typical.image({"technical": 0.9, "manual": 10.0}, "cat") == pytest.approx(1.0)


def test_an_older_plan_keeps_its_values(tmp_path: Any) -> None:
    data = make_plan(tmp_path, combining=Combining()).to_json()
    assert RunPlan.from_json(data).combining == Combining()
    del data["combining"]
    assert RunPlan.from_json({**data, "version": 1}).combining == AS_BEFORE
    assert RunPlan.from_json(data).combining == Combining()  # written by hand, today
