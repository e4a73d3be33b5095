"""A standalone host with the demo pair and a run manager: the real thing, small."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from safetensors.torch import load_file

from lib_optim.hosts.base import Checkpoint
from lib_optim.hosts.originals import same_bits
from lib_optim.hosts.standalone import StandaloneHost
from lib_optim.plan.combining import Combining
from lib_optim.plan.guide import ComponentGuide, Group, Guide, Strategy
from lib_optim.plan.payload import Payload
from lib_optim.plan.run_plan import Budget, ModelRef, RunPlan, SamplerSpec, SaveSpec, VerifySpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.folder import RunFolder
from lib_optim.run.guarding import GUARD
from lib_optim.run.manager import RunManager
from lib_optim.run.store import Store

__all__ = ["COMPONENTS", "PATIENCE", "Rig", "make_plan", "same_pixels"]

PATIENCE = 120.0  # seconds for anything to happen, on a machine that is busy
COMPONENTS = frozenset({"unet", "text_encoder", "vae"})
UNET = ComponentGuide("unet", (Strategy("group", groups=(Group("in", ("IN*",)), Group("out", ("OUT*", "M00")))),))
TEXT = ComponentGuide("text_encoder", (Strategy("all"),))
ENDED = ("finished", "failed")


def payload(name: str = "fox", **fields: Any) -> Payload:
    """A payload that takes a fraction of a second."""
    settings = {"prompt": f"a red {name}", "seed": 7, "steps": 2, "width": 64, "height": 64, "sampler_name": "Euler"}
    return Payload(name, **{**settings, **fields})


def make_plan(folder: Path, **changes: Any) -> RunPlan:
    """Two trials of two images, three parameters, scored without weights."""
    plan = RunPlan(
        name="test",
        models=tuple(ModelRef(str(folder / f"demo-{letter}.safetensors")) for letter in "ab"),
        method="weighted_sum",
        guide=Guide((TEXT, UNET)),
        payloads=(payload("fox"), payload("hill", seed=8)),
        scorers=(ScorerSpec("technical"),),
        sampler=SamplerSpec("random", presets=("half",)),
        budget=Budget(2),
        combining=Combining(scale="typical"),  # values that a test can work out; test_values.py has the default
        save=SaveSpec(checkpoint=False),
        seed=5,
        verify=VerifySpec(0),
    )
    return dataclasses.replace(plan, **changes)


class Rig:
    """A host, its manager, and what tests ask of them. `folder` may be used by several rigs, one after another."""

    def __init__(self, folder: Path, demo: Path, host: type[StandaloneHost] = StandaloneHost) -> None:
        self.folder = folder
        self.models = folder / "models"
        self.models.mkdir(exist_ok=True)
        if not any(self.models.glob("*.safetensors")):
            for file in demo.glob("*.safetensors"):
                _link(file, self.models / file.name)
        self.host = host(folder, device="cpu")
        self.manager = RunManager(self.host, folder / "scorers")

    # --- plans and runs

    def checkpoint(self, stem: str) -> Checkpoint:
        return next(c for c in self.host.checkpoints(refresh=True) if c.path.stem == stem)

    def plan(self, **changes: Any) -> RunPlan:
        return make_plan(self.models, **changes)

    def run(self, plan: RunPlan | None = None) -> dict[str, Any]:
        """Run to the end; return the last snapshot."""
        self.manager.start(plan or self.plan())
        return self.end()

    def end(self, *, state: str = "finished", errors: int | None = 0) -> dict[str, Any]:
        """Wait for the end of the run; check how it ended."""
        self.until(lambda: self.manager.wait(0.005) or self._paused(), "the end")
        assert not self.manager.active, (self.snapshot()["sentence"], self.snapshot()["errors"])
        snapshot = self.snapshot()
        assert snapshot["state"] == state, (snapshot["sentence"], snapshot["errors"])
        if errors is not None:
            assert len(snapshot["errors"]) == errors, snapshot["errors"]
        return snapshot

    def _paused(self) -> bool:
        """Whether the run waits for Continue; just after Continue its state is still "paused" for a moment."""
        worker = self.manager._worker
        return worker is not None and worker.control.pausing and self.snapshot()["state"] == "paused"

    def snapshot(self) -> dict[str, Any]:
        return self.manager.snapshot()

    def until(self, condition: Callable[[], Any], what: str = "it to happen") -> Any:
        """Wait until `condition` gives something true, which is returned."""
        limit = time.monotonic() + PATIENCE
        while not (found := condition()):
            snapshot = self.snapshot()
            assert time.monotonic() < limit, f"waited for {what}: {snapshot['state']}, {snapshot['sentence']}"
            time.sleep(0.005)
        return found

    def until_state(self, *states: str) -> dict[str, Any]:
        return self.until(lambda: (s := self.snapshot())["state"] in states and s, f"state {states}")

    def trials(self) -> list[dict[str, Any]]:
        return list(self.snapshot()["trials"])

    def states(self) -> list[str]:
        return [trial["state"] for trial in self.trials()]

    # --- what is on the disk

    def folder_of(self, name: str | None = None) -> RunFolder:
        (only,) = [name] if name else [path.name for path in self.host.paths().outputs.iterdir()]
        return RunFolder.open(self.host.paths().outputs, only)

    def stored(self, name: str | None = None) -> Stored:
        store = Store(self.folder_of(name).database)
        try:
            return Stored(store)
        finally:
            store.close()

    def log(self) -> str:
        return self.folder_of().log.read_text()

    # --- the host

    def has_originals(self, stem: str = "demo-a") -> bool:
        """Whether the loaded model has the bits of its file, every one; and the host's queue is free."""
        assert not self.host.others_waiting()
        file = load_file(self.models / f"{stem}.safetensors")
        base = self.checkpoint(stem)
        with self.host.exclusive():
            session = self.host.open_session(base, COMPONENTS)
            with session.live_weights() as live:
                keys = live.keys()
                assert len(keys) > 600
                same = all(same_bits(live.read(key), file[key].to(live.dtype_of(key))) for key in keys)
            session.close()
        return same

    def hook(
        self, name: str, before: Callable[..., Any] | None = None, after: Callable[..., Any] | None = None
    ) -> None:
        """Have `before` called with the arguments of a host's method, and `after` with its result."""
        method = getattr(self.host, name)

        def hooked(*arguments: Any, **keywords: Any) -> Any:
            if before is not None:
                before(*arguments, **keywords)
            result = method(*arguments, **keywords)
            return after(result) or result if after is not None else result

        setattr(self.host, name, hooked)

    def in_thread(self, function: Callable[[], Any]) -> Answer:
        return Answer(function)

    def close(self) -> None:
        self.manager.close(PATIENCE)
        assert not self.manager.active
        assert not self.host.others_waiting()
        taken = threading.Event()

        def take() -> None:
            with self.host.exclusive(lambda: True):
                taken.set()

        thread = threading.Thread(target=take)
        thread.start()
        thread.join(5)
        assert taken.is_set(), "the host's queue is still held"


