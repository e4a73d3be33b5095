"""Optim's section in the WebUI's Settings. Only `scripts/optim.py` imports this: it needs Gradio."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lib_optim.hosts.webui.settings import option
from lib_optim.plan.settings import FOLDERS, SETTINGS, Setting

__all__ = ["add_settings"]

_SECTION = ("optim", "Optim")


def add_settings() -> None:
    """Add a row per setting, with the field that suits it."""
    from modules import shared

    for row in SETTINGS:
        component, arguments = _field(row)
        info = shared.OptionInfo(row.default, row.label, component, arguments, section=_SECTION)
        if row.help:
            info.info(row.help)
        if row.key in FOLDERS:
            info.restrict_api = True  # programs in them are run: whoever may only use the API must not name them
        shared.opts.add_option(option(row.key), info)


def _field(row: Setting) -> tuple[Any, dict[str, Any]]:
    if isinstance(row.default, bool):
        return gr.Checkbox, {}
    if row.choices:
        return gr.Radio, {"choices": list(row.choices)}
    if isinstance(row.default, str):
        return gr.Textbox, {}
    return gr.Slider, {"minimum": row.least, "maximum": row.most, "step": row.step}
