"""Guides that go down to single tensors, on the true key lists of SD1 and SDXL."""

from __future__ import annotations

import pytest

from lib_optim.plan.blocks import block_map
from lib_optim.plan.bounds import parse_bound
from lib_optim.plan.errors import PlanError
from lib_optim.plan.guide import ComponentGuide, Group, Guide, Strategy
from lib_optim.plan.matching import match_blocks
from lib_optim.plan.methods import MergeMethod
from lib_optim.plan.presets import preset, preset_values
from lib_optim.plan.refine import refined, refined_for
from lib_optim.plan.space import Space, space_of
from tests.plan.keys import config_keys
from tests.plan.methods import MANY, WEIGHTED

KEYS = {
    name: tuple(key for keys in config_keys(config).values() for key in keys if "position_ids" not in key)
    for name, config in (("sd1", "sd1-ldm"), ("sdxl", "sdxl-sgm"))
}
ATTENTION = tuple(key for key in KEYS["sd1"] if key.startswith("model.diffusion_model.") and ".attn1." in key)
PREFIX = "model.diffusion_model."


def select(*blocks: str, parameters: tuple[str, ...] = ()) -> Strategy:
    return Strategy("select", blocks, parameters=parameters)


def space(
    *strategies: Strategy, method: MergeMethod = WEIGHTED, name: str = "sd1", bounds: dict[str, str] | None = None
) -> Space:
    guide = Guide((ComponentGuide("unet", strategies),), {k: parse_bound(v) for k, v in (bounds or {}).items()})
    return space_of(guide, method, refined_for(guide, block_map(name), KEYS[name]))


def refused(*strategies: Strategy, name: str = "sd1") -> str:
    with pytest.raises(PlanError) as caught:
        space(*strategies, name=name)
    return str(caught.value)


def sets(found: Space) -> dict[str, set[str]]:
    return {parameter.name: set(parameter.blocks) for parameter in found.parameters}


def test_a_guide_without_such_patterns_leaves_the_map_alone() -> None:
    guide = Guide((ComponentGuide("unet", (Strategy("all"), select("IN*"))),))
    assert refined_for(guide, block_map("sd1"), KEYS["sd1"]) is block_map("sd1")


def test_select_gives_one_parameter_per_tensor() -> None:
    found = space(select("*.attn1.*"))
    assert len(ATTENTION) == 80
    assert sets(found) == {f"{key}_alpha": {key} for key in ATTENTION}
    assert set(found.merged_blocks) == set(ATTENTION), "nothing else is merged"


def test_group_and_single_give_one_for_all_of_them() -> None:
    grouped = space(Strategy("group", groups=(Group("attention", ("*.attn1.*", "*.attn2.*")),)))
    assert [p.name for p in grouped.parameters] == ["attention_alpha"]
    assert len(grouped.parameters[0].blocks) == 160
    single = space(Strategy("single", ("*.attn1.*",)))
    assert sets(single) == {"unet_alpha": set(ATTENTION)}


def test_named_tensors_leave_their_block_wherever_they_are_named() -> None:
    one = f"{PREFIX}input_blocks.4.1.proj_in.weight"
    for strategies in ((Strategy("all"), select(one)), (select(one), Strategy("all")), (select("IN*"), select(one))):
        found = sets(space(*strategies))
        assert found[f"{one}_alpha"] == {one}
        assert found["IN04_alpha"] == {"IN04"}
    assert f"{PREFIX}input_blocks.4.1.proj_in.bias" not in found


def test_parameters_that_no_strategy_gives_to_a_tensor_are_those_of_its_block() -> None:
    one = f"{PREFIX}input_blocks.4.1.proj_in.weight"
    late = f"{PREFIX}time_embed.0.weight"
    found = space(
        select(one, late, parameters=("beta",)), Strategy("all", parameters=("alpha",)), method=MANY,
        bounds={"IN04_alpha": "0.1..0.4"},
    )  # fmt: skip
    of = sets(found)
    assert of["IN04_alpha"] == {"IN04", one}
    assert of["IN00_alpha"] == {"IN00", "TIME", late}, "through TIME, which follows IN00"
    assert of[f"{one}_beta"] == {one}
    assert str(next(p for p in found.parameters if p.name == "IN04_alpha").bound) == "0.1..0.4"
    table = found.assign({p.name: 0.2 for p in found.parameters})
    assert table["beta"]["IN04"] == 0.3
    assert table["beta"][one] == 0.2
    assert table["alpha"].keys() == set(found.merged_blocks)
    named = sets(space(select("TIME"), select(late, parameters=("beta",)), method=MANY))
    assert named["TIME_alpha"] == {"TIME", late}


