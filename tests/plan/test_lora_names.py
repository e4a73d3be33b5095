"""The names of LoRA modules cover exactly what sd-mecha's kohya configs list, and lead to the same tensors."""

from __future__ import annotations

import functools
import importlib

import pytest

from lib_optim.plan.lora_names import LoraTarget, lora_names
from tests.checkpoints import checkpoint_shapes

UNET, CLIP = "model.diffusion_model.", "cond_stage_model.transformer."


@functools.cache
def mecha_names(layout: str, config: str) -> dict[str, tuple[LoraTarget, ...]]:
    """LoRA module to what it stands for, by sd-mecha's own converters from `layout` (kohya) to `config`."""
    from sd_mecha.extensions import model_configs

    # imported by name: the package hides these modules behind classes of the same name
    folder = "sd_mecha.extensions.builtin.model_configs"
    sd1 = importlib.import_module(f"{folder}.convert_sd1_kohya_to_original")
    convert_unet_key = importlib.import_module(f"{folder}.convert_sdxl_diffusers_unet_to_original").convert_unet_key
    open_clip = importlib.import_module(f"{folder}.convert_sdxl_diffusers_clip_g_to_original")
    kohya = set(model_configs.resolve(layout).keys())
    found: dict[str, tuple[LoraTarget, ...]] = {}
    for key in list(model_configs.resolve(config).keys()):
        transposed = False
        if key.startswith("model.diffusion_model."):
            if layout == "sd1-kohya":
                names = [sd1.convert_unet_key(key)]
            elif layout == "sdxl-kohya":
                names = [key.replace("model.diffusion_model.", "unet.")]
            else:
                converted = convert_unet_key(key, prefix="unet.")
                names = [converted] if isinstance(converted, str) else list(converted)
        elif key.startswith("cond_stage_model."):
            names = [sd1.convert_clip_l_key(key)]
        elif key.startswith("conditioner.embedders.0."):
            names = [key.replace("conditioner.embedders.0.transformer.", "te1.")]
        elif key.startswith("conditioner.embedders.1."):
            listed, transposed = open_clip.convert_clip_g_key(key)
            names = list(listed)
        else:
            continue
        for i, name in enumerate(names):
            if name not in kohya or name.endswith("position_ids"):
                continue
            leaf = name.rsplit(".", 1)[1] if name.endswith((".weight", ".bias")) else ""
            module = name.removesuffix(f".{leaf}").replace(".", "_")
            part = i if len(names) == 3 else None
            found[module] = (*found.get(module, ()), LoraTarget(key, part, transposed, leaf == "bias"))
    return found


@pytest.mark.parametrize(
    ("layout", "config", "architecture", "modules"),
    [
        ("sd1-kohya", "sd1-ldm", "sd1", 400),
        ("sdxl-kohya", "sdxl-sgm", "sdxl", 1200),
        ("sdxl-kohya_but_diffusers", "sdxl-sgm", "sdxl", 1200),
    ],
)
def test_every_module_of_sd_mechas_list_leads_to_the_same_tensor(
    layout: str, config: str, architecture: str, modules: int
) -> None:
    theirs = mecha_names(layout, config)
    assert len(theirs) > modules
    ours: dict[str, tuple[LoraTarget, ...]] = {}
    for key in checkpoint_shapes(architecture):
        for name, target in lora_names(key):
            ours[name] = (*ours.get(name, ()), target)
    for name, targets in theirs.items():
        assert set(targets) <= set(ours.get(name, ())), name
    # and what we know beyond their list is the other spelling of the UNet, nothing else
    spelling = "down_blocks" if layout == "sdxl-kohya" else "input_blocks"
    extra = {name for name in ours if name not in theirs}
    assert extra, "both spellings are known"
    assert not any(name.startswith("te") for name in extra if "logit_scale" not in name), sorted(extra)[:5]
    assert any(spelling in name for name in extra)


@pytest.mark.parametrize(
    ("key", "names"),
    [
        (f"{UNET}input_blocks.4.1.proj_in.weight",
         {"unet_input_blocks_4_1_proj_in", "unet_down_blocks_1_attentions_0_proj_in"}),
        (f"{UNET}input_blocks.3.0.op.weight", {"unet_input_blocks_3_0_op", "unet_down_blocks_0_downsamplers_0_conv"}),
        (f"{UNET}output_blocks.2.1.conv.weight", {"unet_output_blocks_2_1_conv", "unet_up_blocks_0_upsamplers_0_conv"}),
        (f"{UNET}output_blocks.5.2.conv.weight", {"unet_output_blocks_5_2_conv", "unet_up_blocks_1_upsamplers_0_conv"}),
        (f"{UNET}middle_block.2.emb_layers.1.weight",
         {"unet_middle_block_2_emb_layers_1", "unet_mid_block_resnets_1_time_emb_proj"}),
        (f"{CLIP}text_model.encoder.layers.0.mlp.fc1.weight", {"te_text_model_encoder_layers_0_mlp_fc1"}),
        (f"{CLIP}encoder.layers.0.mlp.fc1.weight", {"te_text_model_encoder_layers_0_mlp_fc1"}),
        ("cond_stage_model.model.transformer.resblocks.3.attn.in_proj_weight",
         {f"te_text_model_encoder_layers_3_self_attn_{x}_proj" for x in "qkv"}),
        ("first_stage_model.decoder.conv_in.weight", set()),
        ("betas", set()),
    ],
)  # fmt: skip
def test_names(key: str, names: set[str]) -> None:
    assert {name for name, _ in lora_names(key)} == names
