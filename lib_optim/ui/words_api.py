"""The tab's own words in the language of the settings.

GET  /optim/api/words                {language, words}: English to that language; empty for English
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["LOCALES", "locale", "words_shown"]

LOCALES = {"Deutsch": "de"}
"""Value of the setting `language` to the file that has its words; English is written in the scripts themselves."""


@cache
def locale(code: str) -> dict[str, str]:
    """Return the words of the language `code`, one of `LOCALES`, by the English ones."""
    path = Path(__file__).with_name("locales") / f"{code}.json"
    words: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return words


def words_shown(language: object) -> dict[str, Any]:
    """Return the answer for a value of the setting; what is no language here is English."""
    code = LOCALES.get(str(language))
    return {"language": code or "en", "words": locale(code) if code else {}}
