"""Where a run's merges are computed, and what they may keep in that memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from lib_optim.hosts.base import Host
from lib_optim.merging.constants import free_memory
from lib_optim.merging.merger import Merger
from lib_optim.plan.errors import Problem
from lib_optim.plan.run_plan import RunPlan

__all__ = ["DeviceMemory", "device_notes", "device_problems", "merge_device"]

_log = logging.getLogger(__name__)


def merge_device(plan: RunPlan, host: Host) -> str:
    """Return the device on which the merges of `plan` are computed."""
    return "cpu" if plan.merge_device == "cpu" else host.merge_device()


def device_problems(plan: RunPlan, host: Host) -> Iterator[Problem]:
    """Yield why merges cannot be computed where `plan` wants it."""
    if plan.merge_device == "gpu" and host.merge_device() == "cpu":
        yield Problem(
            "merge_device",
            f"Merges are to be computed on the GPU, but {host.title} has none, or keeps the model in RAM between "
            "images; choose Automatic or CPU.",
        )


def device_notes(plan: RunPlan, host: Host) -> Iterator[str]:
    """Yield where merges will be computed and where the models will lie meanwhile, unless all is in RAM."""
    device = merge_device(plan, host)
    if device != "cpu":
        yield (
            f"Merges are computed on the GPU ({device}). After the first image the models are kept there, as far as "
            f"images leave memory free, and what does not fit in locked RAM, up to {free_memory() / 2e9:.1f} GB."
        )


class DeviceMemory:
    """What a merger keeps in an accelerator's memory: given after the first image, taken back at the first trouble.

    Call `offer` and `take_back` under the host's lock.

    Args:
        host: Whose memory it is.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._asked = False

    def offer(self, merger: Merger) -> None:
        """Let `merger` have what images leave free. Call after an image; asks the host once."""
        if self._asked or merger.device == "cpu":
            return
        self._asked = True
        size = self._host.spare_memory()
        _log.info("%.1f GB of %s are free for the models.", size / 1e9, merger.device)
        merger.give_memory(size)

    def take_back(self, merger: Merger) -> bool:
        """Give everything back, for good; False if there was nothing."""
        if merger.resident_bytes == 0:
            return False
        _log.warning("The GPU's memory ran out: the models no longer lie there.")
        merger.rest()
        self._asked = True
        self._host.trim_memory()
        return True

    def rest(self, merger: Merger) -> None:
        """Let go of files and memory while the run pauses; the next image decides anew."""
        held = merger.resident_bytes
        merger.rest()
        if held:
            self._asked = False
