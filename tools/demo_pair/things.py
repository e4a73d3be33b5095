"""The things in the pictures: each fills a box of one size above its base, in one paint."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import ImageDraw

__all__ = ["draw_thing"]

Colour = tuple[int, int, int]
Paint = Callable[[Colour], Colour]
_LINE = 5  # width of an ink line, in pixels of the large drawing


def draw_thing(
    pen: ImageDraw.ImageDraw,
    thing: str,
    place: tuple[float, float, float],
    paint: Colour,
    of: Paint,
    outline: Colour | None,
    draws: random.Random,
) -> None:
    """Draw a thing.

    Args:
        pen: Where.
        thing: A word of the vocabulary.
        place: Middle of the base (x, y) and size, in pixels.
        paint: Its own colour.
        of: Makes the picture's palette of a plain colour, for what is always of that colour (windows, trunks).
        outline: Of the lines, or None for none.
        draws: Small differences from picture to picture.
    """
    _Pencil(pen, *place, paint, of, outline, draws).draw(thing)


class _Pencil:
    """Draws in units of the thing's size: x from -.5 to .5, y from 0 (base) up to 1."""

    def __init__(self, pen, x, y, size, paint, of, outline, draws) -> None:  # type: ignore[no-untyped-def]
        self.pen, self.x, self.y, self.size = pen, x, y, size
        self.paint, self.of, self.outline, self.draws = paint, of, outline, draws

    def draw(self, thing: str) -> None:
        getattr(self, f"_{thing}")()

    def _at(self, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(self.x + px * self.size, self.y - py * self.size) for px, py in points]

    def _polygon(self, points: Sequence[tuple[float, float]], fill: Colour) -> None:
        points = self._at(points)
        self.pen.polygon(points, fill=fill)
        if self.outline:
            self.pen.line([*points, points[0], points[1]], fill=self.outline, width=_LINE, joint="curve")

    def _oval(self, x: float, y: float, rx: float, ry: float, fill: Colour) -> None:
        (left, top), (right, bottom) = self._at([(x - rx, y + ry), (x + rx, y - ry)])
        self.pen.ellipse(
            [left, top, right, bottom], fill=fill, outline=self.outline, width=_LINE if self.outline else 0
        )

    def _dark(self, share: float = 0.72) -> Colour:
        return tuple(round(c * share) for c in self.paint)  # type: ignore[return-value]

    def _house(self) -> None:
        w, h = self.draws.uniform(0.38, 0.46), self.draws.uniform(0.46, 0.54)
        self._polygon([(-w, 0), (-w, h), (w, h), (w, 0)], self.paint)
        self._polygon([(-w - 0.1, h), (0, h + 0.42), (w + 0.1, h)], self._dark())
        glow = self.of((255, 236, 150))
        self._polygon([(-0.28, 0.2), (-0.28, 0.38), (-0.08, 0.38), (-0.08, 0.2)], glow)
        self._polygon([(0.1, 0), (0.1, 0.34), (0.28, 0.34), (0.28, 0)], self.of((90, 60, 40)))

    def _tree(self) -> None:
        self._polygon([(-0.09, 0), (-0.09, 0.42), (0.09, 0.42), (0.09, 0)], self.of((110, 74, 44)))
        for i, w in enumerate((0.42, 0.34, 0.24)):
            y = 0.26 + 0.26 * i
            self._polygon([(-w, y), (0, y + 0.42), (w, y)], self.paint)

    def _flower(self) -> None:
        stem = self.of((40, 120, 50))
        self._polygon([(-0.045, 0), (-0.045, 0.55), (0.045, 0.55), (0.045, 0)], stem)
        self._oval(0.16, 0.16, 0.13, 0.07, stem)
        for x, y in ((0.0, 0.25), (0.24, 0.07), (0.15, -0.2), (-0.15, -0.2), (-0.24, 0.07)):
            self._oval(x, 0.7 + y * 0.95, 0.17, 0.17, self.paint)
        self._oval(0, 0.7, 0.12, 0.12, self.of((250, 200, 60)))

    def _fish(self) -> None:
        side = self.draws.choice((-1, 1))
        self._polygon([(side * 0.25, 0.36), (side * 0.62, 0.64), (side * 0.62, 0.08)], self._dark(0.85))
        self._oval(-side * 0.08, 0.36, 0.46, 0.28, self.paint)
        self._oval(-side * 0.34, 0.43, 0.065, 0.065, self.of((250, 250, 250)))
        self._oval(-side * 0.35, 0.43, 0.03, 0.03, (10, 10, 20))

    def _boat(self) -> None:
        side = self.draws.choice((-1, 1))
        self._polygon([(-0.55, 0.22), (0.55, 0.22), (0.38, -0.04), (-0.38, -0.04)], self.of((120, 80, 50)))
        self._polygon([(-0.03, 0.22), (-0.03, 1.05), (0.03, 1.05), (0.03, 0.22)], self.of((90, 60, 40)))
        self._polygon([(side * 0.06, 0.3), (side * 0.06, 1.02), (side * 0.5, 0.3)], self.paint)
        self._polygon([(-side * 0.06, 0.3), (-side * 0.06, 0.85), (-side * 0.36, 0.3)], self.paint)

    def _balloon(self) -> None:
        self._polygon([(-0.2, 0.36), (-0.11, 0.14), (0.11, 0.14), (0.2, 0.36)], self._dark(0.6))
        self._oval(0, 0.66, 0.4, 0.42, self.paint)
        self._polygon([(-0.12, 0.14), (-0.12, -0.02), (0.12, -0.02), (0.12, 0.14)], self.of((130, 84, 46)))
