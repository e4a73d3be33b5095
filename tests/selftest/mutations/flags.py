"""Statements 8, 20 and 21: Stop, Skip and Interrupt."""

from __future__ import annotations

import contextlib
from typing import Any

from tests.selftest.mutations.registry import Patch, breaks


@breaks(20, "stop mid-image", hosts=("a1111", "forge"))
@breaks(21, "a run", hosts=("a1111",))
@breaks(21, "the host's Skip", hosts=("a1111", "forge"))
def partial_images_returned(patch: Patch) -> None:
    from lib_optim.hosts.webui.jobs import JobDesk

    patch.setattr(JobDesk, "cut_short", lambda self: False)


@breaks(21, "the host's Interrupt", hosts=("a1111", "forge"))
def interrupt_button_not_looked_at(patch: Patch) -> None:
    from lib_optim.hosts.webui.jobs import JobDesk

    patch.setattr(JobDesk, "cut_short", lambda self: self._cut)


@breaks(20, "stop mid-image", hosts=("standalone",))
@breaks(21, "the host's Interrupt", hosts=("standalone",))
def interrupts_ignored(patch: Patch) -> None:
    from lib_optim.hosts.base import GenerationProgress
    from lib_optim.hosts.standalone.host import StandaloneHost

    def on_step(self: Any, step: int, steps: int) -> None:
        self._progress = GenerationProgress(step, steps)

    patch.setattr(StandaloneHost, "_on_step", on_step)


@breaks(20, "stop mid-image", hosts=("a1111", "forge"))
def sticky_flag_kept(patch: Patch) -> None:
    from lib_optim.hosts.webui.jobs import JobDesk

    original = JobDesk.job

    @contextlib.contextmanager
    def job(self: Any, title: str) -> Any:
        from modules import shared

        flags = False, False
        try:
            with original(self, title):
                try:
                    yield
                finally:
                    flags = shared.state.interrupted, shared.state.skipped
        finally:
            shared.state.interrupted, shared.state.skipped = flags

    patch.setattr(JobDesk, "job", job)


@breaks(20, "stop between two trials", hosts=("a1111",))
def stop_forgotten_by_the_next_trial(patch: Patch) -> None:
    from lib_optim.run.control import Control

    patch.setattr(Control, "stop", lambda self: None)


@breaks(8, "Stop", hosts=("a1111",))
@breaks(8, "skip", hosts=("forge",))
def buttons_do_nothing(patch: Patch) -> None:
    from lib_optim.run.manager import RunManager

    patch.setattr(RunManager, "skip_trial", lambda self: None)
    patch.setattr(RunManager, "stop", lambda self: None)


@breaks(8, "script unload", hosts=("a1111",))
def unload_does_not_wait(patch: Patch) -> None:
    from lib_optim.run.manager import RunManager

    original = RunManager.stop
    patch.setattr(RunManager, "close", lambda self, timeout=60.0: original(self) and None)
    patch.setattr(RunManager, "wait", lambda self, timeout=None: True)
