"""Settings: rows, what is accepted, and the file of a host that has no page for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_optim.hosts.settings_file import SettingsFile
from lib_optim.plan.errors import HostError, PlanError
from lib_optim.plan.settings import FOLDERS, SETTINGS, checked_settings, settings_of


def test_every_default_is_a_possible_value() -> None:
    assert [row.problem(row.default) for row in SETTINGS] == [""] * len(SETTINGS)
    assert len({row.label for row in SETTINGS}) == len({row.key for row in SETTINGS}) == len(SETTINGS)
    assert set(FOLDERS) <= {row.key for row in SETTINGS}


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("poll", 0.1, "from 0.5 to 10"),
        ("poll", True, "number"),
        ("notify", 1, "yes or no"),
        ("thumbs", "huge", "one of automatic"),
        ("outputs", None, "a text"),
        ("poII", 1, "no setting"),
    ],
)
def test_what_is_impossible_is_refused_and_never_used(key: str, value: object, word: str) -> None:
    with pytest.raises(PlanError, match=word):
        checked_settings({"sound": True, key: value})
    assert settings_of({key: value}) == settings_of({})


def test_the_file_keeps_what_differs_from_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    file = SettingsFile(path)
    assert file.values() == settings_of({})
    file.change({"poll": 2.5, "notify": True, "outputs": "Bilder"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"poll": 2.5, "outputs": "Bilder"}
    again = SettingsFile(path)
    assert again.values() == {**settings_of({}), "poll": 2.5, "outputs": "Bilder"}
    with pytest.raises(PlanError):
        again.change({"sound": True, "poll": 99})
    assert again.values()["sound"] is False


@pytest.mark.parametrize("text", ["{", "[1]", '{"poll": "often", "old": 3}'])
def test_a_damaged_file_counts_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text, encoding="utf-8")
    assert SettingsFile(path).values() == settings_of({})


def test_a_file_that_cannot_be_written_is_said_and_changes_nothing(tmp_path: Path) -> None:
    file = SettingsFile(tmp_path / "no folder" / "settings.json")
    with pytest.raises(HostError, match="cannot be kept"):
        file.change({"sound": True})
    assert file.values()["sound"] is False
