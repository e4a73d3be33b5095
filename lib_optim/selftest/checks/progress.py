"""Statement 28, as far as it concerns single images and trials: progress, preview, memory."""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path

from lib_optim.hosts.base import GenerationProgress
from lib_optim.selftest.bench import Bench, Skipped

__all__ = ["memory_does_not_grow", "preview_is_served", "progress_is_served"]

_MEMORY_TRIALS = 50
_MEMORY_SECONDS = 4.0
_MEMORY_SLACK = 48_000_000


def _watched_image(bench: Bench) -> list[GenerationProgress]:
    seen: list[GenerationProgress] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            now = bench.host.progress()
            if now is not None and (not seen or now != seen[-1]):
                seen.append(now)
            time.sleep(0.0005)

    with bench.exclusive():
        watching = bench.in_thread(watch)
        try:
            bench.image(bench.job(steps=bench.long_steps))
        finally:
            over.set()
            watching.result("watching an image")
    return seen


def progress_is_served(bench: Bench) -> str:
    """28: to another thread than the one that generates."""
    seen = [p for p in _watched_image(bench) if p.steps]
    steps = [p.step for p in seen]
    while steps and steps[-1] == 0:
        steps.pop()  # some hosts count from 0 again before they have let go of the image
    bench.expect(len(set(steps)) >= 2, f"only the steps {sorted(set(steps))} of an image were seen")
    bench.expect(steps == sorted(steps), "the steps went backwards")
    bench.expect(all(p.step <= p.steps for p in seen), "more steps than there are")
    bench.expect(bench.host.progress() is None, "progress is still shown after the image")
    return f"{len(set(steps))} of {seen[-1].steps} steps seen"


def preview_is_served(bench: Bench) -> str:
    """28."""
    import io

    from PIL import Image

    preview = next((p.preview for p in _watched_image(bench) if p.preview), None)
    if preview is None:
        raise Skipped("no preview came; this host has none, or they are switched off in its settings")
    Image.open(io.BytesIO(preview)).load()
    return f"{len(preview)} bytes"


def memory_does_not_grow(bench: Bench) -> str:
    """28: trials of few keys and one image each, as many of 50 as fit the time."""
    with bench.session() as session:
        keys = list(session.keys())[::10]
        started = time.monotonic()
        early: tuple[int, int] | None = None
        trial = 0
        for trial in range(1, _MEMORY_TRIALS + 1):
            bench.trial(session, trial / _MEMORY_TRIALS, [bench.plain], keys)
            if trial == 2:
                early = _memory()
            if trial >= 8 and time.monotonic() - started > _MEMORY_SECONDS:
                break
        assert early is not None
        late = _memory()
    tensors, resident = late[0] - early[0], late[1] - early[1]
    bench.expect(tensors < 1_000_000, f"{tensors / 1e6:.1f} MB more tensors after trial {trial} than after trial 2")
    bench.expect(
        resident < _MEMORY_SLACK, f"{resident / 1e6:.0f} MB more memory after trial {trial} than after trial 2"
    )
    return f"trial {trial} against trial 2: {tensors / 1e6:+.2f} MB in tensors, {resident / 1e6:+.1f} MB resident"


def _memory() -> tuple[int, int]:
    """Bytes in tensors that Python can reach, and of the process (0 where that is not known)."""
    import warnings

    import torch

    gc.collect()
    sizes: dict[int, int] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # looking at other packages' deprecated objects
        for thing in gc.get_objects():
            if issubclass(type(thing), torch.Tensor) and thing.layout == torch.strided and not thing.is_meta:
                storage = thing.untyped_storage()
                sizes[storage.data_ptr()] = storage.nbytes()
    statm = Path("/proc/self/statm")
    resident = int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0
    return sum(sizes.values()), resident
