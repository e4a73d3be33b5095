"""What several mutations share."""

from __future__ import annotations

from typing import Any

from tests.selftest.mutations.registry import Patch

__all__ = ["capture_unchecked", "restore_skipped_by"]


def restore_skipped_by(patch: Patch) -> None:
    from lib_optim.hosts.live import TableSession

    patch.setattr(TableSession, "_put_back", lambda self, weights: None)


def capture_unchecked(original: Any) -> Any:
    def capture(self: Any, key: str) -> None:
        digests, self._digests = self._digests, {}
        try:
            original(self, key)
        finally:
            self._digests = digests

    return capture
