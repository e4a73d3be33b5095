"""The user's method files, as the page hears of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lib_optim.merging.user_methods import METHODS_FOLDER, load_user_methods
from lib_optim.ui.catalog import Catalog
from tests.ui.fake import FakeManager

TEXT = (
    "from sd_mecha import merge_method\nfrom torch import Tensor\n@merge_method\n"
    "def nudge(a: Tensor, b: Tensor, alpha: float = 0.5) -> Tensor:\n    return a + (b - a) * alpha\n"
    "@merge_method\ndef odd(a: Tensor, word: str) -> Tensor:\n    return a\n"
)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[FakeManager]:
    made = FakeManager(tmp_path)
    folder = made.host.paths().data / METHODS_FOLDER
    folder.mkdir()
    (folder / "mine.py").write_text(TEXT)
    yield made
    made.close()
    for path in folder.glob("*.py"):
        path.unlink()
    load_user_methods(folder, refresh=True)


def test_they_are_listed_with_what_is_wrong(manager: FakeManager) -> None:
    answer = Catalog(manager).all_methods()  # type: ignore[arg-type]
    row = next(row for row in answer["methods"] if row["id"] == "nudge")
    assert [(p["name"], p["range"]) for p in row["parameters"]] == [("alpha", "0..1")]
    assert Path(answer["own"]["folder"]) == manager.host.paths().data / METHODS_FOLDER
    (file,) = answer["own"]["files"]
    assert (file["file"], file["methods"]) == ("mine.py", ["nudge"])
    assert file["problems"] == ["odd of mine.py: It needs 'word', which is no model."]


def test_changed_files_wait_for_the_end_of_a_run(manager: FakeManager, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = Catalog(manager)  # type: ignore[arg-type]
    catalog.all_methods()
    (manager.host.paths().data / METHODS_FOLDER / "mine.py").write_text("1 / 0\n")
    with monkeypatch.context() as patch:
        patch.setattr(FakeManager, "active", True)
        assert catalog.all_methods(refresh=True)["own"]["files"][0]["methods"] == ["nudge"]
    (file,) = catalog.all_methods(refresh=True)["own"]["files"]
    assert file["methods"] == []
    assert "division by zero" in file["problems"][0]


def test_a_plan_that_names_one_is_checked_and_made(manager: FakeManager) -> None:
    choices = Catalog(manager).choices()  # type: ignore[arg-type]
    assert choices.method("nudge").title == "Nudge"
