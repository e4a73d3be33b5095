from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageFilter

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.registry import scorer_row
from lib_optim.scoring.technical import build, technical_factors, technical_quality
from tests.scoring.pictures import noisy, scene


def quality(image: Image.Image) -> float:
    return build({}, None).score([image], [""])[0]


@pytest.mark.parametrize("size", [64, 512])
def test_damage_lowers_the_score(size: int) -> None:
    image = scene(size)
    good = quality(image)
    blurred = [quality(image.filter(ImageFilter.GaussianBlur(r))) for r in (0.7, 1.5, 3)]
    grained = [quality(noisy(image, s)) for s in (5, 12, 40)]
    assert good > 0.9
    assert [good, *blurred] == sorted([good, *blurred], reverse=True)
    assert [good, *grained] == sorted([good, *grained], reverse=True)
    assert blurred[-1] < 0.75
    assert grained[-1] < 0.3
    washed = Image.fromarray((110 + np.asarray(image) * 0.1).astype(np.uint8))
    assert quality(washed) < 0.55
    garish = Image.fromarray(np.clip((np.asarray(image).astype(float) - 128) * 4 + 128, 0, 255).astype(np.uint8))
    assert quality(garish) < good - 0.05


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (128, 128, 128), (200, 30, 90)])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (512, 300)])
def test_a_constant_picture_is_exactly_zero(colour: tuple[int, int, int], size: tuple[int, int]) -> None:
    assert quality(Image.new("RGB", size, colour)) == 0.0


def test_nearly_nothing_scores_nearly_nothing() -> None:
    drawn = np.random.default_rng(0)
    almost_constant = Image.fromarray((120 + drawn.integers(0, 2, (64, 64, 3))).astype(np.uint8))
    assert quality(almost_constant) < 0.02
    assert quality(Image.fromarray(drawn.integers(0, 256, (64, 64, 3)).astype(np.uint8))) < 0.15


def test_grey_is_no_fault_and_sharpness_ignores_contrast() -> None:
    image = scene(128)
    assert quality(image.convert("L")) > 0.9
    soft = np.asarray(image).astype(np.float32) / 255
    full, half = (technical_factors(0.5 + k * (soft - 0.5))["sharpness"] for k in (1.0, 0.5))
    assert half == pytest.approx(full, abs=0.02)


def test_a_bright_background_is_forgiven_but_not_a_white_picture() -> None:
    def with_white(share: float) -> float:
        pixels = np.asarray(scene(100)).copy()
        pixels[: int(100 * share)] = 255
        return technical_factors(pixels.astype(np.float32) / 255)["exposure"]

    assert with_white(0.3) > 0.85
    assert with_white(0.95) < 0.15


def whole(image: Image.Image) -> float:
    return technical_factors(np.asarray(image).astype(np.float32) / 255)["wholeness"]


@pytest.mark.parametrize("seed", range(5))
def test_seams_are_seen_where_they_are(seed: int) -> None:
    image = scene(128, 96, seed=seed)
    assert whole(image) > 0.999
    assert whole(noisy(image, 20)) > 0.98
    pixels = np.asarray(image).astype(int)
    for axis in (0, 1):
        brighter = pixels.copy()
        brighter[(slice(None),) * axis + (slice(40, None),)] += 25  # the other tile is a little brighter
        tiled = Image.fromarray(np.clip(brighter, 0, 255).astype(np.uint8))
        assert whole(tiled) < 0.4
        assert quality(tiled) < 0.5 * quality(image)
    two = Image.new("RGB", (128, 96), (200, 180, 160))
    two.paste(scene(64, 96, seed=seed + 50), (0, 0))
    assert whole(two) < 0.5
    part = pixels.copy()
    part[:40, 80:] += 30  # less than half of height and width: an edge, no seam
    assert whole(Image.fromarray(np.clip(part, 0, 255).astype(np.uint8))) > 0.999


def test_a_slope_is_no_seam() -> None:
    ramp = np.repeat(np.linspace(0, 255, 64)[None, :, None], 64, axis=0).repeat(3, axis=2).astype(np.uint8)
    assert whole(Image.fromarray(ramp)) > 0.99
    assert whole(Image.fromarray(ramp).filter(ImageFilter.GaussianBlur(2))) > 0.99


@settings(max_examples=150, deadline=None)
@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=24).map(lambda s: (*s, 3))))
def test_every_picture_has_a_score_in_range(pixels: np.ndarray) -> None:
    value = technical_quality(pixels.astype(np.float32) / 255)
    assert 0.0 <= value <= 1.0
    factors = technical_factors(pixels.astype(np.float32) / 255)
    assert all(0.0 <= factor <= 1.0 for factor in factors.values()), factors


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 255), st.integers(1, 40), st.integers(1, 40))
def test_every_constant_picture_is_zero(value: int, width: int, height: int) -> None:
    assert technical_quality(np.full((height, width, 3), value / 255, np.float32)) == 0.0


def test_typical_range_lies_around_what_is_measured() -> None:
    bad, good = scorer_row("technical").typical
    assert quality(noisy(scene(256), 40)) < bad
    assert quality(scene(256)) > good


def test_unknown_option() -> None:
    with pytest.raises(ScorerError, match="no option 'sharp'"):
        build({"sharp": 1}, None)
