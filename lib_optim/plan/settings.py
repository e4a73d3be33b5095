"""What a user sets once, and not per run: rows from which a WebUI's settings page and our own dialog are made.

A row without an effect has no place here. Values are texts, numbers and yes or no, and travel as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lib_optim.plan.errors import PlanError, Problem

__all__ = ["FOLDERS", "SETTINGS", "Setting", "SettingValue", "checked_settings", "settings_of"]

SettingValue = str | bool | float


@dataclass(frozen=True)
class Setting:
    """One row.

    Attributes:
        key: Its name in JSON; a WebUI's option is this with ``optim_`` before it.
        label: What stands beside the field.
        default: Also tells the type: text, yes or no, or a number.
        help: A sentence below the field, or empty.
        choices: The values that there are, of a text; empty for any.
        least, most, step: Of a number.
    """

    key: str
    label: str
    default: SettingValue
    help: str = ""
    choices: tuple[str, ...] = ()
    least: float = 0.0
    most: float = 0.0
    step: float = 1.0

    def problem(self, value: object) -> str:
        """Return what is wrong with `value`, a sentence, or an empty string."""
        if isinstance(self.default, bool):
            return "" if isinstance(value, bool) else f"'{self.label}' is yes or no."
        if isinstance(self.default, str):
            if not isinstance(value, str):
                return f"'{self.label}' is a text."
            if self.choices and value not in self.choices:
                return f"'{self.label}' is one of {', '.join(self.choices)}, not {value}."
            return ""
        number = not isinstance(value, bool) and isinstance(value, (int, float)) and self.least <= value <= self.most
        return "" if number else f"'{self.label}' is a number from {self.least:g} to {self.most:g}."

    def to_json(self) -> dict[str, Any]:
        """Return the row for the page."""
        return {
            "key": self.key, "label": self.label, "default": self.default, "help": self.help,
            "choices": list(self.choices), "least": self.least, "most": self.most, "step": self.step,
        }  # fmt: skip


FOLDERS = ("outputs", "methods", "scorers")
"""Settings that name folders. They must not change under a run."""

SETTINGS: tuple[Setting, ...] = (
    Setting("outputs", "Folder for runs", "", "Empty: optim in the WebUI's output folder; by itself, outputs."),
    Setting("methods", "Folder for merge methods of your own", "", "Empty: methods in Optim's data folder."),
    Setting("scorers", "Folder for judges of your own", "", "Empty: scorers in Optim's data folder."),
    Setting(
        "poll", "Seconds between looks at a run", 1.0,
        "How often an open page asks how the run is going. More is kinder to a slow connection.",
        least=0.5, most=10.0, step=0.5,
    ),
    Setting("thumbs", "Size of small pictures", "automatic", choices=("automatic", "small", "medium", "large")),
    Setting(
        "notify", "Tell me when it is my turn, and when a run ends or stops by an error", True,
        "In the page's title, and as a notification where the browser may; only while you are not looking at Optim.",
    ),
    Setting("sound", "With a sound", False, "A short tone with it."),
    Setting(
        "language", "Language of the tab", "English",
        "From the next time the page is opened. German does not reach every card; the program speaks English.",
        choices=("English", "Deutsch"),
    ),
)  # fmt: skip
_BY_KEY = {setting.key: setting for setting in SETTINGS}


def settings_of(found: Mapping[str, object]) -> dict[str, SettingValue]:
    """Return a value for every row: that of `found` where it is a possible one, else the default."""
    values: dict[str, SettingValue] = {}
    for row in SETTINGS:
        value = found.get(row.key, row.default)
        values[row.key] = row.default if row.problem(value) else value  # type: ignore[assignment]
    return values


def checked_settings(given: Mapping[str, object]) -> dict[str, SettingValue]:
    """Return `given`, some of the rows' values.

    Raises:
        PlanError: Unknown keys or impossible values, all of them named.
    """
    problems = [Problem(key, f"There is no setting '{key}'.") for key in given if key not in _BY_KEY]
    known = [(key, _BY_KEY[key].problem(value)) for key, value in given.items() if key in _BY_KEY]
    problems += [Problem(key, sentence) for key, sentence in known if sentence]
    if problems:
        raise PlanError(problems)
    return dict(given)  # type: ignore[arg-type]
