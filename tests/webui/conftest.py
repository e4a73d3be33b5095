"""Fixtures: the test host itself."""

from tests.webui.fixtures import a1111, forge, webui, webui_xl

__all__ = ["a1111", "forge", "webui", "webui_xl"]
