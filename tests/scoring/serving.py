"""The script of the remote scorer, in a process of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["SCRIPT", "WATCHED", "served"]

SCRIPT = Path(__file__).parents[2] / "tools" / "scorer_server.py"
# Scores say what arrived: brightness, length of the prompt, calls so far; options make it misbehave.
WATCHED = '''"""Watched."""
import time
TYPICAL = (0.0, 10.0)
calls = 0

class Watched:
    def __init__(self, strength=1.0, wait=0.0, answer="", sigma=None):
        self.strength, self.wait, self.answer, self.sigma, self.loads = strength, wait, answer, sigma, 0

    def load(self, device):
        self.loads += 1

    def score(self, images, prompts, contexts):
        global calls
        calls += 1
        time.sleep(self.wait)
        if self.answer:
            return eval(self.answer)
        scores = [i.getpixel((0, 0))[0] + len(p) / 1000 + (c.seed or 0) for i, p, c in zip(images, prompts, contexts)]
        scores = [s * self.strength for s in scores]
        return scores if self.sigma is None else {"scores": scores, "sigmas": [self.sigma] * len(scores)}
'''


@contextlib.contextmanager
def served(path: Path, *arguments: str) -> Iterator[str]:
    """Run the script as a process of its own; give its address."""
    command = [sys.executable, "-I", str(SCRIPT), str(path), "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd="/")
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield line.split(" listens on ")[1].strip()
    finally:
        process.terminate()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()
