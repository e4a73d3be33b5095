"""From a guide to a space: truth tables of every strategy, bounds, ties, and everything that is refused."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from lib_optim.plan.blocks import block_map
from lib_optim.plan.bounds import Bound, parse_bound
from lib_optim.plan.errors import PlanError
from lib_optim.plan.guide import ComponentGuide, Group, Guide, Strategy
from lib_optim.plan.methods import MergeMethod
from lib_optim.plan.space import Space, match_blocks, space_of
from tests.plan.methods import BARE, MANY, NEEDY, WEIGHTED

SD1, SDXL = block_map("sd1"), block_map("sdxl")
IN = [f"IN{n:02d}" for n in range(12)]
OUT = [f"OUT{n:02d}" for n in range(12)]
LEADERS = [*IN, "M00", *OUT]
UNET = [*LEADERS, "TIME", "FINAL"]

ALL = Strategy("all")


def unet(*strategies: Strategy) -> ComponentGuide:
    return ComponentGuide("unet", strategies)


def select(*blocks: str, parameters: tuple[str, ...] = ()) -> Strategy:
    return Strategy("select", blocks, parameters=parameters)


def group(**groups: str) -> Strategy:
    return Strategy("group", groups=tuple(Group(name, tuple(blocks.split())) for name, blocks in groups.items()))


def space(*parts: ComponentGuide | Strategy, method: MergeMethod = WEIGHTED, **bounds: str) -> Space:
    return space_with(bounds, *parts, method=method)


def space_with(bounds: Mapping[str, str], *parts: ComponentGuide | Strategy, method: MergeMethod = WEIGHTED) -> Space:
    components = tuple(part if isinstance(part, ComponentGuide) else unet(part) for part in parts)
    return space_of(Guide(components, {k: parse_bound(v) for k, v in bounds.items()}), method, SD1)


def refused(*parts: ComponentGuide | Strategy, method: MergeMethod = WEIGHTED, **bounds: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        space_with(bounds, *parts, method=method)
    return [str(problem) for problem in caught.value.problems]


def blocks_of(found: Space) -> dict[str, list[str]]:
    return {parameter.name: list(parameter.blocks) for parameter in found.parameters}


# Strategies


def test_all_gives_one_parameter_per_block_and_followers_go_with_their_leaders() -> None:
    found = space(ALL)
    expected = {f"{name}_alpha": [name] for name in LEADERS}
    expected["IN00_alpha"] = ["IN00", "TIME"]
    expected["OUT11_alpha"] = ["OUT11", "FINAL"]
    assert blocks_of(found) == expected
    assert list(blocks_of(found)) == list(expected), "block order"
    assert found.settings == ()
    assert list(found.merged_blocks) == UNET
    assert {p.bound for p in found.parameters} == {Bound("float", 0.0, 1.0)}
    assert {p.default for p in found.parameters} == {0.5}


def test_the_default_guide() -> None:
    found = space_of(Guide.per_block(), WEIGHTED, SD1)
    assert [p.name for p in found.parameters] == [f"{name}_alpha" for name in ["BASE", *LEADERS]]
    assert space_of(Guide.per_block(False), WEIGHTED, SD1).parameters[0].name == "IN00_alpha"
    assert len(space_of(Guide.per_block(), WEIGHTED, SDXL).parameters) == 20


def test_the_vae_is_left_alone_unless_asked_for() -> None:
    assert "VAE" not in space(ALL).merged_blocks
    assert "VAE" in space(ALL, ComponentGuide("vae", (ALL,))).merged_blocks


def test_select_gives_one_parameter_per_block_named() -> None:
    found = space(select("in05", "OUT0?", "IN00-IN01"))
    assert list(blocks_of(found)) == [f"{n}_alpha" for n in ["IN00", "IN01", "IN05", *OUT[:10]]]
    assert blocks_of(found)["IN00_alpha"] == ["IN00", "TIME"]
    assert set(found.merged_blocks) == {"IN00", "IN01", "IN05", *OUT[:10], "TIME"}


def test_group_gives_one_parameter_per_group() -> None:
    found = space(group(low="IN00-IN05", rest="M00 OUT*"))
    assert blocks_of(found) == {"low_alpha": [*IN[:6], "TIME"], "rest_alpha": ["M00", *OUT, "FINAL"]}


def test_groups_of_one_name_share_one_value_across_components() -> None:
    found = space(unet(group(g="IN*")), ComponentGuide("text_encoder", (group(G="BASE"),)))
    assert blocks_of(found) == {"g_alpha": ["BASE", *IN, "TIME"]}


def test_single_gives_one_parameter_for_all() -> None:
    assert blocks_of(space(Strategy("single"))) == {"unet_alpha": UNET}
    assert blocks_of(space(Strategy("single", ("OUT*",)))) == {"unet_alpha": [*OUT, "FINAL"]}


def test_none_keeps_blocks_and_their_followers_from_the_base() -> None:
    found = space(unet(Strategy("none", ("IN00", "M00")), ALL))
    assert set(found.merged_blocks) == set(UNET) - {"IN00", "TIME", "M00"}
    assert not {"IN00_alpha", "M00_alpha"} & set(blocks_of(found))


def test_none_of_a_follower_alone() -> None:
    found = space(unet(Strategy("none", ("TIME",)), ALL))
    assert blocks_of(found)["IN00_alpha"] == ["IN00"]
    assert "TIME" not in found.merged_blocks


def test_a_component_set_to_none_is_kept() -> None:
    found = space(unet(ALL), ComponentGuide("text_encoder", (Strategy("none"),)))
    assert "BASE" not in found.merged_blocks


def test_all_means_the_rest_wherever_it_stands() -> None:
    for strategies in ((ALL, group(g="IN*")), (group(g="IN*"), ALL)):
        found = space(unet(*strategies))
        assert list(blocks_of(found)) == ["g_alpha", "M00_alpha", *(f"{name}_alpha" for name in OUT)]
        assert blocks_of(found)["g_alpha"] == [*IN, "TIME"]


def test_none_without_blocks_at_the_end_means_the_rest() -> None:
    found = space(unet(select("IN05"), Strategy("none")))
    assert found.merged_blocks == ("IN05",)


def test_the_first_strategy_that_names_a_block_gets_it() -> None:
    found = space(unet(select("IN05"), group(g="IN04-IN06"), Strategy("none", ("IN05", "IN07")), ALL))
    assert blocks_of(found)["IN05_alpha"] == ["IN05"]
    assert blocks_of(found)["g_alpha"] == ["IN04", "IN06"]
    assert "IN07" not in found.merged_blocks
    assert "IN05" in found.merged_blocks
    later = space(unet(Strategy("none", ("IN05",)), Strategy("select", ("IN05", "IN06"))))
    assert later.merged_blocks == ("IN06",)


def test_a_follower_named_by_itself_has_its_own_value() -> None:
    found = space(unet(select("TIME"), ALL))
    assert blocks_of(found)["TIME_alpha"] == ["TIME"]
    assert blocks_of(found)["IN00_alpha"] == ["IN00"]
    assert blocks_of(found)["OUT11_alpha"] == ["OUT11", "FINAL"]


def test_a_follower_alone_can_be_merged() -> None:
    assert space(select("TIME")).merged_blocks == ("TIME",)


def test_strategies_for_named_parameters() -> None:
    found = space(
        unet(
            Strategy("single", parameters=("alpha",)),
            select("IN05", parameters=("beta", "rank")),
            select("TIME", parameters=("beta",)),
        ),
        method=MANY,
    )
    assert blocks_of(found) == {
        "unet_alpha": UNET,
        "IN05_beta": ["IN05"],
        "IN05_rank": ["IN05"],
        "TIME_beta": ["TIME"],
    }
    settings = {(s.method_parameter, b): s.value for s in found.settings for b in s.blocks}
    assert settings["beta", "IN04"] == 0.3
    assert settings["rank", "IN04"] == 8
    assert ("beta", "IN05") not in settings
    assert settings["vote", "TIME"] is False


def test_a_follower_named_for_one_parameter_follows_in_the_others() -> None:
    found = space(unet(select("TIME", parameters=("alpha",)), ALL), method=MANY)
    assert blocks_of(found)["TIME_alpha"] == ["TIME"]
    assert blocks_of(found)["IN00_beta"] == ["IN00", "TIME"]


def test_parameters_that_are_not_searched_stay_at_their_defaults() -> None:
    found = space(select("IN05"), method=MANY)
    assert blocks_of(found) == {"IN05_alpha": ["IN05"], "IN05_beta": ["IN05"]}
    assert {s.name: s.value for s in found.settings} == {
        "IN05_cos_eps": 1e-6,
        "IN05_rank": 8,
        "IN05_vote": False,
        "IN05_mode": "a",
    }


def test_what_is_not_searched_is_set_together_with_the_leader() -> None:
    found = space(select("IN00"), method=MANY)
    assert {s.name: s.blocks for s in found.settings if s.method_parameter == "rank"} == {"IN00_rank": ("IN00", "TIME")}


# Bounds


def bound_of(found: Space, name: str) -> str:
    return str(next(p.bound for p in found.parameters if p.name == name))


def test_the_most_specific_bound_wins() -> None:
    found = space_with(
        {
            "alpha": "0..0.1",
            "IN*": "0..0.2",
            "in0[5-9]*": "0..0.3",
            "IN06": "0..0.4",
            "IN07_alpha": "0..0.5",
            "IN07": "0..0.6",
        },
        ALL,
    )
    assert bound_of(found, "M00_alpha") == "0..0.1"
    assert bound_of(found, "IN00_alpha") == "0..0.2"
    assert bound_of(found, "IN05_alpha") == "0..0.3"
    assert bound_of(found, "IN06_alpha") == "0..0.4"
    assert bound_of(found, "IN07_alpha") == "0..0.5"


def test_bounds_of_groups_singles_and_the_only_block_of_one() -> None:
    found = space_with(
        {"g": "0..0.2", "unet": "0..0.3", "BASE": "0..0.4"},
        unet(group(g="IN*"), Strategy("single", ("OUT*",))),
        ComponentGuide("text_encoder", (Strategy("single"),)),
    )
    assert bound_of(found, "g_alpha") == "0..0.2"
    assert bound_of(found, "unet_alpha") == "0..0.3"
    assert bound_of(found, "text_encoder_alpha") == "0..0.4"


def test_a_parameter_name_with_an_underscore() -> None:
    found = space_with({"IN05": "1e-7..1e-3 log"}, select("IN05", parameters=("cos_eps",)), method=MANY)
    assert bound_of(found, "IN05_cos_eps") == "1e-07..0.001 log"


def test_fixed_values_become_settings_of_the_right_type() -> None:
    found = space_with({"IN05": "=1", "IN06_alpha": "0.25"}, ALL)
    settings = {s.name: s.value for s in found.settings}
    assert settings == {"IN05_alpha": 1.0, "IN06_alpha": 0.25}
    assert type(settings["IN05_alpha"]) is float
    assert "IN05" in found.merged_blocks


def test_a_block_bound_leaves_the_switches_of_the_method_alone() -> None:
    found = space_with({"IN*": "=0.2"}, select("IN05", "OUT05"), method=MANY)
    assert {s.name: s.value for s in found.settings if s.name.startswith("IN05")} == {
        "IN05_alpha": 0.2,
        "IN05_beta": 0.2,
        "IN05_cos_eps": 1e-6,
        "IN05_rank": 8,
        "IN05_vote": False,
        "IN05_mode": "a",
    }


def test_what_nothing_searches_can_be_fixed_by_name() -> None:
    found = space_with(
        {"vote": "=true", "*_rank": "=4", "IN05_cos_eps": "=0.001", "mode": "=b"}, select("IN05", "IN06"), method=MANY
    )
    settings = {s.name: s.value for s in found.settings}
    assert settings == {
        "IN05_vote": True,
        "IN06_vote": True,
        "IN05_rank": 4,
        "IN06_rank": 4,
        "IN05_cos_eps": 0.001,
        "IN06_cos_eps": 1e-6,
        "IN05_mode": "b",
        "IN06_mode": "b",
    }


def test_a_default_that_must_be_given() -> None:
    assert refused(select("IN05"), method=NEEDY) == ["k of needy has no default; fix it or search it."]
    assert space_with({"k": "=0.2"}, select("IN05"), method=NEEDY).settings[0].value == 0.2


# Ties


def test_a_tie_joins_the_dimension() -> None:
    found = space_with({"IN06": "=IN05", "OUT11": "=in05_ALPHA"}, ALL)
    assert blocks_of(found)["IN05_alpha"] == ["IN05", "IN06", "OUT11", "FINAL"]
    assert not {"IN06_alpha", "OUT11_alpha"} & set(blocks_of(found))
    assert found.settings == ()


def test_a_tie_to_a_member_of_a_group_joins_the_group() -> None:
    found = space_with({"OUT00": "=IN03"}, unet(group(g="IN00-IN05"), ALL))
    assert blocks_of(found)["g_alpha"] == [*IN[:6], "OUT00", "TIME"]


def test_a_tie_to_a_fixed_value_copies_it() -> None:
    found = space_with({"IN06": "=IN05", "IN05": "=0.7"}, ALL)
    assert {s.name: s.value for s in found.settings} == {"IN05_alpha": 0.7, "IN06_alpha": 0.7}


@pytest.mark.parametrize("order", [("IN04", "IN05", "IN06"), ("IN06", "IN05", "IN04")])
def test_ties_to_ties(order: tuple[str, ...]) -> None:
    first, second, third = order
    found = space_with({first: f"={second}", second: f"={third}"}, ALL)
    assert blocks_of(found)[f"{third}_alpha"] == sorted(order)


def test_a_tie_concerns_each_method_parameter_by_itself() -> None:
    found = space_with({"IN06": "=IN05"}, select("IN05", "IN06"), method=MANY)
    assert blocks_of(found) == {"IN05_alpha": ["IN05", "IN06"], "IN05_beta": ["IN05", "IN06"]}


def test_one_method_parameter_cannot_be_tied_to_another() -> None:
    [sentence] = refused(select("IN05"), method=MANY, IN05_beta="=IN05_alpha")
    assert sentence == "IN05_beta is tied to 'IN05_alpha', which is neither searched nor fixed."


def test_across_components() -> None:
    found = space_with(
        {"text_encoder": "=unet"}, Strategy("single"), ComponentGuide("text_encoder", (Strategy("single"),))
    )
    assert blocks_of(found) == {"unet_alpha": ["BASE", *UNET]}


@pytest.mark.parametrize("bounds", [{"IN05": "=IN05"}, {"IN05": "=IN06", "IN06": "=IN05"}, {"IN05": "=IN5"}])
def test_ties_that_lead_nowhere(bounds: dict[str, str]) -> None:
    found = refused(ALL, **bounds)
    assert len(found) == len(bounds)
    assert all("which is neither searched nor fixed." in sentence for sentence in found)


def test_a_tie_to_a_block_that_is_not_merged() -> None:
    [sentence] = refused(unet(Strategy("none", ("IN05",)), ALL), IN06="=IN05")
    assert "IN06_alpha is tied to 'IN05'" in sentence


# What is refused


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([ComponentGuide("unett", (ALL,))], "'unett' is not a component of sd1 (text_encoder, unet, vae). Did"),
        ([select("IN55")], "'IN55' matches no block of unet. Did you mean 'IN05'?"),
        ([select("BASE")], "'BASE' matches no block of unet."),
        ([select("IN00-IN99")], "'IN00-IN99' matches no block of unet. Did you mean 'IN00-IN09'?"),
        ([select("IN0-IN5")], "'IN0-IN5' matches no block of unet. Did you mean 'IN00-IN05'?"),
        ([select("OTU*")], "'OTU*' matches no block of unet. Did you mean 'OUT*'?"),
        ([select("XX*")], "'XX*' matches no block of unet. There are IN00-IN11, M00, OUT00-OUT11, TIME, FINAL."),
        ([select("")], "'' matches no block of unet."),
        ([select("IN05", parameters=("alpa",))], "'alpa' is not a parameter of weighted_sum (alpha). Did you mean"),
        ([select()], "A select strategy of unet names no blocks."),
        ([Strategy("group")], "A group strategy of unet lists no groups."),
        ([group(IN05="OUT*")], "A group cannot be called 'IN05', which is the name of a block or component."),
        ([group(unet="OUT*")], "A group cannot be called 'unet'"),
        ([Strategy("group", groups=(Group("a*", ("IN05",)),))], "'a*' cannot be the name of a group"),
        ([Strategy("group", groups=(Group(" ", ("IN05",)),))], "' ' cannot be the name of a group"),
        ([Strategy("all", ("IN05",))], "The all strategy of unet lists blocks, which it does not read; use select."),
        ([Strategy("all", groups=(Group("g", ("IN05",)),))], "lists groups, which only a group strategy reads."),
        ([unet(ALL, Strategy("none", ("IN05",), parameters=("alpha",)))], "The none strategy of unet lists parameters"),
        ([unet(select("IN05"), select("IN05"))], "The select strategy of unet has no effect"),
        ([unet(select("IN*"), group(g="IN05", h="OUT*"))], "The group g has no effect"),
        ([unet(select("IN05"), Strategy("none", ("IN05",)))], "The none strategy of unet has no effect"),
        ([unet(Strategy("none"), select("IN05"))], "The select strategy of unet has no effect"),
        (
            [unet(Strategy("single", ("IN*",)), Strategy("single", ("OUT*",)))],
            "Two single strategies of unet would share one value; use a group strategy",
        ),
        ([unet(ALL), unet(ALL)], "The guide lists the component 'unet' twice"),
        ([unet(Strategy("none"))], "Nothing is merged"),
        ([unet()], "Nothing is merged"),
        ([], "Nothing is merged"),
    ],
)  # fmt: skip
def test_guides_that_cannot_be(parts: list[ComponentGuide | Strategy], words: str) -> None:
    found = refused(*parts)
    assert any(words in sentence for sentence in found), found
    assert all(sentence.endswith((".", "?")) for sentence in found)


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"IN5": "0..1"}, "The bound of 'IN5' matches no parameter. Did you mean 'IN"),
        ({"BASE": "0..1"}, "The bound of 'BASE' matches no parameter."),
        ({"XX*": "0..1"}, "The bound of 'XX*' matches no parameter."),
        ({"TIME": "0..1"}, "'TIME' has no value of its own here, IN00_alpha sets it"),
        ({"TIME_alpha": "0..1"}, "'TIME_alpha' has no value of its own here, IN00_alpha sets it"),
        ({"IN05": "1..8 int log", "alpha": "bool"}, "alpha takes float values"),
        ({"alpha": "{a, b}"}, "alpha takes float values, not 'a'"),
        ({"IN05": "=true"}, "alpha takes float values, not True"),
        ({"IN05": "='x'"}, "alpha takes float values, not 'x'"),
    ],
)
def test_bounds_that_cannot_be(bounds: dict[str, str], words: str) -> None:
    found = refused(ALL, **bounds)
    assert any(words in sentence for sentence in found), found


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"rank": "1..8 int"}, "The bound 1..8 int of 'rank' has no effect, because nothing searches IN05_rank"),
        ({"*_rank": "1..8 int"}, "nothing searches IN05_rank"),
        ({"rank": "=2.5"}, "rank takes int values, not 2.5"),
        ({"vote": "=1"}, "vote takes bool values, not 1"),
        ({"mode": "=5"}, "mode takes str values, not 5"),
    ],
)
def test_bounds_of_parameters_that_nothing_searches(bounds: dict[str, str], words: str) -> None:
    found = refused(select("IN05"), method=MANY, **bounds)
    assert any(words in sentence for sentence in found), found


def test_a_member_of_a_group_has_no_bound_of_its_own() -> None:
    [sentence] = refused(group(g="IN*"), IN03="0..0.5")
    assert sentence.startswith("'IN03' has no value of its own here, g_alpha sets it; bound that")
    [sentence] = refused(group(g="IN*"), IN00="0..0.5")
    assert sentence.startswith("'IN00' has no value of its own here, g_alpha sets it; bound that")


def test_reversed_bounds_are_refused_even_where_no_parser_saw_them() -> None:
    guide = Guide((unet(ALL),), {"IN05": Bound("float", 1.0, 0.0)})
    with pytest.raises(PlanError, match=r"The bound 1\.\.0 of IN05_alpha cannot be used: the lower end 1 is not below"):
        space_of(guide, WEIGHTED, SD1)


def test_nothing_left_to_search() -> None:
    assert refused(ALL, alpha="=0.5") == ["Nothing is left to search: every parameter is fixed; free at least one."]


def test_a_method_without_parameters() -> None:
    assert refused(ALL, method=BARE) == ["Average has nothing to search: it takes no parameters; choose another."]


def test_every_problem_is_told_at_once() -> None:
    found = refused(unet(select("IN55"), ALL), ComponentGuide("te", (ALL,)), alpha="bool")
    assert len(found) >= 2 + len(LEADERS)


def test_matching_blocks() -> None:
    blocks = SD1.of_component("unet")
    table = {
        "in00": ["IN00"],
        " IN00 ": ["IN00"],
        "IN00-IN02": IN[:3],
        "IN02 - IN00": IN[:3],
        "IN11-OUT00": ["IN11", "M00", "OUT00"],
        "M*": ["M00"],
        "*": UNET,
        "?UT0[12]": ["OUT01", "OUT02"],
        "time": ["TIME"],
    }
    assert {pattern: list(match_blocks([pattern], blocks, "unet")) for pattern in table} == table


# Properties


names = st.sampled_from([*UNET, "IN*", "OUT*", "*", "IN02-IN07", "OUT1?"])
patterns = st.lists(names, min_size=1, max_size=3).map(tuple)
parameters = st.sampled_from([(), ("alpha",), ("beta",), ("alpha", "rank"), ("vote", "mode", "cos_eps")])
strategies = st.one_of(
    st.builds(lambda p: Strategy("all", parameters=p), parameters),
    st.builds(lambda b, p: Strategy("select", b, parameters=p), patterns, parameters),
    st.builds(lambda b, p: Strategy("single", b, parameters=p), st.just(()) | patterns, parameters),
    st.builds(lambda b: Strategy("none", b), patterns),
    st.builds(
        lambda g, p: Strategy("group", groups=tuple(Group(n, b) for n, b in g.items()), parameters=p),
        st.dictionaries(st.sampled_from(["g", "h"]), patterns, min_size=1),
        parameters,
    ),
)
texts = ["0..0.5", "=0.2", "=IN05", "=g", "{0.1, 0.5}", "1..4 int", "bool", "=true", "0..1 step 0.25", "='a'"]
keys = st.sampled_from([*UNET, "g", "unet", "IN*", "*_alpha", "alpha", "beta", "rank", "vote", "IN05_alpha", "nope"])
guides = st.builds(
    lambda u, t, b: Guide((unet(*u), *([ComponentGuide("text_encoder", (ALL,))] if t else [])), b),
    st.lists(strategies, min_size=1, max_size=3),
    st.booleans(),
    st.just({}) | st.dictionaries(keys, st.sampled_from(texts).map(parse_bound), min_size=1, max_size=2),
)


@settings(max_examples=600)
@given(guides, st.sampled_from([WEIGHTED, MANY, MANY]), st.sampled_from([SD1, SDXL]), st.randoms())
def test_a_space_sets_every_parameter_of_every_merged_block_once(
    guide: Guide, method: MergeMethod, blocks, rng
) -> None:
    try:
        found = space_of(guide, method, blocks)
    except PlanError:
        event("refused")
        return
    event("accepted")
    cells = [(row.method_parameter, b) for row in (*found.parameters, *found.settings) for b in row.blocks]
    assert sorted(cells) == sorted({(p.name, b) for p in method.parameters for b in found.merged_blocks})
    dimensions = [row.name for row in found.parameters]
    assert len(set(dimensions)) == len(dimensions)
    assert found.parameters
    values = {}
    for row in found.parameters:
        kind = {p.name: p.kind for p in method.parameters}[row.method_parameter]
        if row.bound.kind == "bool":
            values[row.name] = rng.random() < 0.5
        elif row.bound.kind == "choice":
            values[row.name] = rng.choice(row.bound.choices)
        else:
            assert kind in ("float", "int")
            values[row.name] = rng.choice([row.bound.low, row.bound.high])
            values[row.name] = int(values[row.name]) if row.bound.kind == "int" else values[row.name]
    table = found.assign(values)
    assert {(p, b) for p, row in table.items() for b in row} == set(cells)
    for row in found.parameters:
        assert {table[row.method_parameter][b] for b in row.blocks} == {values[row.name]}
    assert Space.from_json(found.to_json()) == found


def test_assign() -> None:
    found = space_with({"OUT*": "=0.25"}, unet(group(g="IN*"), select("OUT05")))
    assert found.assign({"g_alpha": 0.75}) == {"alpha": {**dict.fromkeys([*IN, "TIME"], 0.75), "OUT05": 0.25}}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "The value of 'g_alpha' is missing."),
        ({"g_alpha": 1.5}, "g_alpha = 1.5 lies outside 0..1."),
        ({"g_alpha": float("nan")}, "g_alpha = nan lies outside 0..1."),
        ({"g_alpha": True}, "g_alpha = True lies outside 0..1."),
        ({"g_alpha": 0.5, "h_alpha": 1}, "'h_alpha' is not a parameter of this run. Did you mean 'g_alpha'?"),
    ],
)
def test_assign_refuses(values: dict[str, float], words: str) -> None:
    with pytest.raises(PlanError) as caught:
        space(group(g="IN*")).assign(values)
    assert str(caught.value) == words