def test_none_keeps_tensors_and_a_kept_block_keeps_its_tensors() -> None:
    found = space(Strategy("none", ("*.attn1.*",)), Strategy("all"))
    assert not set(ATTENTION) & set(found.merged_blocks)
    assert "IN01" in found.merged_blocks
    one = f"{PREFIX}input_blocks.4.1.proj_in.weight"
    kept = space(Strategy("none", ("IN04",)), select(one), Strategy("all"))
    assert one in kept.merged_blocks, "it is named itself"
    assert "IN04" not in kept.merged_blocks


def test_elements_within_blocks() -> None:
    """supermerger's OUT03-OUT06:attn1:.3"""
    found = space(
        Strategy("group", groups=(Group("soft", ("OUT03-OUT06/*attn1*",)),)), Strategy("all"), bounds={"soft": "=0.3"}
    )
    (setting,) = found.settings
    assert setting.value == 0.3
    assert len(setting.blocks) == 4 * 5
    assert all(key.split(".")[3] in "3456" and ".attn1." in key for key in setting.blocks)
    assert sets(space(select("TIME/*")))[f"{PREFIX}time_embed.2.bias_alpha"]


def test_bounds_by_wildcard_over_tensors() -> None:
    found = space(select("*.attn1.*", "M00"), bounds={"*.to_q.*": "0..0.5", "M*": "0.6..0.7", "*": "0..0.9"})
    bounds = {parameter.name: str(parameter.bound) for parameter in found.parameters}
    assert {bound for name, bound in bounds.items() if ".to_q." in name} == {"0..0.5"}
    assert bounds["M00_alpha"] == "0.6..0.7"
    assert {bound for name, bound in bounds.items() if ".to_k." in name} == {"0..0.9"}, "M* means blocks"


def test_wildcards_over_blocks_do_not_mean_tensors() -> None:
    found = sets(space(select("M*"), select("*.attn1.*")))
    assert set(found) == {"M00_alpha", *(f"{key}_alpha" for key in ATTENTION)}
    blocks = refined(block_map("sd1"), ["*.attn1.*"], KEYS["sd1"])
    assert match_blocks(["IN01*"], blocks.of_component("unet"), "unet") == ("IN01",)


def test_the_map_covers_every_tensor_once_and_keeps_the_order() -> None:
    blocks = refined(block_map("sdxl"), ["*.to_k.*", "BASE/*.ln_1.*"], KEYS["sdxl"])
    plain = block_map("sdxl")
    moved = {block.key: block.follows for block in blocks.blocks if block.key}
    assert len(moved) == 140 + 2 * 32
    for key in KEYS["sdxl"]:
        assert blocks.block_of(key) == (key if key in moved else plain.block_of(key))
        assert key not in moved or moved[key] == plain.block_of(key)
    names = [block.name for block in blocks.blocks]
    assert [name for name in names if name not in moved] == [block.name for block in plain.blocks]
    for key, parent in moved.items():
        assert names.index(parent) < names.index(key)


def test_presets_reach_tensors_through_their_blocks() -> None:
    one, late = f"{PREFIX}output_blocks.5.1.proj_in.weight", f"{PREFIX}time_embed.0.weight"
    guide = Guide((ComponentGuide("unet", (select(one, late), Strategy("all"))),))
    blocks = refined_for(guide, block_map("sd1"), KEYS["sd1"])
    found = space_of(guide, WEIGHTED, blocks)
    values = preset_values(preset("SMOOTHSTEP"), found, blocks)
    assert values is not None
    assert values[f"{one}_alpha"] == values["OUT05_alpha"] > 0
    assert values[f"{late}_alpha"] == values["IN00_alpha"]


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("*.atn1.*", "'*.atn1.*' matches no tensor of unet. Did you mean '*.attn1.*'?"),
        ("OUT03-OUT06/*atnn2*", "Did you mean 'OUT03-OUT06/*attn2*'?"),
        ("OUT3/*.attn1.*", "'OUT3/*.attn1.*' matches no tensor of unet. Did you mean 'OUT03'?"),
        (f"{PREFIX}input_blocks.4.1.proj_inn.weight", f"Did you mean '{PREFIX}input_blocks.4.1.proj_in.weight'?"),
        ("cond_stage_model.*", "'cond_stage_model.*' matches no tensor of unet."),
    ],
)
def test_a_pattern_that_matches_nothing_is_refused_with_the_nearest(pattern: str, sentence: str) -> None:
    assert sentence in refused(select(pattern), Strategy("all"))


def test_a_map_that_was_not_refined_refuses_such_patterns() -> None:
    guide = Guide((ComponentGuide("unet", (select("*.attn1.*"),)),))
    with pytest.raises(PlanError, match="matches no tensor of unet"):
        space_of(guide, WEIGHTED, block_map("sd1"))


def test_a_thousand_tensors_take_no_time() -> None:
    found = space(select("*"), select("*.*"), name="sdxl")
    assert len(found.parameters) == 1680 + 19 + 3
