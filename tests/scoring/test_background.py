from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.background import build
from tests.scoring.pictures import scene


def blackness(image: Image.Image) -> float:
    return build({}, None).score([image], [""])[0]


def framed(colour: tuple[int, int, int], size: int = 100) -> Image.Image:
    image = Image.new("RGB", (size, size), colour)
    image.paste(scene(size * 8 // 10), (size // 10, size // 10))
    return image


def test_it_is_the_frame_that_counts() -> None:
    assert blackness(framed((0, 0, 0))) == 1.0
    assert blackness(framed((255, 255, 255))) == pytest.approx(0.0, abs=1e-4)
    # L* of mid grey (119) is 50
    assert blackness(framed((119, 119, 119))) == pytest.approx(0.5, abs=0.005)
    greys = [blackness(framed((v, v, v))) for v in range(0, 256, 15)]
    assert greys == sorted(greys, reverse=True)
    assert len(set(greys)) == len(greys)


def test_a_colour_is_not_black() -> None:
    assert blackness(framed((255, 0, 0))) == 0.0
    assert blackness(framed((40, 0, 0))) < blackness(framed((40, 40, 40)).convert("RGB")) + 0.1
    assert blackness(framed((0, 0, 60))) < 0.8


def test_part_of_the_frame() -> None:
    half = np.asarray(framed((0, 0, 0))).copy()
    half[50:, :10] = half[50:, 90:] = half[90:] = 255
    assert blackness(Image.fromarray(half)) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (2, 3), (11, 4)])
def test_small_pictures_have_a_frame(size: tuple[int, int]) -> None:
    assert blackness(Image.new("RGB", size)) == 1.0


def test_unknown_option() -> None:
    with pytest.raises(ScorerError, match="no option 'colour'"):
        build({"colour": 1}, None)
