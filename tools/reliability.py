"""Kill a run, break its steps, and let it run for long: the figures of docs/reliability.md.

    python -m tools.reliability kills --kills 100
    python -m tools.reliability faults
    python -m tools.reliability long --trials 2000

Each measures one part and writes it into docs/reliability.json, with seed, commit, machine and duration; then
``python -m tools.reliability_page`` writes the page from that file. The tests run the same code with smaller numbers.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lib_optim.hosts.standalone.demo import make_demo_checkpoints
from tests.faults.kills import campaign
from tests.faults.long_run import BOUNDS, long_run

__all__ = ["main"]

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "docs" / "reliability.json"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0, or an `AssertionError` that says what was lost."""
    parser = argparse.ArgumentParser(prog="python -m tools.reliability", description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("kills", "faults", "long"))
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="end after so long, with as many kills or trials as there are"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=FIGURES)
    options = parser.parse_args(arguments)
    parts: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
        "kills": lambda home, demo: _kills(home, demo, options.kills, options.seed, 60 * options.minutes),
        "faults": lambda home, demo: _faults(),
        "long": lambda home, demo: _long(home, demo, options.trials, options.seed, 60 * options.minutes),
    }
    with tempfile.TemporaryDirectory() as place:
        home, demo = Path(place) / "home", Path(place) / "demo"
        home.mkdir()
        demo.mkdir()
        make_demo_checkpoints(demo)
        began = time.monotonic()
        measured = parts[options.part](home, demo)
    measured = {**_stamp(options), "seconds": round(time.monotonic() - began, 1), **measured}
    known = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
    options.out.write_text(json.dumps({**known, options.part: measured}, indent=1) + "\n", encoding="utf-8")
    return 0


def _kills(home: Path, demo: Path, kills: int, seed: int, seconds: float) -> dict[str, Any]:
    figures = campaign(home, demo, kills, seed, seconds)
    places = dict(sorted(figures.places.items()))
    return {"kills": figures.kills, "by_the_clock": figures.by_the_clock, "places": places, "runs": figures.runs}


def _faults() -> dict[str, Any]:
    import pytest

    class Counted:
        passed = failed = 0

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            self.passed += report.passed and report.when == "call"
            self.failed += report.failed

    counted = Counted()
    test = f"{ROOT / 'tests' / 'faults' / 'test_injection.py'}::test_a_fault_costs_what_its_row_says"
    pytest.main(["-q", "-p", "no:cacheprovider", test], plugins=[counted])
    return {"rows": counted.passed, "failed": counted.failed}


def _long(home: Path, demo: Path, trials: int, seed: int, seconds: float) -> dict[str, Any]:
    figures = long_run(home, demo, trials, seed, lambda sample: print(sample, file=sys.stderr, flush=True), seconds)
    return {
        "trials": figures.trials,
        "growth": {name: figures.slope(name) for name in BOUNDS},
        "bounds": {name: bound for name, (bound, _) in BOUNDS.items()},
        "threads_left": figures.threads_left,
        "handles_left": figures.handles_left,
        "files_left": figures.files_left,
        "samples": [asdict(sample) for sample in figures.samples],
    }


def _stamp(options: argparse.Namespace) -> Mapping[str, Any]:
    git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    limit = f" --minutes {options.minutes:g}" if options.minutes < math.inf else ""
    many = {"kills": f" --kills {options.kills}", "long": f" --trials {options.trials}"}.get(options.part, "")
    return {
        "command": f"python -m tools.reliability {options.part}{many}{limit} --seed {options.seed}",
        "seed": options.seed,
        "commit": subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip(),
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.system()}, {platform.machine()}, {os.cpu_count()} cores, others were busy",
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    sys.exit(main())
