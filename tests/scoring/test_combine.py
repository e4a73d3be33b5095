from __future__ import annotations

import dataclasses
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.payload import Payload, jobs_of
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring import combine
from lib_optim.scoring.base import ScorerRow
from lib_optim.scoring.combine import image_value, mapped, trial_value
from lib_optim.scoring.registry import scorer_row

IDS = ("imagereward", "clipscore", "technical", "similarity", "manual")
raws = st.floats(-100, 100)
weights = st.floats(0.01, 100)


@pytest.fixture
def lower(monkeypatch: pytest.MonkeyPatch) -> ScorerRow:
    """Make `technical` a scorer whose lower is better."""
    row = dataclasses.replace(scorer_row("technical"), typical=(80.0, 20.0))
    real = scorer_row
    monkeypatch.setattr(combine, "scorer_row", lambda id_: row if id_ == "technical" else real(id_))
    return row


@given(raws)
def test_one_scorer_gives_its_raw_score(raw: float) -> None:
    assert image_value({"imagereward": raw}, [ScorerSpec("imagereward", weight=3.0)]) == raw


def test_one_scorer_whose_lower_is_better_is_turned_round(lower: ScorerRow) -> None:
    specs = [ScorerSpec("technical")]
    assert lower.lower_is_better
    assert image_value({"technical": 80.0}, specs) == 0.0
    assert image_value({"technical": 20.0}, specs) == 1.0
    assert image_value({"technical": 140.0}, specs) == -1.0


def test_several_scorers_meet_on_the_typical_scale() -> None:
    specs = [ScorerSpec("manual", weight=1.0), ScorerSpec("imagereward", weight=3.0)]
    bad, good = scorer_row("imagereward").typical
    assert image_value({"manual": 10.0, "imagereward": bad}, specs) == pytest.approx(0.25)
    assert image_value({"manual": 0.0, "imagereward": good}, specs) == pytest.approx(0.75)
    assert image_value({"manual": 5.0, "imagereward": (bad + good) / 2}, specs) == pytest.approx(0.5)
    assert image_value({"manual": 20.0, "imagereward": 2 * good - bad}, specs) == pytest.approx(2.0)  # not clipped


def test_a_missing_score_gives_no_value() -> None:
    specs = [ScorerSpec("manual"), ScorerSpec("technical")]
    assert image_value({"technical": 1.0}, specs) is None
    assert image_value({}, specs) is None
    assert image_value({"technical": 0.5, "other": 9.0}, [ScorerSpec("technical")]) == 0.5


@pytest.mark.parametrize("raw", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_an_error(raw: float) -> None:
    for specs in ([ScorerSpec("technical")], [ScorerSpec("technical"), ScorerSpec("manual")]):
        with pytest.raises(ScorerError, match="technical gave"):
            image_value({"technical": raw, "manual": 1.0}, specs)


def test_no_scorer_is_an_error() -> None:
    with pytest.raises(ScorerError, match="choose at least one"):
        image_value({"technical": 1.0}, [])


@given(st.lists(st.sampled_from(IDS), min_size=2, unique=True), st.data())
def test_a_better_score_never_makes_the_value_worse(ids: list[str], data: st.DataObject) -> None:
    specs = [ScorerSpec(id_, weight=data.draw(weights)) for id_ in ids]
    raw = {id_: data.draw(raws) for id_ in ids}
    better = dict(raw)
    chosen = data.draw(st.sampled_from(ids))
    better[chosen] += data.draw(st.floats(0, 50))
    before, after = image_value(raw, specs), image_value(better, specs)
    assert before is not None
    assert after is not None
    assert after >= before
    if better[chosen] - raw[chosen] > 1e-3:
        assert after > before


@given(st.lists(st.sampled_from(IDS), min_size=1, unique=True), st.data())
def test_order_of_scorers_does_not_matter(ids: list[str], data: st.DataObject) -> None:
    specs = [ScorerSpec(id_, weight=data.draw(weights)) for id_ in ids]
    raw = {id_: data.draw(raws) for id_ in ids}
    assert image_value(raw, specs) == image_value(raw, data.draw(st.permutations(specs)))


@given(st.lists(st.sampled_from(IDS), min_size=2, unique=True), st.data())
def test_value_lies_between_the_mapped_scores(ids: list[str], data: st.DataObject) -> None:
    specs = [ScorerSpec(id_, weight=data.draw(weights)) for id_ in ids]
    raw = {id_: data.draw(raws) for id_ in ids}
    each = [mapped(id_, raw[id_]) for id_ in ids]
    value = image_value(raw, specs)
    assert value is not None
    assert min(each) - 1e-9 <= value <= max(each) + 1e-9


JOBS = jobs_of(
    (Payload("a", seed=1, batch_size=2), Payload("b", seed=5, score_weight=3.0), Payload("c", seed=9, score_weight=0.0))
)
ONE = [ScorerSpec("technical")]


def test_trial_value_weighs_payloads() -> None:
    raw = {0: {"technical": 0.2}, 1: {"technical": 0.4}, 2: {"technical": 0.8}}
    assert trial_value(raw, JOBS, ONE) == pytest.approx((0.2 + 0.4 + 3 * 0.8) / 5)


def test_skipped_and_weightless_images_do_not_count() -> None:
    raw = {0: {"technical": 0.2}, 2: {"technical": 0.8}, 3: {"technical": 99.0}}
    assert trial_value(raw, JOBS, ONE, skipped={1}) == pytest.approx((0.2 + 3 * 0.8) / 4)
    assert trial_value(raw, JOBS, ONE, skipped=[1, 2]) == 0.2


def test_an_image_without_score_fails_the_trial() -> None:
    with pytest.raises(ScorerError, match="Image 2 of payload 'a' has no score by technical"):
        trial_value({0: {"technical": 0.2}, 2: {"technical": 0.8}}, JOBS, ONE)
    with pytest.raises(ScorerError, match="no score by manual"):
        trial_value({0: {"technical": 1.0}}, JOBS[:1], [*ONE, ScorerSpec("manual")])


def test_a_trial_of_which_nothing_counts_has_no_value() -> None:
    with pytest.raises(ScorerError, match="No image of this trial counts"):
        trial_value({}, JOBS, ONE, skipped={0, 1, 2})


@given(st.lists(st.tuples(raws, weights), min_size=1, max_size=8), st.integers(0, 2**32))
def test_order_of_images_does_not_matter(images: list[tuple[float, float]], seed: int) -> None:
    payloads = tuple(Payload(f"p{i}", seed=i, score_weight=w) for i, (_, w) in enumerate(images))
    jobs = list(jobs_of(payloads))
    raw = {i: {"technical": value} for i, (value, _) in enumerate(images)}
    shuffled = jobs.copy()
    random.Random(seed).shuffle(shuffled)
    assert trial_value(raw, jobs, ONE) == trial_value(raw, shuffled, ONE)


@given(raws, st.lists(weights, min_size=1, max_size=6))
def test_equal_images_give_exactly_their_value(value: float, image_weights: list[float]) -> None:
    jobs = jobs_of(tuple(Payload(f"p{i}", seed=i, score_weight=w) for i, w in enumerate(image_weights)))
    assert trial_value({i: {"technical": value} for i in range(len(jobs))}, jobs, ONE) == value
