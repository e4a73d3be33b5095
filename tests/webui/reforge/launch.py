"""Test host: what install.py asks."""

from types import SimpleNamespace

args = SimpleNamespace(skip_install=False)


def is_installed(name: str) -> bool:
    return True
