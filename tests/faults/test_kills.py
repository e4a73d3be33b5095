"""``kill -9`` costs a run nothing, at whatever instant; ``python -m tools.reliability kills`` kills a hundred times."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.faults.kills import campaign

KILLS = int(os.environ.get("OPTIM_KILLS", "5"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the traps look files up in /proc")
def test_killed_anywhere_it_goes_on_as_if_nothing_had_been(demo_models: Path, tmp_path: Path) -> None:
    figures = campaign(tmp_path, demo_models, KILLS, seed=1)
    assert figures.kills == KILLS
    assert figures.by_the_clock + figures.places.total() == KILLS
