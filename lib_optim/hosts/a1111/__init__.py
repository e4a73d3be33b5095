"""AUTOMATIC1111's stable-diffusion-webui, 1.10."""

from __future__ import annotations

from lib_optim.hosts.a1111.host import A1111Host

__all__ = ["A1111Host"]
