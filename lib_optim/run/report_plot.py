"""The score curve of a report, as SVG."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["score_plot"]

_WIDE, _HIGH, _LEFT, _EDGE = 1000, 300, 64, 24


def score_plot(points: Sequence[tuple[int, float]]) -> str:
    """Return the scores as dots, and the best so far as a line.

    Args:
        points: Trial number and value, by number; at least one.
    """
    low, high = min(value for _, value in points), max(value for _, value in points)
    first, last = points[0][0], max(points[-1][0], points[0][0] + 1)
    spread = high - low or 1.0

    def x(number: float) -> float:
        return round(_LEFT + (number - first) / (last - first) * (_WIDE - _LEFT - _EDGE), 1)

    def y(value: float) -> float:
        return round(_HIGH - _EDGE - (value - low) / spread * (_HIGH - 2 * _EDGE), 1)

    path, best = f"M{x(points[0][0])} {y(points[0][1])}", points[0][1]
    for number, value in points[1:]:
        path += f"H{x(number)}"
        if value > best:
            best = value
            path += f"V{y(best)}"
    dots = "".join(
        f'<circle cx="{x(n)}" cy="{y(v)}" r="4" fill="#4f46e5" fill-opacity=".55">'
        f"<title>trial {n}: {v:.4g}</title></circle>"
        for n, v in points
    )
    marks = "".join(
        f'<text x="{_LEFT - 8}" y="{y(v) + 4}" text-anchor="end" font-size="13" fill="#6b7280">{v:.4g}</text>'
        f'<line x1="{_LEFT}" x2="{_WIDE - _EDGE}" y1="{y(v)}" y2="{y(v)}" stroke="#9ca3af" stroke-opacity=".3"/>'
        for v in (low, (low + high) / 2, high)
    )
    ends = "".join(
        f'<text x="{x(n)}" y="{_HIGH - 4}" text-anchor="middle" font-size="13" fill="#6b7280">{n}</text>'
        for n in (points[0][0], points[-1][0])
    )
    line = f'<path d="{path}" fill="none" stroke="#4f46e5" stroke-width="2"/>'
    head = f'<svg viewBox="0 0 {_WIDE} {_HIGH}" role="img" aria-label="Score of each trial">'
    return f"{head}{marks}{line}{dots}{ends}</svg>"
