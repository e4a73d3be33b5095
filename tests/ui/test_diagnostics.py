"""The report for an issue: what is in it, and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from lib_optim import __version__
from lib_optim.ui.diagnostics import hidden
from tests.ui.fake import FakeManager
from tests.ui.test_routes import default_form, until

pytestmark = pytest.mark.ui

TRACE = """Traceback (most recent call last):
  File "/home/ann.example/webui/extensions/optim/lib_optim/run/worker.py", line 12, in run
    raise StoreError(f"{path} is gone")
StoreError: /home/ann.example/models/my secret/best-mix.safetensors is gone, prompt 'a nude prompt'"""


def text_of(client: TestClient, names: int = 0) -> str:
    return str(client.get(f"/optim/api/report?names={names}").json()["text"])


def test_what_is_private_is_hidden_and_what_helps_stays() -> None:
    text = hidden(TRACE)
    for private in ("ann", "home", "secret/", "best-mix", "nude"):
        assert private not in text, (private, text)
    for useful in ("Traceback", 'File "worker.py", line 12, in run', "StoreError", "is gone"):
        assert useful in text, useful
    assert hidden("C:\\Users\\Ann B\\model-x.ckpt is truncated.") == "… is truncated."


def test_before_a_run_it_tells_the_versions_and_the_host(client: TestClient, manager: FakeManager) -> None:
    text = text_of(client)
    assert text.startswith(f"Optim {__version__}\n")
    for word in (manager.host.title, manager.host.version, "torch ", "optuna ", "Self-test: idle", "No run was opened"):
        assert word in text, word


def test_of_a_run_it_tells_settings_and_errors_without_names_and_prompts(
    client: TestClient, manager: FakeManager
) -> None:
    form: dict[str, Any] = {**default_form(client), "name": "my secret mix", "trials": 3}
    folder = client.post("/optim/api/start", json={"form": form}).json()["folder"]
    until(lambda: client.get("/optim/api/snapshot").json()["state"] == "finished")
    manager.view.error("The file best-mix.safetensors of 'my prompt' is gone; choose another.")
    log = manager.outputs / folder / "log.txt"
    log.write_text(f"2026-01-31 12:00:00,123 ERROR lib_optim.run.worker: It failed.\n{TRACE}\n")
    text = text_of(client)
    models = [row.rsplit("/", 1)[-1].removesuffix(".safetensors") for row in form["models"] if row]
    prompts = [row["prompt"] for row in client.get("/optim/api/setup").json()["payloads"] if row["prompt"]]
    for private in (folder, "secret", "best-mix", "my prompt", "nude", str(manager.outputs), *models, *prompts):
        assert private not in text, private
    for useful in ("method: weighted_sum", "3 trials", "is gone; choose another", "worker.py", "Payloads: "):
        assert useful in text, useful
    named = text_of(client, 1)
    assert "best-mix.safetensors" in named
    assert folder in named
    assert models[0] in named
    assert str(manager.outputs) not in named
    assert not any(prompt in json.dumps(named) for prompt in prompts)
