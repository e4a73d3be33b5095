"""The Optim tab: a frame in Gradio, filled by our own page script over our own routes.

Gradio carries the frame only: its queued events lose fast clicks and die with a page reload, and its components
differ between the versions that the WebUIs pin (reference/interface.md). The page's parts are in ``javascript/``, its
look in ``style.css``; both are loaded by a WebUI by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

import gradio as gr

from lib_optim import __version__

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager

__all__ = ["build_tab", "frame_html"]


def build_tab(manager: RunManager, warning: str = "", beside: Callable[[], object] | None = None) -> gr.Blocks:
    """Return the tab for a WebUI's ``on_ui_tabs`` as ``(blocks, "Optim", "optim")``, or for a page of its own.

    Args:
        manager: The run manager.
        warning: A sentence that stays above the tab, or nothing.
        beside: Adds what a WebUI needs of Gradio beside the frame.
    """
    with gr.Blocks(analytics_enabled=False, title="Optim") as blocks:
        gr.HTML(frame_html(manager.host.title, warning), elem_id="optim_frame")
        if beside is not None:
            beside()
    return blocks


def frame_html(host: str, warning: str = "") -> str:
    """Return what stands in the tab until the page script takes over, and the warning that stays above it.

    Args:
        host: The program's name.
        warning: As `build_tab`.
    """
    above = (
        f'<div class="optim-root"><p class="optim-exposed" role="alert">{escape(warning)}</p></div>' if warning else ""
    )
    return above + (
        f'<div id="optim_root" class="optim-root" data-version="{escape(__version__)}" data-host="{escape(host)}">'
        '<div class="optim-loading">Optim is loading …</div>'
        "</div>"
    )
