"""The tab as a whole page, without a WebUI: plain Gradio on 127.0.0.1."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from starlette.responses import FileResponse, Response

from lib_optim.plan.errors import HostError
from lib_optim.ui.compat import js_arg
from lib_optim.ui.http import Call, Refused, endpoint
from lib_optim.ui.routes import mount
from lib_optim.ui.tab import build_tab

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager

__all__ = ["launch", "open_page", "serve"]

_log = logging.getLogger(__name__)
_ADDRESS = "127.0.0.1"
_HOSTS = ("127.0.0.1", "localhost")
_ROOT = Path(__file__).resolve().parents[2]
_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_MONO = ("ui-monospace", "Consolas", "monospace")

_LOAD = """() => {
  const [style, scripts] = %s;
  if (document.getElementById('optim_style')) return;
  const link = document.createElement('link');
  link.id = 'optim_style'; link.rel = 'stylesheet'; link.href = style;
  document.head.append(link);
  for (const source of scripts) {
    const script = document.createElement('script');
    script.src = source; script.async = false;
    document.head.append(script);
  }
}"""


def launch(manager: RunManager, port: int = 7870, open_browser: bool = True) -> None:
    """Serve the tab until the program is interrupted (Ctrl+C, SIGTERM); then stop the run and close `manager`.

    Raises:
        HostError: The port is taken.
    """
    blocks, url = open_page(manager, port)
    print(f"Optim runs on {url} (Ctrl+C ends it).", flush=True)
    if open_browser:
        import webbrowser

        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    # A service manager says goodbye with SIGTERM; that deserves the same good order as Ctrl+C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print("Ending: the run is stopped, everything so far is kept.", flush=True)
    finally:
        manager.close()
        blocks.close(verbose=False)


def open_page(manager: RunManager, port: int) -> tuple[gr.Blocks, str]:
    """Serve the tab from a thread of its own; return its Blocks (for ``close``) and its address.

    Raises:
        HostError: The port is taken.
    """
    theme = gr.themes.Default(
        primary_hue="indigo", secondary_hue="indigo", neutral_hue="slate", font=list(_FONTS), font_mono=list(_MONO)
    )
    tab = build_tab(manager)
    with gr.Blocks(analytics_enabled=False, title="Optim", theme=theme) as page:
        tab.render()
    return page, serve(page, manager, port)


def serve(page: gr.Blocks, manager: RunManager, port: int) -> str:
    """Serve `page`, which holds the tab, with everything that a WebUI would load for it; return its address.

    Raises:
        HostError: The port is taken.
    """
    _refuse_taken(port)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    with page:
        page.load(None, None, None, **js_arg(_LOAD % json.dumps(_assets())))
    try:
        app, url, _ = page.launch(
            server_name=_ADDRESS, server_port=port, prevent_thread_lock=True, quiet=True, show_api=False,
            inbrowser=False, share=False,
        )  # fmt: skip
    except OSError as error:
        raise _taken(port) from error
    mount(app, manager, _HOSTS)
    app.router.add_route("/optim/assets/{file}", endpoint(_asset, _HOSTS), methods=["GET"])
    return str(url)


def _refuse_taken(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name != "nt":  # elsewhere than on Windows it lets a port be reused that was just closed
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_ADDRESS, port))
        except OSError as error:
            raise _taken(port) from error


def _taken(port: int) -> HostError:
    return HostError(f"Port {port} is taken by another program; choose a free one with --port {port + 1}.")


def _assets() -> tuple[str, list[str]]:
    scripts = sorted((_ROOT / "javascript").glob("*.js"))

    def address(path: Path) -> str:
        return f"optim/assets/{path.name}?{path.stat().st_mtime_ns}"

    return address(_ROOT / "style.css"), [address(path) for path in scripts]


def _asset(call: Call) -> Response:
    allowed: dict[str, tuple[Path, str]] = {"style.css": (_ROOT / "style.css", "text/css")}
    allowed.update({path.name: (path, "text/javascript") for path in (_ROOT / "javascript").glob("*.js")})
    found: Any = allowed.get(call.path["file"])
    if found is None:
        raise Refused(404, "There is no such file.")
    return FileResponse(found[0], media_type=found[1], headers={"Cache-Control": "no-cache"})
