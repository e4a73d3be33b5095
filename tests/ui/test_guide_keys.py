"""Custom lines that name tensors, or give blocks one value under a name."""

from __future__ import annotations

import pytest

from lib_optim.plan.blocks import block_map
from lib_optim.plan.bounds import parse_bound
from lib_optim.plan.errors import PlanError
from lib_optim.plan.methods import MergeMethod, MethodParameter
from lib_optim.plan.refine import refined_for
from lib_optim.plan.space import Space, space_of
from lib_optim.ui.guide_form import guide_from_form
from tests.plan.keys import config_keys

METHOD = MergeMethod(
    "ties", "TIES", "", 2, None,
    (MethodParameter("alpha", "float", 0.5, parse_bound("0..1")),
     MethodParameter("k", "float", 0.2, parse_bound("0..1"), searched=False)),
)  # fmt: skip
KEYS = tuple(key for keys in config_keys("sd1-ldm").values() for key in keys if "position_ids" not in key)


def space(text: str) -> Space:
    """What the lines come to, as the run's own check sees them."""
    blocks = block_map("sd1")
    guide = guide_from_form({"vary": {"mode": "custom", "custom": text}}, METHOD, blocks, KEYS)
    return space_of(guide, METHOD, refined_for(guide, blocks, KEYS))


def refused(text: str) -> str:
    with pytest.raises(PlanError) as caught:
        space(text)
    return str(caught.value)


def test_tensors_first_then_the_blocks_they_lie_in() -> None:
    found = space("*.output_blocks.3.*.attn1.*: 0..0.2\nOUT03/*.attn1.* k: 0.3..0.4\nOUT*: 0.5..1")
    attention = [p for p in found.parameters if ".attn1." in p.name and p.method_parameter == "alpha"]
    assert len(attention) == 5
    assert {str(p.bound) for p in attention} == {"0..0.2"}
    assert {str(p.bound) for p in found.parameters if p.method_parameter == "k"} == {"0.3..0.4"}
    assert next(p for p in found.parameters if p.name == "OUT03_alpha").blocks == ("OUT03",)
    assert len(found.parameters) == 5 + 5 + 12


def test_elemental_merge_of_supermerger() -> None:
    """OUT03-OUT06:attn1:.3"""
    found = space("OUT03-OUT06/*attn1*: 0.3\n*: 0..1")
    assert {setting.value for setting in found.settings if setting.method_parameter == "alpha"} == {0.3}
    fixed = {name for s in found.settings for name in s.blocks if s.method_parameter == "alpha"}
    assert fixed == {k for k in KEYS if k.startswith(tuple(f"model.diffusion_model.output_blocks.{n}." for n in "3456"))
                     and "attn1" in k}  # fmt: skip


def test_a_name_gives_blocks_and_tensors_one_value() -> None:
    found = space("soft = *.attn2.*, M00: 0..0.5\nsoft = BASE: 0..0.5\nIN*: 0..1")
    soft = found.parameters[[p.name for p in found.parameters].index("soft_alpha")]
    assert str(soft.bound) == "0..0.5"
    assert {"M00", "BASE"} < set(soft.blocks)
    assert len(soft.blocks) == 2 + 80
    assert len(found.parameters) == 1 + 12


def test_the_vae_s_tensors_are_meant_only_where_it_is_named() -> None:
    assert not any("first_stage" in name for name in space("*.proj_out.*, IN00: 0..1").merged_blocks)
    assert "first_stage_model.encoder.conv_in.weight" in space("VAE/*.conv_in.*: 0..1").merged_blocks
    assert "write VAE/*.decoder.* if you want those" in refused("*.decoder.*: 0..1")


def test_mistakes_are_named_with_their_line() -> None:
    assert "Line 1: '*.atn1.*' matches no tensor of sd1. Did you mean '*.attn1.*'?" in refused("*.atn1.*: 0..1")
    assert "Line 2: 'a' has another range in a line above." in refused("a = IN00: 0..1\na = IN01: 0..0.5")
    assert "needs a name before the =" in refused("= IN00: 0..1")
    assert "A group cannot be called 'IN00'" in refused("IN00 = IN01: 0..1")
