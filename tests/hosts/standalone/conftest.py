"""One demo pair for all tests of the standalone host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lib_optim.hosts.standalone import StandaloneHost
from lib_optim.hosts.standalone.demo import make_demo_checkpoints
from lib_optim.plan.payload import ImageJob, Payload, jobs_of


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_demo_checkpoints(folder)
    return folder


@pytest.fixture(scope="module")
def shared_host(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> StandaloneHost:
    return StandaloneHost(tmp_path_factory.mktemp("data"), demo_folder, device="cpu")


@pytest.fixture
def host(shared_host: StandaloneHost) -> Iterator[StandaloneHost]:
    """The shared host with the first demo checkpoint loaded."""
    with shared_host.exclusive():
        shared_host.load(shared_host.checkpoints(refresh=True)[0])
    yield shared_host
    assert not shared_host._lock.waiting()


def job_of(**fields: object) -> ImageJob:
    settings = {"name": "t", "prompt": "a red fox", "seed": 3, "steps": 2, "width": 64, "height": 64, **fields}
    return jobs_of((Payload.from_json(settings, "t"),))[0]


def pixels(host: StandaloneHost, **fields: object) -> bytes:
    """Generate under the caller's lock."""
    with host.job("test"):
        return host.generate(job_of(**fields), {}).image.tobytes()
