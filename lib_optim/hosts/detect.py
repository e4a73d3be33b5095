"""Which WebUI are we in?"""

from __future__ import annotations

import importlib.util

from lib_optim.hosts.base import Host
from lib_optim.plan.errors import HostError

__all__ = ["detect_host", "host_name"]

# In this order: Forge also has `modules`, and the older Forges lack `backend`.
_UNSUPPORTED = "reForge and Forge Classic are not supported yet; use Forge or AUTOMATIC1111, or Optim without a WebUI."


def host_name() -> str | None:
    """Return ``a1111`` or ``forge``, or None outside a WebUI.

    Raises:
        HostError: Another WebUI of the family, with a sentence for the user.
    """
    if not _has("modules") or not _has("modules.call_queue"):
        return None
    if not _has("modules_forge"):
        return "a1111"
    if _has("backend") and _has("backend.memory_management"):
        return "forge"
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
    raise HostError("This is no WebUI; start Optim by itself with: python -m lib_optim")


def _has(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
