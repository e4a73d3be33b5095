"""Forge 2 (the generation with ``backend/``)."""

from __future__ import annotations

from lib_optim.hosts.forge.host import ForgeHost

__all__ = ["ForgeHost"]
