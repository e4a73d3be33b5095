"""Lines of CSV whose texts no spreadsheet runs as formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

__all__ = ["csv_line"]

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_line(row: Sequence[object]) -> str:
    """Return `row` as one line; a text that begins like a formula (a prompt, a file's name) gets a ``'`` before it."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow([_cell(cell) for cell in row])
    return buffer.getvalue()


def _cell(cell: object) -> object:
    formula = isinstance(cell, str) and (cell.lstrip(" ")[:1] in _STARTS and cell.strip(" ") != "")
    return f"'{cell}" if formula else cell
