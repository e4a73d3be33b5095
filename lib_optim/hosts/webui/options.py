"""Changing the WebUI's settings for a moment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["ABSENT", "kept", "put"]

ABSENT = object()
"""Stands for a setting that was never saved: ``opts.data`` lacks it and the default counts."""


def put(key: str, value: Any) -> None:
    """Set `key` in ``opts.data`` without callbacks (they want the queue lock); `ABSENT` takes it out."""
    from modules import shared

    if value is ABSENT:
        shared.opts.data.pop(key, None)
    else:
        shared.opts.data[key] = value


@contextlib.contextmanager
def kept(values: Mapping[str, Any]) -> Iterator[None]:
    """Put the settings named in `values` back afterwards, unless somebody else changed them meanwhile.

    The WebUI's own ``override_settings`` forget to put back what was never saved, and put back what the user has
    changed in the meantime.

    Args:
        values: Setting to the value that it is going to have inside.
    """
    from modules import shared

    before = {key: shared.opts.data.get(key, ABSENT) for key in values}
    try:
        yield
    finally:
        for key, value in before.items():
            if shared.opts.data.get(key, ABSENT) == values[key]:
                put(key, value)
