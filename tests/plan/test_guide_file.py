"""Guides as files: the short forms, the way there and back, and everything that is refused with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_optim.plan.blocks import block_map
from lib_optim.plan.bounds import Bound, parse_bound
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.guide import ComponentGuide, Group, Guide, Strategy
from lib_optim.plan.guide_file import is_guide_file, read_guide, write_guide
from lib_optim.plan.guide_tidy import spans, tidied
from lib_optim.plan.space import space_of
from tests.plan.methods import MANY, WEIGHTED

SD1 = block_map("sd1")
EXAMPLE = (Path(__file__).parent / "guides" / "example.yaml").read_text(encoding="utf-8")


def refused(text: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        read_guide(text)
    return [str(problem) for problem in caught.value.problems]


def test_the_example_says_what_it_says() -> None:
    space = space_of(read_guide(EXAMPLE), WEIGHTED, SD1)
    bounds = {p.name: str(p.bound) for p in space.parameters}
    assert len(bounds) == 18
    assert (bounds["BASE_alpha"], bounds["detail_alpha"]) == ("0..0.3", "0.2..0.6 step 0.05")
    assert (bounds["IN02_alpha"], bounds["IN10_alpha"]) == ("0.1..0.9", "0..1")
    assert next(p.blocks for p in space.parameters if p.name == "IN02_alpha") == ("IN01", "IN02")
    assert [(s.name, s.value) for s in space.settings] == [("IN11_alpha", 0.5)]
    assert "M00" not in space.merged_blocks


def test_json_in_full_and_in_short_is_the_same_guide() -> None:
    guide = read_guide(EXAMPLE)
    assert read_guide(json.dumps(guide.to_json())) == guide, "as in plan.json"
    short = {"components": {"unet": ["all"]}, "bounds": {"alpha": 0.5, "rank": "1..8 int", "vote": True}}
    read = read_guide(json.dumps(short))
    assert read.components == (ComponentGuide("unet", (Strategy("all"),)),)
    assert read.bounds == {"alpha": Bound("fixed", value=0.5), "rank": parse_bound("1..8 int"),
                           "vote": Bound("fixed", value=True)}  # fmt: skip


BOUNDS = st.sampled_from(
    ["0..1", "0..1 step 0.05", "1e-6..1 log", "1..64 int", "{8, 16}", "{a, 'b c', \"true\"}", "bool", "=0.3", "=IN05",
     '="word"', "-0.5..1.5", "=true"]
).map(parse_bound)  # fmt: skip
NAMES = st.sampled_from(["IN00", "OUT*", "*.attn1.*", "OUT03-OUT06/*attn1*", "M00", "no", "1"])
LISTS = st.lists(NAMES, min_size=1, max_size=3).map(tuple)
STRATEGIES = st.one_of(
    st.builds(Strategy, st.sampled_from(["all", "select", "single", "none"]), LISTS | st.just(())),
    st.builds(
        lambda groups, parameters: Strategy("group", groups=groups, parameters=parameters),
        st.lists(
            st.builds(Group, st.sampled_from(["a", "b c", "yes"]), LISTS), max_size=3, unique_by=lambda g: g.name
        ).map(tuple),
        st.just(()) | st.just(("alpha", "beta")),
    ),
)
GUIDES = st.builds(
    Guide,
    st.lists(
        st.builds(
            ComponentGuide,
            st.sampled_from(["unet", "text_encoder"]),
            st.lists(STRATEGIES, min_size=1, max_size=3).map(tuple),
        ),
        min_size=1, max_size=2, unique_by=lambda part: part.component,
    ).map(tuple),
    st.dictionaries(NAMES, BOUNDS, max_size=4),
)  # fmt: skip


@given(GUIDES)
def test_what_is_written_is_read_back(guide: Guide) -> None:
    text = write_guide(guide)
    assert read_guide(text) == guide
    assert is_guide_file(text)
    assert read_guide(json.dumps(guide.to_json())) == guide


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["needs the fields components and bounds"]),
        ("[1]", ["needs the fields components and bounds"]),
        ("bounds: {}", ["at least one component"]),
        ("components: {unet: []}", ["Line 1", "needs a list of strategies"]),
        ("components:\n  unet: al", ["Line 2", "must be one of 'all'"]),
        ("components:\n  unet:\n    - all\n    - {type: group, groups: 3}", ["Line 4", "must be a list"]),
        ("components:\n  unet: [all]\nboundz:\n  alpha: 0..1", ["Line 3", "'boundz'", "Did you mean 'bounds'"]),
        ("components:\n- {component: unet}", ["Line 2", "needs component and strategies"]),
        ("components:\n  unet:\n  - type: all\n    block: IN00", ["Line 4", "Did you mean 'blocks'"]),
        ("components: {unet: [all]}\nbounds:\n  alpha: 0..1\n  IN00: 1..0", ["Line 4", "not below"]),
        ("components: {unet: [all]}\nbounds:\n  alpha: [0, 1]", ["Line 3", "needs a bound"]),
        ("components: {unet: [all]}\nbounds:\n  alpha: 2020-01-01", ["Line 3", "is no bound"]),
        ("components: {unet: [all]}\nbounds:\n  alpha: {kind: flot, low: 0, high: 1}", ["Line 3", "must be one of"]),
        ("components: {unet: [all]}\nbounds: 0..1", ["Line 2", "must map names"]),
        ("components:\n  unet: [all]\n  unet: [all]", ["Line 3", "second time"]),
        ("components: {unet: [all]\nbounds: {}", ["Line 2", "not valid YAML"]),
        ('{"components": [', ["Line 1", "not valid YAML or JSON"]),
        ("version: 2\ncomponents: {unet: [all]}", ["Line 1", "version 1"]),
        ("components: &a {unet: [all]}\nbounds: *a", ["Line 1", "anchors"]),
        ("components: !!python/object/apply:os.system [ls]", ["Line 1", "tag"]),
        ("? [a]\n: 1", ["Line 1", "one word"]),
        ("- " * 5000, ["nested more than 50 deep"]),
        ("#" * 1_000_001, ["longer than"]),
    ],
)
def test_bad_files_get_their_sentence_and_line(text: str, words: list[str]) -> None:
    sentences = refused(text)
    assert any(all(word in sentence for word in words) for sentence in sentences), sentences


def test_every_problem_is_named_in_one_pass() -> None:
    assert len(refused("components: {unet: [al], vae: {type: 3}}\nbounds: {a: x, b: 1..0}\nfoo: 1")) == 5


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    problems: tuple[Problem, ...] = ()
    try:
        read_guide(text)
    except PlanError as error:
        problems = error.problems
    assert all(p.sentence.endswith((".", "?")) and "\n" not in p.sentence for p in problems)


def test_lines_of_custom_are_no_guide_file() -> None:
    for text in ("", "BASE: 0..1", "# bounds:\nOUT*: {1, 2}", "detail = OUT06-OUT11: 0..1", "*.attn1.*: 0..1"):
        assert not is_guide_file(text)
    for text in (EXAMPLE, "{}", "---\nbounds: 1", "# mine\n\ncomponents: {unet: [all]}", '{"components": []}'):
        assert is_guide_file(text)


def test_spans_put_neighbours_together() -> None:
    assert spans(["OUT00", "IN11", "M00", "IN01", "IN00", "BASE"], SD1) == ("BASE", "IN00-IN01", "IN11", "M00", "OUT00")
    assert spans(["IN*", "IN03"], SD1) == ("IN*", "IN03")


@given(
    st.lists(st.sampled_from([b.name for b in SD1.blocks if b.component == "unet"]), min_size=1, unique=True),
    st.data(),
)
def test_a_tidied_guide_means_the_same(names: list[str], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(names)))
    alone, shared = tuple(names[:cut]), tuple(names[cut:])
    ranges = st.sampled_from(["0..1", "0..0.5", "=0.3"]).map(parse_bound)
    strategies: list[Strategy] = []
    bounds: dict[str, Bound] = {}
    for parameter in ("alpha", "beta"):
        if alone:
            strategies.append(Strategy("select", alone, parameters=(parameter,)))
        if shared:
            strategies.append(Strategy("group", groups=(Group("g", shared),), parameters=(parameter,)))
        bounds.update({f"{name}_{parameter}": data.draw(ranges) for name in (*alone, *(["g"] if shared else []))})
    guide = Guide((ComponentGuide("unet", tuple(strategies)),), bounds)
    short = tidied(guide, MANY, SD1)
    try:
        wanted = space_of(guide, MANY, SD1)
    except PlanError:  # all of it fixed
        return
    found = space_of(short, MANY, SD1)
    assert {(p.name, p.bound, p.blocks) for p in found.parameters} == {
        (p.name, p.bound, p.blocks) for p in wanted.parameters
    }
    assert {(s.name, s.value, s.blocks) for s in found.settings} == {
        (s.name, s.value, s.blocks) for s in wanted.settings
    }
