"""The words of the tab: every one of the cards below has its German, and none is left over."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from lib_optim.plan.settings import SETTINGS
from lib_optim.ui.words_api import LOCALES, locale
from tests.ui.fake import FakeManager

pytestmark = pytest.mark.ui

SCRIPTS = Path(__file__).parents[2] / "javascript"
CARDS = (
    "20_widgets", "30_models", "31_method", "32_vary", "33_payloads", "34_judges", "35_budget", "35_stop", "37_disk",
    "37_save", "39_form", "60_live", "61_check", "62_selftest", "63_log", "63_settings", "64_picture", "64_report",
    "90_main",
)  # fmt: skip
"""The scripts whose words are all there. What they place of other scripts (table of blocks, goals, search options,
trials, rating, queue, shelf, presets, Try it) is English still."""
NO_WORDS = {"use strict", "ArrowUp", "ArrowDown", "Enter", "Escape", "Notification", "Files"}
_TEXT = r"'((?:\\.|[^'\\\n])*)'"
_SAID = re.compile(rf"\btr\({_TEXT}")
_COUNTED = re.compile(rf"\boptim\.count\([^'\n]*?{_TEXT}, {_TEXT}\)")
_TOKEN = re.compile(rf"//[^\n]*|/\*.*?\*/|{_TEXT}|`(?:\\.|[^`\\])*`", re.DOTALL)
_PLACE = re.compile(r"\{\w+\}")


def said(script: str) -> set[str]:
    """Return the texts that a script hands to `optim.tr` and `optim.count`."""
    found = set(_SAID.findall(script))
    for one, many in _COUNTED.findall(script):
        found |= {one, many}
    return {text.replace("\\'", "'").replace("\\n", "\n") for text in found}


def bare(script: str) -> list[str]:
    """Return texts that read like words and are not handed to `optim.tr`."""
    known = said(script)
    left = []
    for token in _TOKEN.finditer(script):
        text = token[0][1:-1]
        if token[0].startswith("/") or text in known or text in NO_WORDS:
            continue
        if token[0].startswith("`"):
            text = re.sub(r"\$\{(?:[^{}]|\{[^{}]*\})*\}", "", text)
        if re.search(r"[A-Za-z]{2,} [a-z]|^[A-Z][a-z]{2,}", text) and "optim-" not in text and "#optim" not in text:
            left.append(text)
    return left


def at_load(script: str) -> list[str]:
    """Return statements that ask for words while the scripts load, before the language is known."""
    statements = re.split(r"\n(?=  \S)", script)
    return [part.strip()[:60] for part in statements if re.search(r"\btr\(", part.split("=>")[0])]


def scripts() -> dict[str, str]:
    return {path.stem.removeprefix("optim_"): path.read_text(encoding="utf-8") for path in SCRIPTS.glob("*.js")}


def rows() -> set[str]:
    return {text for row in SETTINGS for text in (row.label, row.help, *row.choices) if text}


@pytest.mark.parametrize("code", LOCALES.values())
def test_every_text_has_its_words_and_none_is_left_over(code: str) -> None:
    wanted = rows().union(*(said(script) for name, script in scripts().items() if name != "11_words"))
    words = locale(code)
    assert wanted - set(words) == set()
    assert set(words) - wanted == set()
    assert [text for text, own in words.items() if not own.strip()] == []


@pytest.mark.parametrize("code", LOCALES.values())
def test_places_and_edges_stay(code: str) -> None:
    for text, own in locale(code).items():
        assert sorted(_PLACE.findall(text)) == sorted(_PLACE.findall(own)), text
        edges = [(len(t) - len(t.lstrip()), len(t) - len(t.rstrip())) for t in (text, own)]
        assert edges[0] == edges[1], text


@pytest.mark.parametrize("name", CARDS)
def test_a_card_that_counts_as_done_has_no_bare_words(name: str) -> None:
    script = scripts()[name]
    assert bare(script) == []
    assert said(script)


def test_only_constants_are_looked_up() -> None:
    for name, script in scripts().items():
        calls = re.findall(r"\btr\((?!')[^)]*\)", script)
        if name == "63_settings":  # rows of the program's own table
            assert calls == ["tr(text)"]
        elif name != "11_words":
            assert calls == [], name
        assert at_load(script) == [] or name == "11_words", name


def test_the_checks_see_what_they_are_for() -> None:
    assert bare("el('p', { text: 'Look here' }, tr('Not here'), `${n} of them`)") == ["Look here", " of them"]
    assert said("tr('A {n}', { n }); optim.count(f(x), '{n} b', '{n} c')") == {"A {n}", "{n} b", "{n} c"}
    assert at_load("(() => {\n  const A = [tr('x')];\n  const b = () => tr('x');\n") == ["const A = [tr('x')];"]


def test_the_route_answers_in_the_language_of_the_settings(client: TestClient, manager: FakeManager) -> None:
    assert client.get("/optim/api/words").json() == {"language": "en", "words": {}}
    manager.host.change_settings({"language": "Deutsch"})
    answer = client.get("/optim/api/words").json()
    assert (answer["language"], answer["words"]["Judges"]) == ("de", "Bewerter")
    offered = next(row.choices for row in SETTINGS if row.key == "language")
    assert set(offered) == {"English", *LOCALES}
