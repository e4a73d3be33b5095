"""Gradio's part of "Send to txt2img": what the WebUI itself listens to. Only `scripts/optim.py` imports this.

The page script writes run and file into a text field and clicks a button; the picture and its infotext are loaded into
two components of ours, and the WebUI's own paste buttons, which it has wired to these two, do the rest. That is the way
of both WebUIs since 1.6 (``ParamBinding``), whatever their Gradio.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

__all__ = ["add_send_to"]

_log = logging.getLogger(__name__)
_TABS = ("txt2img", "img2img", "inpaint", "extras")
_GO = """() => {
  const { tab } = JSON.parse(document.querySelector('#optim_send_source textarea, #optim_send_source input').value);
  setTimeout(() => document.getElementById(`optim_send_${tab}`).click(), 150);
}"""
"""Clicks the WebUI's button, once what it sends has arrived in the page."""


def add_send_to(image_path: Callable[[str, str], Path | None], js_arg: Callable[[str], dict[str, str]]) -> bool:
    """Add the hidden components to the Blocks that are being built; call it while the WebUI builds its tabs.

    Args:
        image_path: `RunManager.image_path`.
        js_arg: `lib_optim.ui.compat.js_arg`.

    Returns:
        Whether this WebUI can be sent anything.
    """
    paste = _paste_module()
    tabs = [tab for tab in _TABS if tab in getattr(paste, "paste_fields", {})]  # another name would break its start
    if not tabs:
        return False
    with gr.Row(elem_classes=["optim-root", "optim-send"]):
        source = _unsaved(gr.Textbox(elem_id="optim_send_source", show_label=False, container=False))
        image = gr.Image(type="pil", elem_id="optim_send_image", show_label=False, interactive=False)
        text = _unsaved(gr.Textbox(elem_id="optim_send_text", show_label=False, container=False))
        go = gr.Button("Send", elem_id="optim_send_go")
        buttons = {tab: gr.Button(tab, elem_id=f"optim_send_{tab}") for tab in tabs}

    def load(wanted: str) -> tuple[Any, Any]:
        return _picture(image_path, wanted)

    loaded = go.click(load, [source], [image, text], show_progress=False, api_name=False)
    loaded.then(None, None, None, **js_arg(_GO))
    for tab, button in buttons.items():
        paste.register_paste_params_button(
            paste.ParamBinding(
                paste_button=button, tabname=tab, source_text_component=text, source_image_component=image
            )
        )
    return True


def _picture(image_path: Callable[[str, str], Path | None], wanted: str) -> tuple[Any, Any]:
    """Return picture and infotext of what the page asks for; nothing changes where there is no such picture."""
    try:
        asked = json.loads(wanted)
        path = image_path(str(asked["folder"]), str(asked["file"]))
        if path is not None:
            with Image.open(path) as picture:
                return picture.convert("RGB"), str(picture.info.get("parameters") or "")
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("A picture could not be sent: %s", error)
    return gr.update(), gr.update()


def _paste_module() -> Any:
    try:
        from modules import infotext_utils
    except ImportError:
        try:
            from modules import generation_parameters_copypaste as infotext_utils  # before 1.8
        except ImportError:
            return None
    return infotext_utils


def _unsaved(component: Any) -> Any:
    """Keep the WebUI from storing the field's value in its ui-config.json."""
    component.do_not_save_to_config = True
    return component
