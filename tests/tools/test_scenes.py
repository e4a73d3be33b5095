"""The pictures that the demo checkpoints learned from."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from lib_optim.scoring.demo_words import VOCABULARY, words_of
from tools.demo_pair.data import held_out
from tools.demo_pair.scenes import Scene, all_scenes, caption, draw, random_scene

SCENES = all_scenes()


def pixels(scene: Scene, seed: int) -> np.ndarray:
    return np.asarray(draw(scene, random.Random(seed)), dtype=np.float64)


def test_a_caption_says_what_the_scene_is() -> None:
    assert len({caption(scene) for scene in SCENES}) == len(SCENES)
    for scene in SCENES:
        assert words_of(caption(scene)) == {name: VOCABULARY[name].index(getattr(scene, name)) for name in VOCABULARY}
    assert words_of(caption(Scene("house", None, None, None, "ink"))) == {"style": 1, "thing": 0}
    assert caption(SCENES[0]) == "a picture of a red house on a hill by day"


def test_a_seed_is_a_picture() -> None:
    for scene in SCENES[:: len(SCENES) // 12]:
        assert np.array_equal(pixels(scene, 4), pixels(scene, 4))
        assert not np.array_equal(pixels(scene, 4), pixels(scene, 5))
        assert pixels(scene, 4).shape == (64, 64, 3)
    draws, again = random.Random(9), random.Random(9)
    assert [random_scene(draws) for _ in range(50)] == [random_scene(again) for _ in range(50)]


@pytest.mark.parametrize("name", list(VOCABULARY))
def test_every_word_shows(name: str) -> None:
    """Same seed, another word: the picture changes, and by more than a line's width."""
    for scene in SCENES[:: len(SCENES) // 12]:
        for word in VOCABULARY[name]:
            other = replace(scene, **{name: word})
            if word == getattr(scene, name) or (name == "place" and other not in SCENES):
                continue
            changed = np.abs(pixels(scene, 2) - pixels(other, 2)).max(axis=2) > 20
            assert changed.mean() > 0.01, f"{caption(scene)} looks like {caption(other)}"


def test_a_thing_has_its_colour() -> None:
    for colour, channel in (("red", 0), ("green", 1), ("blue", 2)):
        shown = pixels(Scene("balloon", colour, "snow", "day", "picture"), 1)
        reference = pixels(Scene("balloon", "white", "snow", "day", "picture"), 1)
        paint = shown[np.abs(shown - reference).max(axis=2) > 60].mean(axis=0)
        assert paint.argmax() == channel


def test_words_come_equally_often() -> None:
    draws = random.Random(1)
    scenes = [random_scene(draws) for _ in range(3000)]
    for name in ("thing", "colour", "time", "style"):
        counts = Counter(getattr(scene, name) for scene in scenes)
        assert set(counts) == set(VOCABULARY[name])
        assert max(counts.values()) < 1.25 * min(counts.values())


def test_held_out_scenes_have_all_words_but_are_few() -> None:
    out = held_out()
    assert out == held_out()
    assert 0.05 < len(out) / len(SCENES) < 0.1
    for name in VOCABULARY:
        assert {getattr(scene, name) for scene in out} == set(VOCABULARY[name])


def test_what_is_open_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="leaves something open"):
        draw(Scene("house", None, "hill", "day", "ink"), random.Random(0))
