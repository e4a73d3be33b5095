"""Block maps of the user: what is read, what is refused with its line, what does not fit a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_optim.plan.architectures import ARCHITECTURES
from lib_optim.plan.blocks import block_map
from lib_optim.plan.errors import PlanError
from lib_optim.plan.own_maps import map_problems, own_maps, plan_blocks, read_block_map
from tests.plan.keys import config_keys

PATH = Path(__file__).parent / "guides" / "attention.yaml"
TEXT = PATH.read_text(encoding="utf-8")
SD1 = next(row for row in ARCHITECTURES if row.id == "sd1")
KEYS = tuple(key for keys in config_keys("sd1-ldm").values() for key in keys if "position_ids" not in key)


def test_the_example_takes_the_attention_apart() -> None:
    blocks = plan_blocks(TEXT, block_map("sd1"))
    assert blocks.block_of("model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight") == "ATTN"
    assert blocks.block_of("model.diffusion_model.input_blocks.1.0.in_layers.0.weight") == "IN01"
    assert blocks.block_of("model.diffusion_model.out.2.bias") == "REST"
    everything = [block.name for block in blocks.blocks]
    assert list(map_problems(blocks, SD1, KEYS, everything)) == []
    assert plan_blocks("", block_map("sd1")) is block_map("sd1")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("architecture: sd1", "architecture: sd11", ["Line 2", "'sd11'", "Did you mean 'sd1'"]),
        ("architecture: sd1", "architecture: sdxl-refiner", ["Line 2", "none of"]),
        ("name: BASE", "nam: BASE", ["Line 4", "Did you mean 'name'"]),
        ("blocks:", "block:", ["Line 3", "Did you mean 'blocks'"]),
        ("text_encoder", "text", ["Line 4", "'text' is none of"]),
        ("ATTN", "A.B", ["Line 5", "cannot be the name"]),
        ("ATTN", "A-B", ["Line 5", "cannot be the name"]),
        ("ATTN", "unet", ["Line 5", "cannot be the name"]),
        ("ATTN", "IN05", ["IN05 twice"]),
        (".*attn", "(attn", ["broken pattern"]),
        ("follows: OUT11", "follows: OUT99", ["follows 'OUT99'"]),
        ("id: attention", "id: !!python/name:os.system x", ["Line 1", "tag"]),
        ("id: attention", "id: {", ["not valid YAML"]),
    ],
)
def test_bad_maps_get_their_sentence(old: str, new: str, words: list[str]) -> None:
    assert old in TEXT
    with pytest.raises(PlanError) as caught:
        read_block_map(TEXT.replace(old, new))
    sentences = [str(problem) for problem in caught.value.problems]
    assert any(all(word in sentence for word in words) for sentence in sentences), sentences


def test_a_map_for_another_architecture_is_refused() -> None:
    with pytest.raises(PlanError, match="for sd1, but model A is sdxl"):
        plan_blocks(TEXT, block_map("sdxl"))


def test_blocks_without_a_tensor_and_of_two_components_are_named() -> None:
    empty = read_block_map(TEXT.replace(".*attn", r".*attn9\."))
    assert [str(p) for p in map_problems(empty, SD1, KEYS, ["ATTN", "IN00"])] == [
        "The block ATTN of attention holds no tensor of model A; mend its keys."
    ]
    assert list(map_problems(empty, SD1, KEYS, ["IN00"])) == [], "what is not merged does not matter"
    mixed = read_block_map(TEXT.replace(r"model\.diffusion_model\..*attn", ".*attn"))
    assert [p.sentence.partition(",")[0] for p in map_problems(mixed, SD1, KEYS, ["ATTN"])] == [
        "The block ATTN of attention is of unet"
    ]


def test_a_broken_file_is_listed_with_its_error(tmp_path: Path) -> None:
    (tmp_path / "attention.yaml").write_text(TEXT)
    (tmp_path / "broken.yml").write_text("id: {")
    (tmp_path / "latin.yaml").write_bytes(b"id: \xff")
    (tmp_path / "note.txt").write_text("no map")
    good, broken, latin = own_maps(tmp_path)
    assert (good.name, good.architecture, good.text, good.problems) == ("attention", "sd1", TEXT, ())
    assert broken.name == "broken"
    assert broken.problems[0].startswith("broken.yml: Line ")
    assert "latin.yaml cannot be read" in latin.problems[0]
    assert own_maps(tmp_path / "nowhere") == ()
