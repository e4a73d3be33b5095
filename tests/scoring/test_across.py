"""Scorers that compare the images of a payload, alone and through the worker."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageFilter

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.payload import Payload, jobs_of
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring.base import ImageContext
from lib_optim.scoring.check import scorer_problems
from lib_optim.scoring.features import features, likeness
from lib_optim.scoring.registry import scorer_row
from lib_optim.scoring.worker import ScoringWorker
from tests.scoring.pictures import MODES, SIZES, noisy, of_mode, scene

BOTH = ("consistency", "diversity")


def alike(one: Image.Image, other: Image.Image) -> float:
    return likeness(features(one, "a"), features(other, "b"))


def scores(name: str, images: list[Image.Image]) -> list[float]:
    return scorer_row(name).build({}, Path()).score(images, [""] * len(images))


def test_likeness_is_one_for_equal_pictures_and_falls_with_damage() -> None:
    image = scene(128)
    assert alike(image, image) == pytest.approx(1.0, abs=1e-9)
    assert alike(image, image.resize((300, 200))) > 0.98
    blurred = [alike(image, image.filter(ImageFilter.GaussianBlur(r))) for r in (1, 3, 6, 12)]
    grained = [alike(image, noisy(image, s)) for s in (5, 15, 40, 90)]
    assert blurred == sorted(blurred, reverse=True)
    assert grained == sorted(grained, reverse=True)
    others = [alike(image, scene(128, seed=s)) for s in range(1, 9)]
    assert max(others) < 0.75
    assert min(blurred[1], grained[2]) > 0.9
    assert alike(image, image.convert("L")) < 0.85
    assert alike(image, image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) < 0.75
    assert alike(image, Image.new("RGB", (9, 9))) < 0.4


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12).map(lambda s: (*s, 3))),
    arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12).map(lambda s: (*s, 3))),
)
def test_likeness_is_symmetric_and_in_range(one: np.ndarray, other: np.ndarray) -> None:
    a, b = features(Image.fromarray(one), ""), features(Image.fromarray(other), "")
    assert 0.0 <= likeness(a, b) <= 1.0
    assert likeness(a, b) == pytest.approx(likeness(b, a), abs=1e-12)
    assert likeness(a, a) == pytest.approx(1.0, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(4)))
def test_order_does_not_matter(order: list[int]) -> None:
    images = [scene(32, seed=s) for s in range(4)]
    for name in BOTH:
        plain = scores(name, images)
        assert scores(name, [images[i] for i in order]) == pytest.approx([plain[i] for i in order], abs=1e-12)


def test_the_mean_is_that_of_all_pairs_and_one_is_the_other_s_rest() -> None:
    images = [scene(48, seed=s) for s in range(5)]
    pairs = [alike(a, b) for a, b in itertools.combinations(images, 2)]
    consistent, diverse = scores("consistency", images), scores("diversity", images)
    assert math.fsum(consistent) / 5 == pytest.approx(math.fsum(pairs) / 10)
    assert diverse == [1 - v for v in consistent]
    assert scores("consistency", [images[0]] * 3) == pytest.approx([1.0] * 3)
    odd_one_out = scores("consistency", [images[0], noisy(images[0], 5), images[1]])
    assert odd_one_out[2] < min(odd_one_out[:2])


@pytest.mark.parametrize("name", BOTH)
def test_bad_input(name: str) -> None:
    assert scores(name, []) == []
    for mode, size in zip(itertools.cycle(MODES), SIZES, strict=False):
        values = scores(name, [of_mode(scene(*size), mode), scene(32), Image.new("RGB", (8, 8))])
        assert all(0 <= v <= 1 and type(v) is float for v in values)
    with pytest.raises(ScorerError, match=r"payload 'cat' with seed 3 is the only one left; let the payload make more"):
        scorer_row(name).build({}, Path()).score([scene(8)], [""], [ImageContext("cat", 3, 0)])
    with pytest.raises(ScorerError, match="image 2 has no pixels"):
        scores(name, [scene(8), Image.new("RGB", (0, 0))])


def test_payloads_of_one_image_are_told_before_the_run(tmp_path: Path) -> None:
    payloads = (Payload("cat"), Payload("dog", n_iter=2), Payload("look", score_weight=0))
    (problem,) = scorer_problems(ScorerSpec("consistency"), tmp_path, jobs=jobs_of(payloads))
    assert "The payload 'cat' makes one image" in problem.sentence
    assert scorer_problems(ScorerSpec("diversity"), tmp_path, jobs=jobs_of(payloads[1:])) == []


def test_through_the_worker_each_gets_what_is_for_it() -> None:
    got: list[Any] = []
    specs = [ScorerSpec("technical"), ScorerSpec("consistency"), ScorerSpec("diversity")]
    worker = ScoringWorker(specs, Path(), lambda *s: got.append(s), lambda *e: got.append(e))
    assert worker.comparing == {"consistency", "diversity"}
    images = [scene(32, seed=s) for s in range(3)]
    contexts = [ImageContext("p", 7 + i, i) for i in range(3)]
    for i in range(3):
        worker.submit(4, i, images[i], "", contexts[i])
    worker.submit_together(4, [(i, images[i], "", contexts[i]) for i in range(3)])
    assert worker.drain(20)
    alone = scorer_row("technical").build({}, Path()).score(images, [""] * 3)
    expected = [(4, i, "technical", v) for i, v in enumerate(alone)]
    expected += [(4, i, name, v) for name in BOTH for i, v in enumerate(scores(name, images))]
    assert got == expected
    got.clear()
    worker.submit_together(5, [(0, images[0], "", contexts[0])])
    worker.submit_together(5, [(1, images[1], "", contexts[1])])
    assert worker.drain(20)
    worker.close()
    ((trial, error),) = got
    assert trial == 5
    assert "is the only one left" in str(error)
