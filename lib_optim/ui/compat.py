"""What differs between Gradio 3.41.2 and 4.40.0, and nothing else. No other module asks for the version.

Everything that moves in the tab is our own page script over our own JSON routes, which both versions carry the
same way; so this is all that is left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
from starlette.requests import Request

__all__ = ["GRADIO_4", "js_arg", "login_missing"]

GRADIO_4 = int(gr.__version__.split(".", 1)[0]) >= 4


def js_arg(script: str) -> dict[str, str]:
    """Return the keyword argument that gives an event its page script."""
    return {"js" if GRADIO_4 else "_js": script}


def login_missing(app: Any, request: Request) -> bool:
    """Tell whether `app` asks for a login that `request` does not carry.

    Both versions keep the question in a closure, reachable as the dependency of their own ``/login_check``.
    An app that wants a login but has no such route refuses: better locked than open.
    """
    if getattr(app, "auth", None) is None and getattr(app, "auth_dependency", None) is None:
        return False
    current_user = _current_user(app)
    return current_user is None or current_user(request) is None


def _current_user(app: Any) -> Callable[[Request], Any] | None:
    for route in app.routes:
        dependant = getattr(route, "dependant", None)
        if getattr(route, "path", "") == "/login_check" and dependant is not None and dependant.dependencies:
            return dependant.dependencies[0].call
    return None
