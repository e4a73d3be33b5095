"""What the targets need: a folder with the demo pair, a run that has ended, and the JSON routes over them."""

from __future__ import annotations

import io
import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from lib_optim.plan.errors import RunError
from lib_optim.plan.scorers import MANUAL, ScorerSpec
from lib_optim.run.archive import export_run
from lib_optim.run.folder import RunFolder
from lib_optim.run.manager import RunManager
from tests.fuzz.traces import TRACES
from tests.rig import Rig

__all__ = ["Lab", "lab"]


@dataclass(frozen=True)
class Lab:
    """Made once. `folder` is where everything is, and `outside` beside it: what nobody may write."""

    folder: Path
    rig: Rig
    run: RunFolder
    archive: bytes
    plan: dict[str, Any]
    client: Any

    @property
    def scratch(self) -> Path:
        """A folder for the file under test."""
        path = self.folder / "scratch"
        path.mkdir(exist_ok=True)
        return path


def _refuse_launch(*_: object) -> None:
    raise RunError("No run is started here.")


@contextmanager
def lab(folder: Path, demo: Path) -> Iterator[Lab]:
    """Make a lab in `folder`, with the demo checkpoints of `demo`; runs in it can be opened, but none begins."""
    from fastapi import FastAPI
    from starlette.testclient import TestClient

    from lib_optim.ui.routes import mount

    rig = Rig(folder, demo)
    rig.host.choose(rig.checkpoint("demo-a"))
    plan = rig.plan(scorers=(ScorerSpec("technical"), ScorerSpec(MANUAL)))
    rig.manager.start(plan)
    for trial in range(2):
        for image in range(2):
            rig.until(lambda t=trial, i=image: _scored(rig, t, i), "an image to score")  # type: ignore[misc]
    rig.end()
    name = rig.folder_of().name
    (folder / "payloads").mkdir(exist_ok=True)
    (folder / "payloads" / "mine.json").write_text(json.dumps({"prompt": "a fox", "steps": 2}))
    packed = io.BytesIO()
    export_run(RunFolder.open(rig.manager.outputs, name), packed)
    app = FastAPI()
    mount(app, rig.manager)
    with (
        mock.patch.object(RunManager, "_launch", _refuse_launch),
        mock.patch("lib_optim.ui.http._log.exception", _keep_trace),
        TestClient(app, raise_server_exceptions=True) as client,
    ):
        found = RunFolder.open(rig.manager.outputs, name)
        yield Lab(folder, rig, found, packed.getvalue(), json.loads(found.plan.read_text()), client)
    rig.close()


def _keep_trace(*_: object) -> None:
    TRACES.append(traceback.format_exc(limit=-5))


def _scored(rig: Rig, trial: int, image: int) -> bool:
    try:
        rig.manager.score(trial, image, 5.0 + trial, f"request-{trial}-{image}")
    except RunError:
        return False
    return True
