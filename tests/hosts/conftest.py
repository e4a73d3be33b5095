"""Fixtures for the adapters: a test host with our adapter in it."""

from tests.hosts.webui_rig import a1111, forge, rig, rig_a, rig_f, webui, webui_xl

__all__ = ["a1111", "forge", "rig", "rig_a", "rig_f", "webui", "webui_xl"]
