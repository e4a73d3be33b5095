"""Captioned pictures, drawn from a seed: one thing in one colour, somewhere, at some time, in some style.

"a picture of a red house on a hill at night", "an ink drawing of a blue fish in the sea by day"
"""

from __future__ import annotations

import colorsys
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFilter

from lib_optim.scoring.demo_words import VOCABULARY
from tools.demo_pair.things import draw_thing

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SIZE", "Scene", "all_scenes", "caption", "draw", "random_scene"]

SIZE = 64
_SCALE = 3  # drawn so much larger, then averaged
_PLACES = {"fish": ("sea",), "boat": ("sea",)}
_LAND = ("hill", "snow", "desert")

Colour = tuple[int, int, int]

_SKIES: dict[str, tuple[Colour, Colour]] = {
    "day": ((112, 190, 245), (200, 232, 250)),
    "night": ((16, 18, 58), (44, 46, 104)),
    "sunset": ((240, 120, 80), (252, 206, 120)),
}
_GROUNDS: dict[str, Colour] = {
    "hill": (92, 168, 78),
    "snow": (236, 240, 248),
    "desert": (222, 186, 122),
    "sea": (38, 110, 190),
}
_PAINTS: dict[str, Colour] = {
    "red": (214, 44, 40),
    "yellow": (248, 214, 40),
    "green": (36, 148, 60),
    "blue": (40, 76, 214),
    "purple": (140, 56, 180),
    "white": (250, 250, 250),
}


@dataclass(frozen=True)
class Scene:
    """What a caption says; None where it leaves something open."""

    thing: str
    colour: str | None
    place: str | None
    time: str | None
    style: str


def caption(scene: Scene) -> str:
    """Return the caption of a scene."""
    style = {"picture": "a picture", "ink": "an ink drawing", "pastel": "a pastel drawing"}[scene.style]
    words = [style, "of a", *([scene.colour] if scene.colour else []), scene.thing]
    if scene.place:
        words.append(
            {"hill": "on a hill", "snow": "in the snow", "desert": "in the desert", "sea": "in the sea"}[scene.place]
        )
    if scene.time:
        words.append({"day": "by day", "night": "at night", "sunset": "at sunset"}[scene.time])
    return " ".join(words)


def all_scenes() -> list[Scene]:
    """Return every scene that leaves nothing open, in a fixed order."""
    return [
        Scene(thing, colour, place, time, style)
        for thing in VOCABULARY["thing"]
        for colour in VOCABULARY["colour"]
        for place in _PLACES.get(thing, _LAND)
        for time in VOCABULARY["time"]
        for style in VOCABULARY["style"]
    ]


def random_scene(draws: random.Random) -> Scene:
    """Draw a scene that leaves nothing open; every thing, colour, time and style is equally likely."""
    thing = draws.choice(VOCABULARY["thing"])
    return Scene(
        thing,
        draws.choice(VOCABULARY["colour"]),
        draws.choice(_PLACES.get(thing, _LAND)),
        draws.choice(VOCABULARY["time"]),
        draws.choice(VOCABULARY["style"]),
    )


def with_gaps(scene: Scene, draws: random.Random, share: float = 0.12) -> Scene:
    """Leave colour, place and time open, each with probability `share`."""
    open_ = {name: None for name in ("colour", "place", "time") if draws.random() < share}
    return replace(scene, **open_)


def draw(scene: Scene, draws: random.Random) -> Image.Image:
    """Draw a scene that leaves nothing open, 64x64 RGB. What a caption does not say comes from `draws`."""
    if scene.colour is None or scene.place is None or scene.time is None:
        raise ValueError(f"{scene} leaves something open and cannot be drawn")
    palette = _Palette(scene, draws)
    side = SIZE * _SCALE
    image = Image.new("RGB", (side, side))
    pen = ImageDraw.Draw(image)
    horizon = round(side * draws.uniform(0.58, 0.68))
    _sky(pen, scene, palette, side, horizon if scene.thing != "fish" else round(side * 0.16), draws)
    _ground(pen, scene, palette, side, horizon, draws)
    size = side * draws.uniform(0.54, 0.64)
    centre = side * draws.uniform(0.36, 0.64)
    base = {
        "fish": side * draws.uniform(0.72, 0.88),
        "boat": horizon + side * 0.1,
        "balloon": side * draws.uniform(0.58, 0.7),
    }.get(scene.thing, horizon + side * draws.uniform(0.1, 0.2))
    outline = palette.of((24, 20, 30)) if scene.style == "ink" else None
    paint = palette.of(_PAINTS[scene.colour])
    draw_thing(pen, scene.thing, (centre, base, size), paint, palette.of, outline, draws)
    image = image.resize((SIZE, SIZE), Image.Resampling.BOX)
    return image.filter(ImageFilter.GaussianBlur(0.4)) if scene.style != "ink" else image


