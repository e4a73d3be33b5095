"""What a model slot offers, and the base that is offered where another model looks like it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from lib_optim.hosts.base import HostPaths
from lib_optim.ui.routes import mount
from tests.ui.fake import FakeManager
from tests.ui.families import make_family

pytestmark = pytest.mark.ui


@pytest.fixture
def family(manager: FakeManager) -> dict[str, Path]:
    return make_family(manager.host.paths().models)


@pytest.fixture
def client(manager: FakeManager, family: dict[str, Path]) -> Iterator[TestClient]:
    app = FastAPI()
    mount(app, manager)  # type: ignore[arg-type]
    with TestClient(app) as made:
        yield made


def rows(client: TestClient) -> dict[str, dict[str, Any]]:
    return {row["title"]: row for row in client.get("/optim/api/setup").json()["models"]}


def check(client: TestClient, models: list[Path | str], method: str) -> dict[str, Any]:
    form = client.get("/optim/api/setup").json()["form"]
    form |= {"models": [str(path) for path in models], "method": method, "trials": 2}
    return dict(client.post("/optim/api/check", json={"form": form}).json())


def test_loras_are_listed_last_and_are_no_model_a(client: TestClient, family: dict[str, Path]) -> None:
    listed = rows(client)
    assert list(listed)[-1] == "style"
    assert listed["style"]["badge"] == "LoRA · Stable Diffusion 1.x"
    assert (listed["style"]["lora"], listed["style"]["whole"], listed["style"]["usable"]) == (True, False, True)
    assert (listed["base"]["lora"], listed["base"]["whole"]) == (False, True)
    form = client.get("/optim/api/setup").json()["form"]
    assert str(family["style"]) not in form["models"]
    answer = check(client, [family["base"], family["style"]], "weighted_sum")
    assert answer["problems"] == []
    assert any("is a LoRA" in note for note in answer["notes"])
    answer = check(client, [family["style"], family["base"]], "weighted_sum")
    assert answer["problems"]


def test_the_hosts_lora_folder(
    manager: FakeManager, client: TestClient, family: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = manager.host.folder / "loras"
    (folder / "sub").mkdir(parents=True)
    moved = family["style"].rename(folder / "sub" / "moved.safetensors")
    paths: HostPaths = dataclasses.replace(manager.host.paths(), loras=folder)
    monkeypatch.setattr(manager.host, "paths", lambda: paths)
    row = rows(client)["sub/moved.safetensors"]
    assert (row["badge"], row["lora"], row["path"]) == ("LoRA", True, str(moved))
    answer = check(client, [family["base"], moved], "add_difference")
    assert answer["problems"] == []


def test_eight_models(client: TestClient, family: dict[str, Path], manager: FakeManager) -> None:
    models: list[Path] = [family["base"], family["left"], family["right"], family["style"]]
    for i in range(4):
        copy = manager.host.paths().models / f"copy{i}.safetensors"
        copy.write_bytes(family["left"].read_bytes())
        models.append(copy)
    assert check(client, list(models), "n_average")["problems"] == []
    assert check(client, list(models), "add_difference_ties")["problems"] == []
    (problem,) = check(client, list(models), "weighted_sum")["problems"]
    assert "takes 2 models, not 8" in problem["sentence"]


def test_another_base_is_offered_and_nothing_is_reordered(client: TestClient, family: dict[str, Path]) -> None:
    order = [family["left"], family["right"], family["base"]]
    offer = check(client, list(order), "add_difference_ties")["base"]
    assert "C (base.safetensors) looks like the common base" in offer["sentence"]
    assert offer["button"] == "Exchange C and A"
    assert offer["models"] == [str(family[name]) for name in ("base", "right", "left")]
    # where the method takes it from there, and where no base is wanted, there is nothing to offer
    assert check(client, list(order), "add_difference")["base"] is None
    assert check(client, list(order), "n_average")["base"] is None
    assert check(client, offer["models"], "add_difference_ties")["base"] is None
    assert "B (base.safetensors)" in check(client, [order[0], order[2], order[1]], "add_difference")["base"]["sentence"]
