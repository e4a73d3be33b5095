"""scripts/optim.py: what a WebUI loads, and what it may cost."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from lib_optim.plan.settings import FOLDERS, SETTINGS, settings_of
from lib_optim.run.own_folders import methods_folder, scorers_folder
from tests.hosts.webui_rig import STAMP, Rig, image_job
from tests.webui.fixtures import TestHost

pytestmark = pytest.mark.ui
ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "optim.py"


@pytest.fixture
def script(webui: TestHost, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, loaded as the WebUI loads it, with a run manager of its own."""
    from lib_optim.run import singleton

    monkeypatch.setattr(singleton, "_manager", None)
    return load()


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("optim.py", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(webui: TestHost, name: str, *arguments: Any) -> list[Any]:
    return webui.module("modules.script_callbacks").run(name, *arguments)


def test_tab_settings_and_routes(webui: TestHost, script: ModuleType) -> None:
    import gradio as gr
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    [[(blocks, title, name)]] = run(webui, "ui_tabs")
    assert isinstance(blocks, gr.Blocks)
    assert (title, name) == ("Optim", "optim")
    run(webui, "ui_settings")
    rows = {row.key: row for row in SETTINGS}
    assert {f"optim_{key}": row.default for key, row in rows.items()} == {
        name: info.default for name, info in webui.opts.data_labels.items() if name.startswith("optim_")
    }
    for key, row in rows.items():
        info = webui.opts.data_labels[f"optim_{key}"]
        assert (info.label, info.section) == (row.label, ("optim", "Optim"))
        assert info.component(label=row.label, value=row.default, **info.component_args)  # this Gradio takes it
    webui.opts.data["optim_outputs"] = str(webui.folder / "runs")
    assert script.current_manager().outputs == webui.folder / "runs"
    app, again = FastAPI(), FastAPI()
    for each in (app, app, again):  # "Reload UI" brings a new app
        run(webui, "app_started", blocks, each)
    manager = script.current_manager()
    assert manager.host.id == webui.flavour
    for each in (app, again):
        with TestClient(each, base_url="http://127.0.0.1") as client:
            assert client.get("/optim/api/setup").status_code == 200
            shown = client.get("/optim/api/settings").json()
            assert (shown["own"], shown["values"]["outputs"]) == (False, str(webui.folder / "runs"))
            answer = client.post("/optim/api/settings", json={"values": {"sound": True}})
            assert (answer.status_code, "section Optim" in answer.text) == (400, True)
    load()  # the scripts run again, the manager stays
    assert script.current_manager() is manager


def test_the_settings_of_the_webui_hold(webui: TestHost, script: ModuleType, tmp_path: Path) -> None:
    run(webui, "ui_settings")
    host = script._manager().host
    assert host.settings() == settings_of({})
    paths = host.paths()
    assert (paths.outputs, paths.methods, paths.scorers) == (webui.folder / "outputs" / "optim", None, None)
    changed = {"methods": "mine", "scorers": str(tmp_path), "poll": 3, "notify": False, "thumbs": "huge"}
    webui.opts.data.update({f"optim_{key}": value for key, value in changed.items()})
    assert (methods_folder(host), scorers_folder(host)) == (webui.folder / "mine", tmp_path)
    values = host.settings()
    assert (values["poll"], values["notify"]) == (3, False)
    assert values["thumbs"] == "automatic"  # of an older or a newer Optim
    restricted = {row.key for row in SETTINGS if getattr(webui.opts.data_labels[f"optim_{row.key}"], "restrict_api", 0)}
    assert restricted == set(FOLDERS)


def test_a_picture_of_a_merge_pasted_elsewhere_asks_for_no_model_that_is_not_there(
    webui: TestHost, script: ModuleType
) -> None:
    rig = Rig(webui)
    session = rig.open()
    with rig.host.exclusive(), session.live_weights() as live, rig.host.job("trial"):
        rig.write(live, 0.5)
        infotext = rig.host.generate(image_job(), STAMP).infotext
    with rig.host.exclusive():
        session.close()
    found = dict(part.split(": ", 1) for part in infotext.splitlines()[-1].split(", "))
    assert found["Model"] == "a (Optim merge)"
    assert found["Model hash"] == "optim-1f3a"
    pasted = {"Prompt": "a cat", **found}
    run(webui, "infotext_pasted", infotext, pasted)
    assert set(found) - set(pasted) == {"Model", "Model hash"}
    assert pasted["Optim trial"] == "run 3"
    others = {"Model": "a", "Model hash": "1f3a0000aa"}
    run(webui, "infotext_pasted", "", others)
    assert others == {"Model": "a", "Model hash": "1f3a0000aa"}


@pytest.mark.parametrize("event", ["on_reload", "script_unloaded"])
def test_the_model_is_put_back_before_the_scripts_go(webui: TestHost, script: ModuleType, event: str) -> None:
    closed = []
    run(webui, event)  # nothing was started yet: nothing to close, and none is made
    assert script.current_manager() is None
    script._manager().close = lambda: closed.append(1)
    run(webui, event)
    assert closed == [1]


def test_our_failures_stay_ours(webui: TestHost, script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **named: Any) -> None:
        raise RuntimeError("broken <on purpose>")

    monkeypatch.setattr(script, "get_manager", fail)
    [[(blocks, title, _)]] = run(webui, "ui_tabs")
    assert title == "Optim"
    shown = [block.value for block in blocks.blocks.values() if getattr(block, "value", None)]
    assert any("broken &lt;on purpose&gt;" in str(value) for value in shown)
    run(webui, "app_started", None, SimpleNamespace(routes=[]))
    monkeypatch.setattr(script, "current_manager", fail)
    run(webui, "script_unloaded")
    monkeypatch.setattr(webui.module("modules.shared"), "opts", None)
    run(webui, "ui_settings")


def test_the_script_is_short() -> None:
    assert len(SCRIPT.read_text(encoding="utf-8").splitlines()) < 150


def test_a_start_imports_no_torch(tmp_path: Path) -> None:
    """In a process of its own, with stand-ins for the few names of the WebUI that are touched at start."""
    code = f"""
import sys, types
import gradio, fastapi  # the WebUI has these anyway
names = "modules.script_callbacks modules.scripts modules.shared modules.call_queue modules.paths_internal".split()
for name in ["modules", *names]:
    sys.modules[name] = module = types.ModuleType(name)
    module.__spec__ = types.SimpleNamespace(submodule_search_locations=[], loader=None, origin=None, name=name)
    if "." in name:
        setattr(sys.modules["modules"], name.split(".")[1], module)
calls = {{}}
from modules import script_callbacks, scripts, shared, paths_internal
for event in "ui_tabs app_started ui_settings infotext_pasted before_reload script_unloaded".split():
    setattr(script_callbacks, "on_" + event, lambda call, event=event: calls.update({{event: call}}))
scripts.basedir = lambda: {str(ROOT)!r}
shared.opts = types.SimpleNamespace(add_option=lambda *a: None)
shared.OptionInfo = lambda *a, **k: types.SimpleNamespace(info=lambda text: None)
shared.cmd_opts = types.SimpleNamespace()
paths_internal.default_output_dir = paths_internal.data_path = paths_internal.models_path = {str(tmp_path)!r}
sys.path.insert(0, {str(ROOT)!r})
before = set(sys.modules)
exec(compile(open({str(SCRIPT)!r}).read(), "optim.py", "exec"), {{"__name__": "optim.py"}})
calls["ui_settings"]()
[(blocks, title, name)] = calls["ui_tabs"]()
calls["app_started"](blocks, fastapi.FastAPI())
heavy = ("torch", "transformers", "diffusers", "sd_mecha", "optuna")
print(sorted(m for m in set(sys.modules) - before if m.split(".")[0] in heavy))
assert blocks.blocks
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "could not" not in done.stderr, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_a_webui_that_is_open_to_the_network_says_so(
    webui: TestHost, script: ModuleType, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    options = webui.module("modules.shared").cmd_opts

    def text() -> str:
        [[(blocks, _, _)]] = run(webui, "ui_tabs")
        return " ".join(str(getattr(block, "value", "")) for block in blocks.blocks.values())

    def status(app: FastAPI, host: str) -> int:
        with TestClient(app) as client:
            return int(client.get("/optim/api/snapshot", headers={"host": host}).status_code)

    closed, opened = FastAPI(), FastAPI()
    assert "no login" not in text()
    run(webui, "app_started", None, closed)
    assert "no login" not in caplog.text
    assert (status(closed, "localhost:7860"), status(closed, "evil.example")) == (200, 403)
    monkeypatch.setattr(options, "listen", True, raising=False)
    assert "--listen and no login" in text()
    run(webui, "app_started", None, opened)
    assert "--listen and no login" in caplog.text
    assert status(opened, "my.example") == 200
    monkeypatch.setattr(options, "gradio_auth", "ann:secret", raising=False)
    assert "no login" not in text()


def test_every_route_asks_for_the_login_after_the_ui_was_reloaded(webui: TestHost, script: ModuleType) -> None:
    import re

    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    run(webui, "app_started", None, FastAPI())
    load()
    again = FastAPI()
    again.auth = ("ann", "secret")  # as Gradio marks its app; a login without its route opens nothing
    run(webui, "app_started", None, again)
    routes = [route for route in again.routes if route.path.startswith("/optim")]
    assert len(routes) > 30
    with TestClient(again, base_url="http://127.0.0.1") as client:
        for route in routes:
            for method in route.methods - {"HEAD", "OPTIONS"}:
                answer = client.request(
                    method, re.sub(r"{\w+}", "x", route.path), json={} if method == "POST" else None
                )
                assert answer.status_code == 401, (method, route.path)
