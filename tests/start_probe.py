"""What a WebUI does with the extension at its start, in a process of its own: run by test_imports.py.

Everything that a WebUI has loaded by then is imported first; what remains is ours. Prints one line of JSON.
"""

from __future__ import annotations

import importlib.machinery
import json
import sys
import time
import types
from pathlib import Path
from typing import Any

_before = time.process_time()

import fastapi  # noqa: E402
import gradio  # noqa: E402, F401 - a WebUI has it already
import numpy  # noqa: E402, F401, ICN001
import PIL.Image  # noqa: E402, F401
import yaml  # noqa: E402, F401

THE_WEBUIS = time.process_time() - _before

ROOT = Path(__file__).resolve().parents[1]
HOOKS = (
    "on_ui_tabs", "on_app_started", "on_ui_settings", "on_infotext_pasted", "on_before_reload", "on_script_unloaded",
)  # fmt: skip


def main() -> None:
    registered: dict[str, Any] = {}
    _stub_webui(registered)
    loaded = set(sys.modules)
    wall, cpu = time.perf_counter(), time.process_time()

    source = (ROOT / "scripts" / "optim.py").read_text(encoding="utf-8")
    exec(compile(source, "optim.py", "exec"), {"__name__": "optim"})
    tabs = registered["on_ui_tabs"]()
    registered["on_ui_settings"]()
    app = fastapi.FastAPI()
    registered["on_app_started"](None, app)

    seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "gradio": THE_WEBUIS}
    report = {
        "seconds": seconds,
        "hooks": sorted(registered),
        "tabs": [list(tab[1:]) for tab in tabs],
        "routes": sorted({route.path for route in app.routes if route.path.startswith("/optim")}),
        "modules": sorted({name.split(".")[0] for name in set(sys.modules) - loaded}),
        "threads": [thread.name for thread in __import__("threading").enumerate()],
    }
    print(json.dumps(report))


class _OptionInfo:
    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def info(self, text: str) -> _OptionInfo:
        return self


def _stub_webui(registered: dict[str, Any]) -> None:
    """Put the little of A1111 that is touched at start into ``sys.modules``."""

    def make(name: str, **content: Any) -> types.ModuleType:
        module = types.ModuleType(name)
        module.__dict__.update(content)
        module.__path__ = []
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        sys.modules[name] = module
        return module

    folder = str(ROOT)
    options = types.SimpleNamespace(data={}, data_labels={}, add_option=lambda *_: None)
    content = {
        "script_callbacks": {hook: lambda fn, hook=hook: registered.setdefault(hook, fn) for hook in HOOKS},
        "scripts": {"basedir": lambda: folder},
        "shared": {"opts": options, "cmd_opts": types.SimpleNamespace(), "OptionInfo": _OptionInfo},
        "call_queue": {},
        "paths_internal": {"models_path": folder, "data_path": folder, "default_output_dir": folder},
    }
    modules = {name: make(f"modules.{name}", **attributes) for name, attributes in content.items()}
    make("modules", **modules)


if __name__ == "__main__":
    main()
