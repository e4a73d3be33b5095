"""The halves of statements 7, 8, 16, 19 to 22 and 26 to 28 that need the run manager: tiny runs, spied upon."""

from __future__ import annotations

import hashlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.bounds import Bound
from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from lib_optim.plan.payload import Payload
from lib_optim.plan.run_plan import Budget, ModelRef, RunPlan, SamplerSpec, SaveSpec, VerifySpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.selftest.background import PATIENCE, Failed
from lib_optim.selftest.bench import Bench
from lib_optim.selftest.spy import SpyHost
from lib_optim.selftest.stage import PROMPT

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager
    from lib_optim.selftest.pixels import Picture

__all__ = ["Run", "tiny_run", "watched_run"]

ENDED = ("idle", "finished", "failed")
_LONG_PAUSE = 3.0  # seconds


@dataclass
class Run:
    """One run and what was seen of it.

    Attributes:
        spy: Between the manager and the host.
        manager: The run manager.
        folder: Run folders lie here.
        snapshots: Taken every few milliseconds by another thread.
        client: Another client's image, asked for during the run.
    """

    spy: SpyHost
    manager: RunManager
    folder: Path
    snapshots: list[dict[str, Any]] = field(default_factory=list)
    client: Picture | None = None

    @property
    def state(self) -> str:
        """State of the run."""
        return str(self.manager.snapshot()["state"])

    def trials(self) -> list[dict[str, Any]]:
        """All trials so far."""
        return list(self.manager.snapshot()["trials"])

    def wait_for(self, *states: str) -> None:
        """Wait until the run is in one of `states`.

        Raises:
            Failed: It does not get there, or ends on the way.
        """
        until = time.monotonic() + PATIENCE
        while (now := self.manager.snapshot())["state"] not in states:
            if time.monotonic() > until or (now["state"] in ENDED and not self.manager.active):
                raise Failed(f"the run is {now['state']} instead of {' or '.join(states)}: {now['sentence']}")
            time.sleep(0.005)

    def wait_for_end(self) -> None:
        """Wait until the worker has gone.

        Raises:
            Failed: It does not go, or pauses for good.
        """
        until, paused = time.monotonic() + PATIENCE, 0.0
        while not self.manager.wait(0.1):
            now = self.manager.snapshot()
            # Just after `go_on` it is still paused for a moment.
            paused = (paused or time.monotonic()) if now["state"] == "paused" else 0.0
            if paused and time.monotonic() - paused > _LONG_PAUSE:
                raise Failed(f"the run paused instead of ending: {now['sentence']}")
            if time.monotonic() > until:
                raise Failed(f"the run did not end in {PATIENCE:.0f} s")

    def stored_pixels(self) -> dict[str, str]:
        """Hash of the pixels of every image file of the run, by file name."""
        from PIL import Image

        found = {}
        for path in sorted(self.folder.rglob("images/*.png")):
            with Image.open(path) as image:
                found[path.name] = hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()[:12]
        return found

    def infotexts(self) -> dict[str, str]:
        """Infotext inside every image file of the run, by file name."""
        from PIL import Image

        found = {}
        for path in sorted(self.folder.rglob("images/*.png")):
            with Image.open(path) as image:
                found[path.name] = str(image.info.get("parameters", ""))
        return found


@contextmanager
def tiny_run(
    bench: Bench, trials: int = 2, long: bool = False, prepare: Callable[[Run], None] = lambda run: None
) -> Iterator[Run]:
    """Start a run of base and variant, one weight each for UNet and text encoder, in a folder of its own.

    `prepare` may set the spy's hooks before it begins. At the end the manager is closed, whatever happened.
    """
    from lib_optim.run.manager import RunManager

    variant = bench.variant()
    payload = Payload(
        "self-test", PROMPT, "blurry", 1, bench.long_steps if long else bench.steps,
        width=bench.size, height=bench.size, n_iter=2,
    )  # fmt: skip
    plan = RunPlan(
        name="self-test",
        models=(ModelRef(str(bench.base.path), title=bench.base.title), ModelRef(str(variant.path))),
        method="weighted_sum",
        guide=Guide(
            tuple(ComponentGuide(c, (Strategy("single"),)) for c in sorted(bench.components)),
            {"alpha": Bound("float", 0.2, 1.0)},
        ),
        payloads=(payload,),
        scorers=(ScorerSpec("technical", device="cpu"),),
        sampler=SamplerSpec("random", presets=("half",)),
        budget=Budget(trials),
        save=SaveSpec(checkpoint=False),
        seed=1,
        verify=VerifySpec(0),
    )
    # Windows keeps a lock on files that a thread has only just closed; leftovers are no finding.
    with tempfile.TemporaryDirectory(prefix="optim-selftest-", dir=bench.folder, ignore_cleanup_errors=True) as name:
        spy = SpyHost(bench.host, Path(name))
        run = Run(spy, RunManager(spy, Path(name)), Path(name))
        prepare(run)
        try:
            run.manager.start(plan)
            yield run
        finally:
            run.manager.close()


def watched_run(bench: Bench) -> tuple[Run, dict[str, str], dict[str, str]]:
    """Return a complete run of three trials, with hashes and infotexts of its images; made at the first call.

    During its second trial another client asks for an image, if the host has other clients.
    """

    def make() -> tuple[Run, dict[str, str], dict[str, str]]:
        def prepare(run: Run) -> None:
            def before_image(number: int) -> None:
                if number == 2 and "client" in bench.before:
                    requests.append(bench.in_thread(lambda: bench.client_image(bench.plain)))

            run.spy.before_image = before_image

        requests: list[Any] = []
        over = threading.Event()

        def watch() -> None:
            while not over.is_set():
                run.snapshots.append(run.manager.snapshot())
                time.sleep(0.002)

        with tiny_run(bench, trials=3, prepare=prepare) as run:
            watching = bench.in_thread(watch)
            try:
                run.wait_for_end()
            finally:
                over.set()
                watching.result("watching the run")
            if requests:
                run.client = requests[0].result("another client's request")
            bench.expect(run.state == "finished", f"the run ended as {run.state}: {run.manager.snapshot()['sentence']}")
            return run, run.stored_pixels(), run.infotexts()

    return bench.keep("watched run", make)