class _Palette:
    """Colours as time and style show them."""

    def __init__(self, scene: Scene, draws: random.Random) -> None:
        self._pastel = scene.style == "pastel"
        self._dim = 0.9 if scene.time == "night" else 1.0
        self._turn = draws.uniform(-0.012, 0.012)
        self._value = draws.uniform(0.94, 1.04)

    def of(self, colour: Colour) -> Colour:
        h, s, v = colorsys.rgb_to_hsv(*(c / 255 for c in colour))
        if self._pastel:
            s, v = s * 0.55, v + (1 - v) * 0.4
        rgb = colorsys.hsv_to_rgb((h + self._turn) % 1, s, min(1.0, v * self._value * self._dim))
        return tuple(round(255 * c) for c in rgb)  # type: ignore[return-value]


def _sky(
    pen: ImageDraw.ImageDraw, scene: Scene, palette: _Palette, side: int, horizon: int, draws: random.Random
) -> None:
    assert scene.time
    top, bottom = (palette.of(c) for c in _SKIES[scene.time])
    for y in range(horizon + side // 4):
        t = min(1.0, y / horizon)
        pen.line([(0, y), (side, y)], fill=_between(top, bottom, t))
    if scene.thing == "fish":
        return
    left = draws.random() < 0.5
    x = side * (draws.uniform(0.1, 0.2) if left else draws.uniform(0.8, 0.9))
    y, r = side * draws.uniform(0.12, 0.2), side * 0.085
    if scene.time == "night":
        pen.ellipse([x - r, y - r, x + r, y + r], fill=palette.of((240, 236, 200)))
        pen.ellipse([x - r * 0.3, y - r * 1.2, x + r * 1.5, y + r * 0.6], fill=_between(top, bottom, y / horizon))
    elif scene.time == "day":
        pen.ellipse([x - r, y - r, x + r, y + r], fill=palette.of((255, 236, 110)))
    else:
        y = horizon - r * 0.3
        pen.ellipse([x - r * 1.3, y - r * 1.3, x + r * 1.3, y + r * 1.3], fill=palette.of((255, 240, 170)))


def _ground(
    pen: ImageDraw.ImageDraw, scene: Scene, palette: _Palette, side: int, horizon: int, draws: random.Random
) -> None:
    assert scene.place
    near = palette.of(_GROUNDS[scene.place])
    if scene.time == "night":
        near = _between(near, (10, 12, 40), 0.4)
    far = _between(near, (20, 30, 60), 0.18)
    if scene.place == "sea":
        top = round(side * 0.16) if scene.thing == "fish" else horizon
        for y in range(top, side):
            pen.line([(0, y), (side, y)], fill=_between(near, far, (y - top) / (side - top)))
        return
    # hills: round on a hill, low elsewhere
    height = side * {"hill": 0.16, "snow": 0.08, "desert": 0.05}[scene.place]
    x = side * draws.uniform(0.0, 1.0)
    pen.ellipse([x - side * 0.8, horizon - height * 0.7, x + side * 0.8, horizon + side], fill=far)
    x = side * draws.uniform(0.35, 0.65)
    pen.ellipse([x - side * 1.1, horizon - height * 0.1, x + side * 1.1, horizon + side * 1.2], fill=near)
    pen.rectangle([0, horizon + side * 0.12, side, side], fill=near)
    if scene.style == "ink":
        pen.arc(
            [x - side * 1.1, horizon - height * 0.1, x + side * 1.1, horizon + side * 1.2],
            180,
            360,
            fill=palette.of((24, 20, 30)),
            width=3,
        )


def _between(a: Sequence[int], b: Sequence[int], t: float) -> Colour:
    return tuple(round(p + (q - p) * t) for p, q in zip(a, b, strict=True))  # type: ignore[return-value]
