"""What a test needs that this machine may lack, and the small real thing that many tests share."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.storages import KINDS, Server, start

if TYPE_CHECKING:
    from tests.rig import Rig

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

# The same examples in every run, and no stopwatch per example: the machine may be a shared one.
settings.register_profile("optim", deadline=None, derandomize=True)
settings.load_profile("optim")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with a reason, what cannot run here. Nothing is skipped silently, and `slow` never is."""
    if item.get_closest_marker("browser") and not any(map(shutil.which, BROWSERS)):
        if os.environ.get("OPTIM_REQUIRE_BROWSER") == "1":
            pytest.fail("there is no Chromium, and OPTIM_REQUIRE_BROWSER=1 asks for the browser tests", pytrace=False)
        pytest.skip("needs a Chromium (on Debian: the package chromium, /usr/bin/chromium)")
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a GPU that PyTorch sees")
    if item.get_closest_marker("hub") and os.environ.get("OPTIM_TEST_HUB") != "1":
        pytest.skip("needs a network and a model hub; set OPTIM_TEST_HUB=1 where there are both")
    given = [name for name in os.environ if name.startswith("OPTIM_") and name.endswith("_WEIGHTS")]
    if item.get_closest_marker("original_weights") and not given:
        pytest.skip("needs published weights; set OPTIM_IMAGEREWARD_WEIGHTS to the folder that holds them")


@pytest.fixture(scope="session")
def demo_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the demo pair, made once per session. Nobody may change the files: they get linked."""
    from lib_optim.hosts.standalone.demo import make_demo_checkpoints
    from lib_optim.merging.hashing import _hash

    folder = tmp_path_factory.mktemp("demo")
    before = {path: _hash(path) for path in make_demo_checkpoints(folder)}
    yield folder
    for path, digest in before.items():
        assert _hash(path) == digest, f"a test changed {path.name}"


@pytest.fixture
def make_rig(demo_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Rig]]:
    """A factory of standalone hosts with a run manager each, in folders of their own; closed at the end."""
    from tests.rig import Rig

    rigs: list[Rig] = []

    def make(folder: Path | None = None) -> Rig:
        rigs.append(Rig(folder or tmp_path_factory.mktemp("rig"), demo_models))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    """One of `make_rig`, with the first demo checkpoint loaded, as a user would have it."""
    made = make_rig()
    made.host.choose(made.checkpoint("demo-a"))
    return made


@pytest.fixture(scope="session")
def server() -> Iterator[Callable[[str], Server]]:
    """The session's own server of a kind; skips where there is none."""
    running: dict[str, Server] = {}
    with contextlib.ExitStack() as stack:

        def get(kind: str) -> Server:
            if kind not in running:
                running[kind] = stack.enter_context(start(kind))
            return running[kind]

        yield get


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, server: Callable[[str], Server], tmp_path: Path) -> tuple[str, str]:
    """The URL of a storage of each kind, and the name of a study that is not in it yet."""
    url = f"sqlite:///{tmp_path / 'study.db'}" if request.param == "sqlite" else server(request.param).url
    return url, uuid.uuid4().hex
