"""Which WebUI are we in?"""

from __future__ import annotations

import importlib.util

from lib_optim.hosts.base import Host
from lib_optim.plan.errors import HostError

__all__ = ["detect_host", "host_name"]

_UNSUPPORTED = (
    "This relative of Forge holds its models in a way that Optim does not know (neither `backend` nor `ldm_patched` is "
    "there); use Forge, reForge, Forge Classic or AUTOMATIC1111, or Optim without a WebUI."
)


def host_name() -> str | None:
    """Return the package in ``lib_optim.hosts`` for this process: ``a1111``, ``forge``, ``reforge``; None without one.

    By what the WebUI has, not by what it calls itself: reForge and Forge Classic are both ``reforge``.

    Raises:
        HostError: Another WebUI of the family, with a sentence for the user.
    """
    if not _has("modules") or not _has("modules.call_queue"):
        return None
    if not _has("modules_forge"):
        return "a1111"
    if _has("backend") and _has("backend.memory_management"):
        return "forge"
    if _has("ldm_patched") and _has("ldm_patched.modules.model_management") and _has("modules_forge.main_thread"):
        return "reforge"
    raise HostError(_UNSUPPORTED)


def detect_host() -> Host:
    """Return the adapter of the WebUI that this process is.

    Raises:
        HostError: It is none that Optim knows.
    """
    name = host_name()
    if name == "a1111":
        from lib_optim.hosts.a1111 import A1111Host

        return A1111Host()
    if name == "forge":
        from lib_optim.hosts.forge import ForgeHost

        return ForgeHost()
    if name == "reforge":
        from lib_optim.hosts.reforge import ReForgeHost

        return ReForgeHost()
    raise HostError("This is no WebUI; start Optim by itself with: python -m lib_optim")


def _has(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
