"""The one run manager of the process. "Reload UI" runs the scripts again, but this module stays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager

__all__ = ["current_manager", "get_manager"]

_guard = threading.Lock()
_manager: RunManager | None = None


def get_manager(factory: Callable[[], RunManager]) -> RunManager:
    """Return the manager, made by `factory` at the first call."""
    global _manager  # noqa: PLW0603
    with _guard:
        if _manager is None:
            _manager = factory()
        return _manager


def current_manager() -> RunManager | None:
    """Return the manager if there is one."""
    return _manager
