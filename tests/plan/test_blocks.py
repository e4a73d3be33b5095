"""Block maps: every key of the true lists in exactly one block, and what a broken map says."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_optim.plan.architectures import ARCHITECTURES
from lib_optim.plan.blocks import BlockMap, block_map, block_map_names, parse_block_map
from lib_optim.plan.errors import PlanError
from tests.plan.keys import config_keys

CONFIGS = {"sd1": "sd1-ldm", "sdxl": "sdxl-sgm", "sd3": "sd3-comfyui", "flux": "flux-flux"}
MERGED = ("clip_l", "clip_g", "t5xxl", "vae", "diffuser")
# Flags and schedules that sd-mecha files under the diffusion model; nothing to merge.
OUTSIDE = {
    "v_pred",
    "ztsnr",
    "edm_vpred.sigma_max",
    "edm_vpred.sigma_min",
    "denoiser.sigmas",
    "model.model_sampling.sigmas",
}

CLASSIC = {
    "sd1": ["BASE", *(f"IN{n:02d}" for n in range(12)), "M00", *(f"OUT{n:02d}" for n in range(12))],
    "sdxl": ["BASE", *(f"IN{n:02d}" for n in range(9)), "M00", *(f"OUT{n:02d}" for n in range(9))],
    "sd3": ["BASE", *(f"IN{n:02d}" for n in range(24))],
    "flux": ["CLIP", "T5", "IN", *(f"D{n:02d}" for n in range(19)), *(f"S{n:02d}" for n in range(38)), "OUT"],
}
FOLLOWERS = {
    "sd1": {"TIME": "IN00", "FINAL": "OUT11"},
    "sdxl": {"TIME": "IN00", "LABEL": "IN00", "FINAL": "OUT08"},
    "sd3": {"EMBED": "IN00", "FINAL": "IN23"},
    "flux": {},
}


def matches(blocks: BlockMap, key: str) -> list[str]:
    return [block.name for block in blocks.blocks if any(re.compile(p).match(key) for p in block.patterns)]


@pytest.mark.parametrize(("name", "config"), CONFIGS.items())
def test_every_key_lies_in_exactly_one_block(name: str, config: str) -> None:
    blocks = block_map(name)
    parts = config_keys(config)
    wrong = {
        key: found
        for part in MERGED
        for key in parts.get(part, ())
        if len(found := matches(blocks, key)) != 1 and key not in OUTSIDE
    }
    assert not wrong
    stray = {key for part in set(parts) - set(MERGED) for key in parts[part] if matches(blocks, key)}
    assert not stray


@pytest.mark.parametrize(("name", "config"), CONFIGS.items())
def test_no_block_is_empty_and_the_grouping_loses_nothing(name: str, config: str) -> None:
    blocks = block_map(name)
    keys = [key for part in MERGED for key in config_keys(config).get(part, ()) if key not in OUTSIDE]
    grouped = blocks.by_block([*keys, "alphas_cumprod"])
    assert list(grouped) == [block.name for block in blocks.blocks]
    assert all(grouped.values())
    assert sorted(key for names in grouped.values() for key in names) == sorted(keys)
    for block in blocks.blocks:
        assert all(blocks.block_of(key) == block.name for key in grouped[block.name])
    assert blocks.block_of("alphas_cumprod") is None


@pytest.mark.parametrize(("name", "config"), CONFIGS.items())
def test_blocks_and_components_agree(name: str, config: str) -> None:
    blocks = block_map(name)
    row = next(row for row in ARCHITECTURES if row.block_map == name)
    for keys in config_keys(config).values():
        for key in keys:
            block = blocks.block_of(key)
            if block is not None:
                assert blocks.block(block).component == row.component_of(key), key


@pytest.mark.parametrize("name", CLASSIC)
def test_the_classic_numbers_in_their_order(name: str) -> None:
    blocks = block_map(name)
    own = [block.name for block in blocks.blocks if block.follows is None and block.component != "vae"]
    assert own == CLASSIC[name]
    assert {block.name: block.follows for block in blocks.blocks if block.follows} == FOLLOWERS[name]


@pytest.mark.parametrize(("name", "last"), [("sd1", 24), ("sdxl", 18), ("sd3", 23), ("flux", 58)])
def test_depth_runs_from_0_to_1_over_the_unet(name: str, last: int) -> None:
    blocks = block_map(name)
    depths = [block.depth for block in blocks.of_component("unet") if block.follows is None]
    assert depths == [i / last for i in range(last + 1)]
    others = [block.depth for block in blocks.blocks if block.component != "unet" or block.follows]
    assert set(others) == {None}


def test_some_keys_whose_place_is_known() -> None:
    sd1, sdxl = block_map("sd1"), block_map("sdxl")
    unet = "model.diffusion_model."
    known = {
        "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": "BASE",
        f"{unet}input_blocks.0.0.weight": "IN00",
        f"{unet}input_blocks.1.0.in_layers.0.bias": "IN01",
        f"{unet}input_blocks.11.0.in_layers.0.bias": "IN11",
        f"{unet}middle_block.1.norm.bias": "M00",
        f"{unet}output_blocks.1.0.in_layers.0.bias": "OUT01",
        f"{unet}output_blocks.10.0.in_layers.0.bias": "OUT10",
        f"{unet}time_embed.0.bias": "TIME",
        f"{unet}out.2.weight": "FINAL",
        "first_stage_model.quant_conv.bias": "VAE",
    }
    assert {key: sd1.block_of(key) for key in known} == known
    assert sdxl.block_of(f"{unet}label_emb.0.0.weight") == "LABEL"
    assert sdxl.block_of("conditioner.embedders.1.model.ln_final.bias") == "BASE"


@given(st.text())
def test_a_key_is_in_the_block_whose_number_it_carries(text: str) -> None:
    assert block_map("sd1").block_of(f"model.diffusion_model.input_blocks.1.{text}") == "IN01"
    assert block_map("sd1").block_of(f"x.model.diffusion_model.input_blocks.1.{text}") is None


def test_blocks_are_found_in_any_case_and_missing_ones_name_the_nearest() -> None:
    assert block_map("sd1").block("in05").name == "IN05"
    with pytest.raises(PlanError, match=r"'IN5' is not a block of sd1\. Did you mean 'IN\d5'\?"):
        block_map("sd1").block("IN5")


def test_the_shipped_maps() -> None:
    assert block_map_names() == ("flux", "sd1", "sd2", "sd3", "sdxl")
    with pytest.raises(PlanError, match=r"no block map 'sdx'\. Did you mean 'sdxl'"):
        block_map("sdx")


ROW = "{name: A, component: unet, keys: ['a\\.']}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("blocks: [", "not valid YAML"),
        ("", "needs the fields"),
        ("5", "needs the fields"),
        ("blocks: 5", "needs the fields"),
        ("blocks: [5]", "needs name, component and keys"),
        ("blocks: [{name: A, component: unet}]", "needs name, component and keys"),
        ("blocks: [{name: A, component: unet, keys: a}]", "must be a list of patterns"),
        ("blocks: [{name: A, component: unet, keys: [5]}]", "must be a list of patterns"),
        ("blocks: [{name: A, component: unet, keys: ['(']}]", "broken pattern '\\('"),
        (f"blocks: [{ROW}, {ROW}]", "names the block A twice"),
        (f"blocks: [{ROW}, {{name: a, component: unet, keys: ['b']}}]", "names the block a twice"),
        (f"blocks: [{ROW}, {{name: B, component: unet, keys: ['b'], follows: C}}]", "follows 'C'"),
        (f"blocks: [{ROW}, {{name: B, component: vae, keys: ['b'], follows: A}}]", "no block of vae"),
        ("blocks: [{name: B, component: unet, keys: ['b'], follows: B}]", "follows 'B'"),
        ("blocks: [{name: 'A{n}', component: unet, keys: ['a'], from: 0}]", "whole numbers for from and to"),
        ("blocks: [{name: 'A{n}', component: unet, keys: ['a'], to: 3}]", "whole numbers for from and to"),
        ("blocks: [{name: 'A{n}', component: unet, keys: ['a'], from: x, to: 3}]", "whole numbers for from and to"),
        ("blocks: [{name: 'A{n}', component: unet, keys: ['a'], from: 3, to: 1}]", "in order"),
        ("blocks: [{name: 'A{n}', component: unet, keys: ['a'], from: 0, to: 100000000}]", "below 1000"),
        ("blocks: [{name: A, component: unet, keys: ['a'], from: 0, to: 1}]", "names the block A twice"),
    ],
)
def test_a_broken_map_says_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(PlanError, match=words) as caught:
        parse_block_map(text, "mine.yaml")
    assert "mine.yaml" in str(caught.value)


def test_a_map_of_ones_own() -> None:
    blocks = parse_block_map(
        "id: mine\narchitecture: sd1\nblocks:\n"
        "  - {name: 'L{n}', component: unet, title: 'Layer {n}', from: 0, to: 2, keys: ['l\\.{n}\\.']}\n"
        "  - {name: 7, component: vae, keys: ['v\\.', 'w\\.']}\n",
        "mine.yaml",
    )
    assert (blocks.id, blocks.architecture) == ("mine", "sd1")
    assert [(b.name, b.title, b.depth) for b in blocks.blocks] == [
        ("L00", "Layer 0", 0.0),
        ("L01", "Layer 1", 0.5),
        ("L02", "Layer 2", 1.0),
        ("7", "7", None),
    ]
    assert Counter(blocks.block_of(key) for key in ("l.0.x", "l.2.x", "v.x", "w.x", "l.3.x")) == Counter(
        {"L00": 1, "L02": 1, "7": 2, None: 1}
    )
