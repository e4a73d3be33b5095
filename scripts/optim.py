"""Optim's door into the WebUI: tab, settings and routes. Whatever fails here is ours alone and never the WebUI's."""

from __future__ import annotations

import functools
import html
import logging
import sys
from collections.abc import Callable
from typing import Any

import gradio as gr
from modules import script_callbacks, scripts, shared

# The WebUI has the extension's root on sys.path while this file is loaded, and not later: import the package now.
if scripts.basedir() not in sys.path:
    sys.path.append(scripts.basedir())

import lib_optim
from lib_optim.run.singleton import current_manager, get_manager

_log = logging.getLogger("optim")


def _harmless(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Keep errors of `callback` from the WebUI: they go to the log and nothing else happens."""

    @functools.wraps(callback)
    def guarded(*arguments: Any, **named: Any) -> Any:
        try:
            return callback(*arguments, **named)
        except Exception:  # noqa: BLE001 - that is the point
            _log.exception("Optim %s: %s failed.", lib_optim.__version__, callback.__name__)
            return None

    return guarded


def _manager() -> Any:
    """Return the one run manager, which outlives "Reload UI" because its module stays loaded."""

    def make() -> Any:
        from lib_optim.hosts.detect import detect_host
        from lib_optim.run.manager import RunManager

        host = detect_host()
        return RunManager(host, host.paths().models.parent / "optim")

    return get_manager(make)


def _reach() -> Any:
    from lib_optim.ui.reach import reach_of

    return reach_of(getattr(shared, "cmd_opts", None))


@_harmless
def add_tab() -> list[tuple[gr.Blocks, str, str]]:
    try:
        from lib_optim.ui import tab

        manager = _manager()
        blocks = tab.build_tab(manager, _reach().warning, lambda: add_send_to(manager))
    except Exception as error:  # noqa: BLE001 - a tab that says why is worth more than none
        _log.exception("Optim %s could not build its tab.", lib_optim.__version__)
        with gr.Blocks(analytics_enabled=False) as blocks:
            gr.HTML(f"<p>Optim could not start: {html.escape(str(error))}</p><p>The console says more.</p>")
    return [(blocks, "Optim", "optim")]


@_harmless
def add_send_to(manager: Any) -> None:
    from lib_optim.hosts.webui import send_page
    from lib_optim.ui.compat import js_arg

    send_page.add_send_to(manager.image_path, js_arg)


@_harmless
def add_routes(demo: gr.Blocks | None, app: Any) -> None:
    del demo
    from lib_optim.ui import routes

    reach = _reach()
    if reach.warning:
        _log.warning("%s", reach.warning)
    # "Reload UI" comes here again, with a new app
    routes.mount(app, _manager(), reach.hosts, reach.credentials)


@_harmless
def add_settings() -> None:
    from lib_optim.hosts.webui import page

    page.add_settings()


@_harmless
def paste(infotext: str, params: dict[str, Any]) -> None:
    from lib_optim.hosts.webui.pasting import without_the_merge

    without_the_merge(infotext, params)


@_harmless
def put_all_back() -> None:
    """Before the scripts go away: end the run and give the user's model back."""
    manager = current_manager()
    if manager is not None:
        manager.close()


script_callbacks.on_ui_tabs(add_tab)
script_callbacks.on_app_started(add_routes)
script_callbacks.on_ui_settings(add_settings)
script_callbacks.on_infotext_pasted(paste)
script_callbacks.on_before_reload(put_all_back)
script_callbacks.on_script_unloaded(put_all_back)
