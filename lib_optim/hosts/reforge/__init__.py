"""reForge and Forge Classic: loaders like A1111's, over weights that ``ldm_patched`` holds."""

from __future__ import annotations

from lib_optim.hosts.reforge.host import ReForgeHost

__all__ = ["ReForgeHost"]
