"""No GET changes anything: neither a file of the data folder nor the state of the run."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from tests.fuzz.lab import lab

pytestmark = pytest.mark.ui

PASSING = re.compile(r"run\.db-(wal|shm)$|cache")  # SQLite's own while it is open; what is computed again


def tree(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and not PASSING.search(str(path.relative_to(folder))))
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.stat().st_size < 2**22}


def test_no_get_changes_a_file_or_the_run(demo_models: Path, tmp_path: Path) -> None:
    with lab(tmp_path, demo_models) as made:
        client, run = made.client, made.run.name
        image = next(made.run.images.iterdir()).name
        values = {"folder": run, "file": image, "run": run}
        paths = [route.path for route in client.app.routes if "GET" in (getattr(route, "methods", None) or ())]
        ours = [path for path in paths if path.startswith("/optim")]
        assert len(ours) > 10
        client.get("/optim/api/setup?refresh=1")  # hashes and thumbnails are made once
        before, state = tree(tmp_path), client.get("/optim/api/snapshot").json()
        assert len(before) > 8
        for path in ours:
            address = re.sub(r"{(\w+)}", lambda found: values[found[1]], path)
            for query in ("", f"?folder={run}&trials=0,1&runs=1", "?command=start&form=1&refresh=1"):
                answer = client.get(address + query)
                assert answer.status_code < 500, (address, query, answer.text)
        assert tree(tmp_path) == before
        after = client.get("/optim/api/snapshot").json()
        assert (after["state"], after["run"], after["trials"]) == (state["state"], state["run"], state["trials"])
