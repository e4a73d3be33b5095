"""A run, or a queue of them, followed in a terminal: a progress bar, and Ctrl+C."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager

__all__ = ["ProgressLine", "watch", "watch_queue"]

_EVERY = 1.0  # seconds between looks
_BAR = "{percentage:3.0f}% |{bar:24}| {n_fmt}/{total_fmt} images{desc}"


class ProgressLine:
    """Images done of all, and what the run is doing: one line that is drawn again, or a line each where none can be.

    Args:
        stream: Where to write.
        terminal: Whether a line there can be drawn again.
    """

    def __init__(self, stream: TextIO, terminal: bool) -> None:
        self._stream, self._terminal = stream, terminal
        self._bar: Any = None
        if terminal:
            try:
                from tqdm import tqdm
            except ImportError:  # it comes with Optuna; the line does without
                return
            self._bar = tqdm(total=1, file=stream, bar_format=_BAR, dynamic_ncols=True, leave=True)

    def draw(self, snapshot: dict[str, Any]) -> None:
        """Show a snapshot of the run (`RunView.snapshot`)."""
        progress, text = snapshot["progress"], _text(snapshot)
        if self._bar is None:
            self._stream.write(f"\r{text}\x1b[K" if self._terminal else f"{text}\n")
            self._stream.flush()
            return
        self._bar.total = max(progress["images_all"], 1)
        self._bar.n = min(progress["images_done"], self._bar.total)
        self._bar.set_description_str(f" · {text}", refresh=False)
        self._bar.refresh()

    def close(self) -> None:
        """Leave the line as it is, and go to the next."""
        if self._bar is not None:
            self._bar.close()
        elif self._terminal:
            self._stream.write("\n")
            self._stream.flush()


def _text(snapshot: dict[str, Any]) -> str:
    progress, best = snapshot["progress"], snapshot["best"]
    line = f"trial {progress['trial']}/{progress['trials']} · image {progress['image']}/{progress['images']}"
    if progress["phase"]:
        line += f" · {progress['phase']}"
    if best:
        line += f" · best {best['value']:.4g} (trial {best['trial']})"
    if progress["eta_seconds"] is not None:
        line += f" · {time.strftime('%H:%M:%S', time.gmtime(progress['eta_seconds']))} left"
    return f"{line} · {snapshot['sentence']}"


def watch(manager: RunManager) -> int:
    """Show the run until it ends; return the exit status. Ctrl+C stops it in good order, a second one at once."""
    paused = _followed(manager, manager.wait, manager.stop)
    snapshot = manager.snapshot()
    _tell_errors(snapshot)
    if paused:
        print("optim: The run was stopped because it had paused; resume it when that is mended.", file=sys.stderr)
    print(f"{manager.outputs / snapshot['run']['folder']}")
    return 0 if snapshot["state"] == "finished" and not paused else 1


def watch_queue(manager: RunManager) -> int:
    """Show the runs of the manager's queue until none begins any more; otherwise as `watch`."""
    queue = manager.queue

    def stop() -> None:
        queue.pause()
        manager.stop()

    _followed(manager, queue.wait, stop)
    snapshot = queue.snapshot()
    for row in snapshot["items"]:
        print(f"{row['state']:8}{row['name']}  {row['saved'] or row['folder']}".rstrip())
    done = all(row["state"] == "done" for row in snapshot["items"])
    if not done:
        _tell_errors(manager.snapshot())
        print(f"optim: {snapshot['sentence']}", file=sys.stderr)
    return 0 if done else 1


def _tell_errors(snapshot: dict[str, Any]) -> None:
    for sentence in snapshot["errors"]:
        print(f"optim: {sentence}", file=sys.stderr)


def _followed(manager: RunManager, wait: Callable[[float], bool], stop: Callable[[], None]) -> bool:
    """Show what goes on until `wait` says that it is over; return whether that was because the run had paused."""
    logging.getLogger("lib_optim").propagate = False  # log.txt has it all, the screen the status line
    line = ProgressLine(sys.stdout, sys.stdout.isatty())
    paused = False
    try:
        try:
            while not wait(_EVERY):
                line.draw(manager.snapshot(manager.view.revision))
                if manager.view.state == "paused":  # after a failure: nobody is here who could mend it and continue
                    paused = True
                    stop()
        except KeyboardInterrupt:
            print("\nStopping; the best merge so far is kept. Press Ctrl+C again to leave at once.", flush=True)
            stop()
            while not wait(_EVERY):
                line.draw(manager.snapshot(manager.view.revision))
        line.draw(manager.snapshot(manager.view.revision))
        line.close()
    except KeyboardInterrupt:
        print("\nLeft at once; resume the run to go on with it.", flush=True)
        os._exit(1)  # an orderly exit would have to wait for the image under way
    return paused
