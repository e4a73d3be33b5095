"""The demo checkpoints for AUTOMATIC1111: configuration and tokenizer beside the files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from safetensors import safe_open

from lib_optim.hosts.standalone.demo_layout import demo_shapes
from lib_optim.hosts.standalone.tokenizer import BOS, EOS, tokens_of
from tools.demo_pair.webui import write_for_webui


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    there = tmp_path_factory.mktemp("webui")
    write_for_webui(there)
    return there


def test_each_file_has_a_configuration_of_its_sizes(folder: Path) -> None:
    for path in sorted(folder.glob("*.safetensors")):
        parameters = yaml.safe_load(path.with_suffix(".yaml").read_text(encoding="utf-8"))["model"]["params"]
        unet = parameters["unet_config"]["params"]
        vae = parameters["first_stage_config"]["params"]["ddconfig"]
        widths = [unet["model_channels"] * m for m in unet["channel_mult"]]
        shapes = demo_shapes()
        assert all(isinstance(m, int) and m > 0 for m in (*unet["channel_mult"], *vae["ch_mult"]))
        for i, width in enumerate(widths):
            assert shapes[f"model.diffusion_model.input_blocks.{3 * i + 1}.0.out_layers.3.weight"][0] == width
        for i, m in enumerate(vae["ch_mult"]):
            assert shapes[f"first_stage_model.encoder.down.{i}.block.0.conv2.weight"][0] == vae["ch"] * m
        assert (
            unet["context_dim"]
            == shapes["model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight"][1]
        )
        assert Path(parameters["cond_stage_config"]["params"]["version"]) == folder / "demo-clip"
        with safe_open(str(path), framework="pt") as file:
            assert set(file.keys()) == set(shapes)


def test_the_tokenizer_is_the_standalone_one(folder: Path) -> None:
    from transformers import CLIPTextConfig, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(str(folder / "demo-clip"))
    for text in ("an ink drawing of a purple balloon in the desert at night", "Écoutez: 42 naïve façades!"):
        assert tokenizer(text)["input_ids"] == [BOS, *tokens_of(text), EOS]
    config = CLIPTextConfig.from_pretrained(str(folder / "demo-clip"))
    assert (config.hidden_size, config.num_attention_heads, config.num_hidden_layers) == (96, 1, 12)
    assert len(json.loads((folder / "demo-clip" / "vocab.json").read_text(encoding="utf-8"))) == config.vocab_size
