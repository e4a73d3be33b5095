from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.base import ImageContext
from lib_optim.scoring.registry import scorer_row
from lib_optim.scoring.similarity import SimilarityScorer, build, similarity, to_lab
from tests.scoring.pictures import SIZES, noisy, scene


def blend(one: Image.Image, other: Image.Image, share: float) -> Image.Image:
    mixed = (1 - share) * np.asarray(one).astype(float) + share * np.asarray(other).astype(float)
    return Image.fromarray(np.round(mixed).astype(np.uint8))


@pytest.mark.parametrize("size", SIZES)
def test_a_picture_equals_itself(size: tuple[int, int]) -> None:
    image = scene(*size)
    assert similarity(image, image) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("size", [64, 300])
def test_score_rises_steadily_towards_the_reference(size: int) -> None:
    one, other = scene(size, seed=1), scene(size, seed=2)
    path = [similarity(blend(one, other, s), other) for s in np.linspace(0, 1, 21)]
    assert path == sorted(path)
    steps = np.diff(path)
    assert steps.min() > 0.002  # no plateau that a search would lose its way on
    assert steps[-1] > 0.01  # and a slope right up to the reference


@pytest.mark.parametrize("damage", ["blur", "noise", "colour"])
def test_more_damage_is_less_similar(damage: str) -> None:
    image = scene(96)
    amounts = (0.5, 1, 2, 4)
    if damage == "blur":
        worse = [image.filter(ImageFilter.GaussianBlur(a)) for a in amounts]
    elif damage == "noise":
        worse = [noisy(image, 6 * a) for a in amounts]
    else:
        worse = [blend(image, Image.new("RGB", image.size, (200, 40, 40)), a / 5) for a in amounts]
    values = [similarity(w, image) for w in worse]
    assert values == sorted(values, reverse=True)
    assert values[0] < 1


def test_extremes() -> None:
    black, white = Image.new("RGB", (64, 64)), Image.new("RGB", (64, 64), (255, 255, 255))
    assert similarity(black, white) == pytest.approx(0.0, abs=1e-3)
    image = scene(64)
    negative = Image.fromarray(255 - np.asarray(image))
    assert similarity(negative, image) < 0.2
    assert 0.0 < similarity(scene(64, seed=3), image) < 0.5


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 1000))
def test_any_two_sizes_give_a_score_in_range(w1: int, h1: int, w2: int, h2: int, seed: int) -> None:
    drawn = np.random.default_rng(seed)
    one = Image.fromarray(drawn.integers(0, 256, (h1, w1, 3)).astype(np.uint8))
    other = Image.fromarray(drawn.integers(0, 256, (h2, w2, 3)).astype(np.uint8))
    assert -0.5 <= similarity(one, other) <= 1.0


def test_reference_of_another_size_and_shape() -> None:
    large = scene(512)
    assert similarity(large.resize((128, 128), Image.Resampling.LANCZOS), large) > 0.98
    wide = Image.new("RGB", (700, 512), (9, 9, 9))
    wide.paste(large, (94, 0))
    assert similarity(large, wide) > 0.98  # cropped around its centre


def test_lab_is_that_of_the_standard() -> None:
    # Reference values: IEC sRGB primaries in CIELAB under D65 (Lindbloom's calculator, two decimals).
    colours = {
        (1, 1, 1): (100, 0, 0),
        (0, 0, 0): (0, 0, 0),
        (0.2, 0.2, 0.2): (21.25, 0, 0),
        (0.02, 0.02, 0.02): (1.40, 0, 0),
        (1, 0, 0): (53.24, 80.09, 67.20),
        (0, 1, 0): (87.73, -86.18, 83.18),
        (0, 0, 1): (32.30, 79.19, -107.86),
    }
    for rgb, lab in colours.items():
        np.testing.assert_allclose(to_lab(np.array([[rgb]], dtype=float))[0, 0], lab, atol=0.05)


def test_structure_is_that_of_the_paper() -> None:
    """One scale, against SSIM written out for one window, in the middle of a picture."""
    from lib_optim.scoring.similarity import _blurred, _ssim

    drawn = np.random.default_rng(3)
    one, other = drawn.random((11, 11)), drawn.random((11, 11))
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    assert _blurred(one)[5, 5] == pytest.approx((window * one).sum(), abs=1e-12)
    assert _ssim(one, one) == pytest.approx(1.0)
    assert _ssim(np.zeros((9, 9)), np.ones((9, 9))) == pytest.approx(1e-4 / (1 + 1e-4), rel=1e-6)
    assert _ssim(one, other) < 0.5


def test_each_image_is_compared_with_its_own_reference(tmp_path: Path) -> None:
    pictures = {(name, seed): scene(64, seed=seed + len(name)) for name in ("cat", "dog") for seed in (1, 20)}
    for (name, seed), picture in pictures.items():
        picture.save(tmp_path / f"{name}-{seed}.png")
    scorer = build({"reference": str(tmp_path)}, None)
    scorer.load("cpu")
    contexts = [ImageContext(name, seed, i) for i, (name, seed) in enumerate(pictures)]
    images = list(pictures.values())
    assert scorer.score(images, [""] * 4, contexts) == pytest.approx([1.0] * 4)
    assert max(scorer.score(images[::-1], [""] * 4, contexts)) < 0.9
    with pytest.raises(ScorerError, match="has no image for the image; put a single image there"):
        scorer.score(images[:1], [""])


def test_unload_forgets_a_changed_reference(tmp_path: Path) -> None:
    path = tmp_path / "reference.png"
    scene(64, seed=1).save(path)
    scorer = SimilarityScorer(path)
    assert scorer.score([scene(64, seed=1)], [""]) == pytest.approx([1.0])
    scene(64, seed=2).save(path)
    scorer.unload()
    assert scorer.score([scene(64, seed=1)], [""])[0] < 0.9


def test_references_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ScorerError, match="needs a reference"):
        build({}, None)
    with pytest.raises(ScorerError, match="does not exist"):
        build({"reference": str(tmp_path / "none.png")}, None).load("cpu")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nothing more")
    with pytest.raises(ScorerError, match=r"broken\.png can't be read"):
        build({"reference": str(tmp_path / "broken.png")}, None).score([scene(8)], [""])


def test_typical_range_lies_around_what_is_measured() -> None:
    bad, good = scorer_row("similarity").typical
    unrelated = np.mean([similarity(scene(64, seed=s), scene(64, seed=s + 50)) for s in range(8)])
    assert bad - 0.2 < unrelated < bad + 0.2
    assert good == 1.0
