"""Send to txt2img and its neighbours: what is handed to the WebUI's own paste buttons."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.webui.fixtures import TestHost

pytestmark = pytest.mark.ui


class Paste:
    """`modules.infotext_utils`, as far as it is used."""

    def __init__(self, *tabs: str) -> None:
        self.paste_fields = {tab: {} for tab in tabs}
        self.bindings: list[Any] = []

    ParamBinding = SimpleNamespace

    def register_paste_params_button(self, binding: Any) -> None:
        self.bindings.append(binding)


def built(monkeypatch: pytest.MonkeyPatch, paste: Any, image_path: Any) -> tuple[bool, Any]:
    import gradio as gr

    from lib_optim.hosts.webui import send_page
    from lib_optim.ui.compat import js_arg

    monkeypatch.setattr(send_page, "_paste_module", lambda: paste)
    with gr.Blocks() as blocks:
        done = send_page.add_send_to(image_path, js_arg)
    return done, blocks


def test_only_tabs_that_the_webui_has_are_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    paste = Paste("txt2img", "extras", "somebody elses")
    done, blocks = built(monkeypatch, paste, lambda folder, file: None)
    assert done
    assert [binding.tabname for binding in paste.bindings] == ["txt2img", "extras"]
    ids = {getattr(block, "elem_id", None) for block in blocks.blocks.values()}
    assert {"optim_send_source", "optim_send_image", "optim_send_go", "optim_send_txt2img", "optim_send_extras"} <= ids
    assert "optim_send_img2img" not in ids
    for binding in paste.bindings:
        assert binding.source_text_component.do_not_save_to_config
        assert binding.source_image_component.elem_id == "optim_send_image"


def test_a_webui_without_paste_buttons_gets_none(monkeypatch: pytest.MonkeyPatch, webui: TestHost) -> None:
    for paste in (None, Paste()):
        done, blocks = built(monkeypatch, paste, lambda folder, file: None)
        assert not done
        assert not [b for b in blocks.blocks.values() if str(getattr(b, "elem_id", "")).startswith("optim_send")]


def test_what_is_sent_is_the_picture_and_its_infotext(tmp_path: Path) -> None:
    from lib_optim.hosts.webui.send_page import _picture

    info = PngInfo()
    info.add_text("parameters", "a fox\nSteps: 4, Seed: 7")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png", pnginfo=info)
    asked: list[tuple[str, str]] = []

    def path_of(folder: str, file: str) -> Path | None:
        asked.append((folder, file))
        return tmp_path / file if file == "a.png" else None

    picture, text = _picture(path_of, json.dumps({"folder": "run", "file": "a.png", "tab": "img2img"}))
    assert (picture.size, picture.getpixel((0, 0)), text) == ((8, 8), (255, 0, 0), "a fox\nSteps: 4, Seed: 7")
    assert asked == [("run", "a.png")]
    for wrong in ("", "{}", "[1]", '"x"', json.dumps({"folder": "run", "file": "../plan.json"})):
        picture, text = _picture(path_of, wrong)
        assert isinstance(picture, dict)  # nothing changes
        assert isinstance(text, dict)