class Stored:
    """What ``run.db`` holds."""

    def __init__(self, store: Store) -> None:
        self.trials = store.trials()
        self.worker = store.note("worker")
        self.images = store.images()
        self.scores = [score for score in store.scores() if score.scorer != GUARD]  # what judges and people gave
        self.comparisons = store.comparisons()

    def values(self) -> list[Mapping[str, Any]]:
        return [dict(trial.values) for trial in self.trials]

    def pixels(self) -> dict[tuple[int, int], str]:
        return {(image.trial, image.index): image.pixels for image in self.images if not image.skipped}


class Answer:
    """The result of a function that runs in a thread of its own."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._result: list[Any] = []
        self.began = time.monotonic()
        self.seconds = 0.0

        def work() -> None:
            try:
                self._result.append((True, function()))
            except BaseException as error:  # noqa: BLE001 - raised in `result`
                self._result.append((False, error))
            self.seconds = time.monotonic() - self.began

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def result(self) -> Any:
        self._thread.join(PATIENCE)
        assert self._result, "no answer"
        fine, value = self._result[0]
        if not fine:
            raise value
        return value


def same_pixels(a: Image.Image, b: Image.Image) -> bool:
    return a.size == b.size and a.convert("RGB").tobytes() == b.convert("RGB").tobytes()


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk
        target.write_bytes(source.read_bytes())
