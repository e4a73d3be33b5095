"""What the program's log would hold of errors that nobody expected, the last one last."""

from __future__ import annotations

__all__ = ["TRACES"]

TRACES: list[str] = []
