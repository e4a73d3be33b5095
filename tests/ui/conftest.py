"""A page over the fake manager, served by the Gradio of this environment."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from lib_optim.ui.routes import mount
from tests.ui.fake import FakeManager


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[FakeManager]:
    made = FakeManager(tmp_path, image_seconds=0.02)
    yield made
    made.close()


@pytest.fixture
def client(manager: FakeManager) -> Iterator[TestClient]:
    """The routes alone, over the fake manager."""
    app = FastAPI()
    mount(app, manager)  # type: ignore[arg-type]
    with TestClient(app) as made:
        yield made
