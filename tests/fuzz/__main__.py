"""The long command: ``python -m tests.fuzz`` feeds 100,000 inputs and writes docs/fuzz.json."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Parse arguments, fuzz, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", default="", help="this one only")
    parser.add_argument("--only", type=int, default=None, help="this input of --target only, and its trace")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "fuzz.json", help="the file to write")
    options = parser.parse_args()
    from lib_optim.hosts.standalone.demo import make_demo_checkpoints
    from tests.fuzz.campaign import counts, fuzzed, quiet
    from tests.fuzz.harness import Watch
    from tests.fuzz.lab import lab
    from tests.fuzz.targets import targets

    warnings.simplefilter("ignore")
    began, found = time.time(), []
    with tempfile.TemporaryDirectory() as scratch:
        demo, folder = Path(scratch) / "demo", Path(scratch) / "lab"
        demo.mkdir()
        tempfile.tempdir = scratch  # what the program keeps for a moment
        folder.mkdir()
        make_demo_checkpoints(demo)
        with quiet(), lab(folder, demo) as made:
            rows = [row for row in targets(made) if options.target in ("", row.name)]
            if options.only is not None:
                rows[0].feed(rows[0].input(options.seed, options.only))
                return 0
            watch = Watch(Path(scratch))
            for row in rows:
                outcome = fuzzed(row, watch, counts(rows, options.inputs)[row.name], options.seed)
                found.append(outcome)
                print(
                    f"{row.name}: {outcome.inputs} inputs, {outcome.found} findings, {outcome.seconds:.0f} s",
                    flush=True,
                )
                for which, finding in outcome.findings.values():
                    print(f"--- {row.name}, {which}\n{finding.kind}: {finding.text}\n", flush=True)
    total, bad = sum(row.inputs for row in found), sum(row.found for row in found)
    print(f"{total} inputs, {bad} findings")
    if not options.target:
        options.out.write_text(json.dumps(_record(options, found, began), indent=2) + "\n")
    return 1 if bad else 0


def _record(options: argparse.Namespace, found: list[Any], began: float) -> dict[str, Any]:
    return {
        "command": f"python -m tests.fuzz --inputs {options.inputs} --seed {options.seed}",
        "seed": options.seed,
        "commit": _git("describe", "--always", "--dirty"),
        "subject": _git("log", "-1", "--format=%s"),  # a commit may get another number when branches meet
        "seconds": round(time.time() - began),
        "machine": {"cpus": os.cpu_count(), "system": platform.system(), "python": platform.python_version(),
                    "cpu": platform.machine()},
        "inputs": sum(row.inputs for row in found),
        "findings": sum(row.found for row in found),
        "targets": {
            row.name: {"inputs": row.inputs, "findings": row.found, "seconds": round(row.seconds)} for row in found
        },
    }  # fmt: skip


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
