"""What the documentation promises, held against the code: every name, range and example in it."""

from __future__ import annotations

import dataclasses
import re
import typing
from pathlib import Path

import pytest

import lib_optim
from lib_optim.plan.blocks import block_map
from lib_optim.plan.bounds import parse_bound
from lib_optim.plan.curves import CurveShape
from lib_optim.plan.guide import Strategy
from lib_optim.plan.guide_file import read_guide
from lib_optim.plan.payload import Payload
from lib_optim.plan.run_plan import SamplerSpec
from lib_optim.plan.space import space_of
from lib_optim.search.samplers import sampler_rows
from lib_optim.ui.guide_form import guide_from_form
from tests.plan.methods import WEIGHTED
from tools import api_page, samplers_page

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
GUIDE = (ROOT / "docs" / "user-guide.md").read_text(encoding="utf-8")
SEARCH = (ROOT / "docs" / "search.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(page: str, title: str) -> str:
    """Return the text below the heading `title`, up to the next of its level."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^\1 |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[2]


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def anchors(page: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        there = page.parent / name if name else page
        if there.suffix == ".png":
            continue  # drawn from a running tab
        assert there.is_file(), f"{page.name} links to {target}"
        if anchor and not anchor[0].isdigit():
            assert anchor in anchors(there.read_text(encoding="utf-8")), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_nothing_of_a_developers_machine_is_in_it(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"(?<![\w.])/(?:work|home|root|tmp|opt|Users)/\S*", text)
    assert "index-url" not in text


def test_the_two_commands_are_in_the_readme() -> None:
    assert "pip install nox && nox -s start" in README
    assert "pip install nox && nox -s tests" in README
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "pip install --quiet nox && nox -s tests" in ci


def test_the_changelog_has_this_version() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(lib_optim.__version__)}\] - 20\d\d-\d\d-\d\d$", changes, re.MULTILINE)


def test_every_payload_field_is_described_with_its_default() -> None:
    table = rows(section(GUIDE, "Payloads"))
    described = {name for row in table for name in re.findall(r"`(\w+)`", row[0])}
    assert described == {field.name for field in dataclasses.fields(Payload)} - {"name"}
    for names, default, limits, _ in table:
        fields = re.findall(r"`(\w+)`", names)
        if limits and len(fields) == 1:
            low, high = (float(text) for text in re.fullmatch(r"(\S+) … (\S+)", limits).groups())  # type: ignore[union-attr]
            assert getattr(Payload("x"), fields[0]) == float(default)
            for value, good in ((low, True), (high, True), (low - 8, False), (high + 8, False)):
                assert (not Payload.from_json({"name": "x", fields[0]: value}).problems("p")) is good, (fields, value)


def test_every_bound_in_the_guide_parses() -> None:
    table = rows(section(GUIDE, "Bounds"))
    assert len(table) >= 8
    for cell, _ in table:
        parse_bound(cell.strip("`"))


def test_the_blocks_in_the_guide_are_those_of_the_maps() -> None:
    table = rows(section(GUIDE, "Blocks"))
    for column, name in ((1, "sd1"), (2, "sdxl")):
        follows = {row[0].strip("`"): row[column] for row in table if row[column].startswith("follows")}
        blocks = block_map(name)
        assert {b.name: f"follows `{b.follows}`" for b in blocks.blocks if b.follows} == follows
        [spans] = [[row[column]] for row in table if row[0].startswith("`IN00`")]
        first, last = re.findall(r"`(\w+)`", spans[0])
        names = [block.name for block in blocks.blocks]
        assert first in names
        assert last in names
        assert f"IN{int(last[2:]) + 1:02d}" not in names


def example(title: str, last: str) -> str:
    """Return the indented example of a section: from its first line to the one that begins with `last`."""
    lines = re.findall(r"^    .*$", section(GUIDE, title), re.MULTILINE)
    end = max(i for i, line in enumerate(lines) if line.strip().startswith(last))
    return "".join(f"{line.removeprefix('    ')}\n" for line in lines[: end + 1])


def test_the_examples_are_the_files_that_are_tested() -> None:
    guides = ROOT / "tests" / "plan" / "guides"
    assert example("A guide as a file", "IN11") == (guides / "example.yaml").read_text(encoding="utf-8")
    assert example("Blocks of your own", "- {name: REST") == (guides / "attention.yaml").read_text(encoding="utf-8")


def test_the_curves_in_the_guide_are_understood() -> None:
    text = section(GUIDE, "Curves")
    assert {row[0].strip("`") for row in rows(text)} == set(typing.get_args(CurveShape))
    lines = re.findall(r"^    (.+)$", text, re.MULTILINE)
    blocks = block_map("sd1")
    custom = guide_from_form({"vary": {"mode": "custom", "custom": "\n".join(reversed(lines[:2]))}}, WEIGHTED, blocks)
    file = read_guide("components:\n  unet:\n" + "".join(f"  - {line}\n" for line in reversed(lines[2:])))
    for guide, points in ((custom, {"depth": 5, "soft": 2}), (file, {"unet": 4, "soft": 2})):
        space = space_of(guide, WEIGHTED, blocks)
        assert {curve.name: len(curve.points) for curve in space.curves} == {
            f"{name}_alpha": count for name, count in points.items()
        }


def test_every_strategy_is_described() -> None:
    kinds = typing.get_args(typing.get_type_hints(Strategy)["type"])
    assert {row[0].strip("`") for row in rows(section(GUIDE, "A guide as a file"))} == set(kinds)


def test_the_custom_lines_are_understood() -> None:
    lines = re.findall(r"^    (.+)$", section(GUIDE, "What to vary").split("###")[0], re.MULTILINE)
    text = "\n".join(line for line in lines if " beta" not in line)
    blocks = block_map("sd1")
    guide = guide_from_form({"vary": {"mode": "custom", "custom": text}}, WEIGHTED, blocks)
    space = space_of(guide, WEIGHTED, blocks)
    assert {setting.name for setting in space.settings} == {"M00_alpha"}
    assert {parameter.name for parameter in space.parameters} >= {"BASE_alpha", "IN05_alpha", "OUT10_alpha"}
    assert "OUT11_alpha" not in {parameter.name for parameter in space.parameters}


def test_every_sampler_and_option_is_described() -> None:
    written = (ROOT / "docs" / "samplers.md").read_text(encoding="utf-8")
    assert written == samplers_page.page(), "write it anew: python -m tools.samplers_page"
    table = {row[0] for row in rows(section(SEARCH, "Which sampler when"))}
    assert table <= {"`auto` (default)", *(f"`{row.id}`" for row in sampler_rows())}


def test_every_route_is_described() -> None:
    routes, said = api_page.routes(), api_page.described()
    assert [row for row in routes if row not in said] == [], "add a line to its module's docstring (tools/api_page.py)"
    assert [row for row in said if row not in routes] == [], "described, and not there"
    assert [row for row in routes if len(said[row][1]) < 6] == []
    written = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert written == api_page.page(), "write it anew: python -m tools.api_page"


def test_the_default_presets_are_named() -> None:
    text = section(SEARCH, "What comes first")
    assert [name for name in SamplerSpec().presets if name not in text] == []
