from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.pixels import clip_pixels, rgb, unit_pixels
from tests.scoring.pictures import MODES, of_mode, scene


@pytest.mark.parametrize(
    "size", [(224, 224), (512, 512), (640, 448), (448, 640), (225, 311), (311, 225), (100, 77), (224, 227), (227, 224)]
)
def test_clip_pixels_are_those_of_an_independent_implementation(size: tuple[int, int]) -> None:
    from transformers import CLIPImageProcessor

    image = scene(*size)
    theirs = CLIPImageProcessor()(image, return_tensors="np")["pixel_values"][0]
    # transformers rounds the crop's origin otherwise than torchvision, which the original scorers use, does, where
    # the margin is odd: one pixel. There, compare with the crop that torchvision's formula gives.
    ours = clip_pixels(image, 224, "image")
    longer = max(int(224 * max(size) / min(size)), 224)
    if (longer - 224) % 2:
        short_first = size[0] <= size[1]
        resized = image.resize((224, longer) if short_first else (longer, 224), Image.Resampling.BICUBIC)
        start = round((longer - 224) / 2)
        box = (0, start, 224, start + 224) if short_first else (start, 0, start + 224, 224)
        theirs = CLIPImageProcessor()(resized.crop(box), return_tensors="np")["pixel_values"][0]
    assert ours.shape == (3, 224, 224)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=2e-6)


def test_crop_is_the_middle() -> None:
    image = Image.new("RGB", (300, 100), (0, 0, 0))
    image.paste((255, 255, 255), (100, 0, 200, 100))
    pixels = clip_pixels(image, 100, "image")
    assert np.ptp(pixels[0]) == 0
    assert pixels[0, 0, 0] > 1


@pytest.mark.parametrize("mode", MODES)
def test_modes_show_the_same_picture(mode: str) -> None:
    image = scene(40).convert("L").convert("RGB") if mode in {"L", "LA", "I;16", "I"} else scene(40)
    difference = np.abs(unit_pixels(of_mode(image, mode), "image") - unit_pixels(image, "image"))
    limit = {"1": 1.0, "P": 0.3, "YCbCr": 0.02}.get(mode, 0.0)
    assert difference.max() <= limit


def test_rgb_is_not_copied_and_not_changed() -> None:
    image = scene(16)
    before = image.tobytes()
    assert rgb(image, "image") is image
    clip_pixels(image, 224, "image")
    assert image.tobytes() == before


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (Image.new("RGB", (0, 4)), "no pixels"),
        (Image.new("F", (4, 4)), "floating-point"),
        (Image.new("RGB", (1000, 2)), "too thin"),
    ],
)
def test_what_cannot_be_scored_is_named(image: Image.Image, words: str) -> None:
    with pytest.raises(ScorerError, match=f"image 7.*{words}"):
        clip_pixels(image, 224, "image 7")
