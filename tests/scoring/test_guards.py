"""The guards stop what is no picture, and nothing else: tried on pictures of many kinds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from lib_optim.scoring.guards import BITS, alike, flaws, thumbnail
from tests.scoring.pictures import MODES, noisy, of_mode, scene

RNG = np.random.default_rng(0)


def drawn(ground: tuple[int, int, int], paint: Callable[[ImageDraw.ImageDraw], None], soft: bool = True) -> Image.Image:
    """A drawing with shaded edges, as a VAE makes them, or with hard ones."""
    image = Image.new("RGB", (1024, 1024), ground)
    paint(ImageDraw.Draw(image))
    return image.resize((256, 256), Image.Resampling.LANCZOS if soft else Image.Resampling.NEAREST)


def shaded(low: float, high: float) -> Image.Image:
    ramp = np.linspace(low, high, 256)[:, None, None] * np.ones((1, 256, 3))
    return Image.fromarray(np.clip(ramp + RNG.normal(0, 1, ramp.shape), 0, 255).astype(np.uint8))


ORDINARY = {
    **{f"scene {seed}": scene(256, seed=seed) for seed in range(12)},
    "noise": noisy(scene(256), 60),
    "blurred": scene(256).filter(ImageFilter.GaussianBlur(12)),
    "grey": scene(256).convert("L"),
    "dark": Image.fromarray((np.asarray(scene(256)) * 0.06).astype(np.uint8)),
    "night with stars": drawn((0, 0, 0), lambda d: [d.ellipse([x, y, x + 9, y + 9], fill=(255, 255, 240))
                                                   for x, y in RNG.integers(0, 1000, (12, 2))] and None),
    "snow": shaded(245, 255),
    "fog": shaded(120, 135),
    "dusk": shaded(3, 14),
    "a thin line on white": drawn((255, 255, 255), lambda d: d.line([300, 200, 700, 800], fill=(0, 0, 0), width=12)),
    "line art": drawn((255, 255, 255), lambda d: [d.arc([x, y, x + 300, y + 300], 0, 300, fill=(0, 0, 0), width=8)
                                                 for x, y in RNG.integers(0, 700, (30, 2))] and None),
    "a silhouette": drawn((255, 255, 255), lambda d: d.ellipse([100, 100, 900, 900], fill=(0, 0, 0))),
    "a red disc on black": drawn((0, 0, 0), lambda d: d.ellipse([300, 300, 700, 700], fill=(255, 0, 0))),
    "over-exposed": Image.fromarray(np.clip(np.asarray(scene(256)).astype(int) * 2, 0, 255).astype(np.uint8)),
}  # fmt: skip


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_picture_trips_no_guard(name: str) -> None:
    assert flaws(ORDINARY[name]) == 0


@pytest.mark.parametrize("mode", MODES)
def test_pictures_of_any_mode_and_size_are_looked_at(mode: str) -> None:
    assert flaws(of_mode(scene(96), mode)) == 0
    assert thumbnail(of_mode(scene(96), mode)).shape == (32, 32, 3)
    for size in ((1, 1), (3, 5), (40, 1024)):
        assert thumbnail(scene(*size)).shape == (32, 32, 3)


def _burnt() -> Image.Image:
    return Image.fromarray(np.where(np.asarray(noisy(scene(256), 40)) > 127, 255, 0).astype(np.uint8))


@pytest.mark.parametrize(
    ("image", "guard"),
    [
        (Image.new("RGB", (256, 256)), "black"),
        (Image.new("RGB", (256, 256), (2, 1, 0)), "black"),
        (Image.new("RGB", (256, 256), (128, 127, 126)), "blank"),
        (Image.new("L", (256, 256), 255), "blank"),
        (noisy(Image.new("RGB", (256, 256), (120, 90, 60)), 1.0), "blank"),
        (_burnt(), "clipped"),
    ],
)
def test_what_is_no_picture_is_stopped(image: Image.Image, guard: str) -> None:
    assert flaws(image) == BITS[guard]


def test_the_same_picture_is_found_through_what_a_gpu_or_a_file_does_to_it() -> None:
    image = scene(256)
    assert alike(thumbnail(image), thumbnail(image))
    assert alike(thumbnail(image), thumbnail(noisy(image, 3)))
    assert alike(thumbnail(image), thumbnail(Image.fromarray(np.clip(np.asarray(image) + 1, 0, 255).astype(np.uint8))))


def test_different_pictures_are_not_the_same() -> None:
    small = [thumbnail(image) for image in ORDINARY.values()]
    pairs = [(i, j) for i in range(len(small)) for j in range(i)]
    assert [pair for pair in pairs if alike(small[pair[0]], small[pair[1]])] == []

    # the same ground with a figure somewhere else, and a face that smiles
    def figure(x: int) -> Image.Image:
        return drawn((255, 255, 255), lambda d: d.ellipse([x, 500, x + 60, 560], fill=(90, 90, 90)))

    assert not alike(thumbnail(figure(300)), thumbnail(figure(340)))
