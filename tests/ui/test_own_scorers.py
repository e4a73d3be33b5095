"""The user's scorer files, as the page hears of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lib_optim.scoring.user_scorers import SCORERS_FOLDER, load_user_scorers
from lib_optim.ui.catalog import Catalog
from tests.ui.fake import FakeManager

TEXT = "def score(images, prompts, *, strength=1.0):\n    return [strength] * len(images)\n"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[FakeManager]:
    made = FakeManager(tmp_path)
    folder = made.host.paths().data / SCORERS_FOLDER
    folder.mkdir()
    (folder / "even.py").write_text(TEXT)
    (folder / "broken.py").write_text("1 / 0\n")
    yield made
    made.close()
    for path in folder.glob("*.py"):
        path.unlink()
    load_user_scorers(folder, refresh=True)


def test_they_are_listed_with_what_is_wrong(manager: FakeManager) -> None:
    setup = Catalog(manager).setup()  # type: ignore[arg-type]
    row = next(row for row in setup["scorers"] if row["id"] == "own-even")
    assert [(o["name"], o["kind"], o["default"]) for o in row["options"]] == [("strength", "number", 1.0)]
    assert Path(setup["own_scorers"]["folder"]) == manager.host.paths().data / SCORERS_FOLDER
    broken = "broken.py cannot be used: ZeroDivisionError: division by zero (line 1)."
    assert setup["own_scorers"]["files"] == [
        {"file": "broken.py", "scorer": "", "problem": broken},
        {"file": "even.py", "scorer": "Even", "problem": ""},
    ]
    assert "own-broken" not in {row["id"] for row in setup["scorers"]}
    assert setup["form"]["scorers"][0]["id"] != "own-even", "chosen by the user, not by default"
    assert Catalog(manager).choices().scorers["own-even"] == {"strength": "number"}  # type: ignore[arg-type]


def test_changed_files_wait_for_the_end_of_a_run(manager: FakeManager, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = Catalog(manager)  # type: ignore[arg-type]
    catalog.setup()
    (manager.host.paths().data / SCORERS_FOLDER / "even.py").write_text("1 / 0\n")
    with monkeypatch.context() as patch:
        patch.setattr(FakeManager, "active", True)
        assert catalog.setup(refresh=True)["own_scorers"]["files"][1]["scorer"] == "Even"
    assert catalog.setup(refresh=True)["own_scorers"]["files"][1]["scorer"] == ""
