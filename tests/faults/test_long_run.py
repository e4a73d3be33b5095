"""A long run grows by what it records and by nothing else; ``python -m tools.reliability long`` makes 2,000 trials."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.faults.long_run import BOUNDS, long_run

TRIALS = int(os.environ.get("OPTIM_LONG_TRIALS", "200"))


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory and handles are read from /proc")
def test_a_long_run_grows_by_what_it_records_only(demo_models: Path, tmp_path: Path) -> None:
    figures = long_run(tmp_path, demo_models, TRIALS, seed=1)
    grown = {name: figures.slope(name) for name in BOUNDS}
    # What the clock of a busy machine adds is no growth, and weighs more the fewer trials there are.
    most = {name: bound * max(1.0, 2000 / TRIALS) for name, (bound, _) in BOUNDS.items()}
    assert {name: value for name, value in grown.items() if value > most[name]} == {}
    assert figures.threads_left == figures.handles_left == figures.files_left == ()
    assert max(sample.threads for sample in figures.samples) <= min(sample.threads for sample in figures.samples) + 3
    assert max(sample.handles for sample in figures.samples) <= min(sample.handles for sample in figures.samples) + 4
