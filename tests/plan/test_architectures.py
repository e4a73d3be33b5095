"""Architectures, told apart by the true key lists of published checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_optim.plan.architectures import ARCHITECTURES, Architecture, architecture_of
from lib_optim.plan.blocks import block_map
from lib_optim.plan.errors import CheckpointError
from lib_optim.plan.header import read_header
from tests.plan.keys import config_identifier, config_keys, write_header

CONFIGS = {"sd1": "sd1-ldm", "sdxl": "sdxl-sgm", "sd3": "sd3-comfyui", "flux": "flux-flux"}

# Component of ours to the components in sd-mecha's lists; the others are schedule buffers and EMA copies.
COMPONENTS = {
    "unet": {"diffuser"},
    "text_encoder": {"clip_l", "clip_g", "t5xxl"},
    "vae": {"vae"},
    None: {"ema", "scheduler"},
}
# The noise schedules that sd-mecha counts to the diffusion model.
BUFFERS = {
    "model.model_sampling.sigmas",
    "denoiser.sigmas",
    "v_pred",
    "ztsnr",
    "edm_vpred.sigma_max",
    "edm_vpred.sigma_min",
}

SD2_KEYS = (
    "model.diffusion_model.input_blocks.1.1.norm.weight",
    "cond_stage_model.model.transformer.resblocks.0.ln_1.weight",
    "first_stage_model.decoder.conv_in.weight",
)
REFINER_KEYS = (
    "model.diffusion_model.label_emb.0.0.weight",
    "model.diffusion_model.input_blocks.4.1.norm.weight",
    "conditioner.embedders.0.model.transformer.resblocks.0.ln_1.weight",
    "first_stage_model.decoder.conv_in.weight",
)


def detect(tmp_path: Path, keys: object) -> Architecture:
    return architecture_of(read_header(write_header(tmp_path / "model.safetensors", keys)))  # type: ignore[arg-type]


def all_keys(config: str) -> list[str]:
    return [key for keys in config_keys(config).values() for key in keys]


@pytest.mark.parametrize(("wanted", "config"), CONFIGS.items())
def test_each_is_detected_from_its_true_key_list(tmp_path: Path, wanted: str, config: str) -> None:
    assert detect(tmp_path, all_keys(config)).id == wanted


@pytest.mark.parametrize("config", ["sd1-ldm", "sdxl-sgm"])
def test_without_vae_ema_and_schedule_as_pruned_files_are(tmp_path: Path, config: str) -> None:
    keys = config_keys(config)
    kept = [key for part in ("clip_l", "clip_g", "diffuser") for key in keys.get(part, ())]
    assert detect(tmp_path, kept).id == config.split("-", maxsplit=1)[0]


def test_sd2_is_told_apart(tmp_path: Path) -> None:
    found = detect(tmp_path, SD2_KEYS)
    assert found.id == "sd2"
    assert found.block_map == "sd2"


def test_the_refiner_cannot_be_merged(tmp_path: Path) -> None:
    found = detect(tmp_path, REFINER_KEYS)
    assert found.id == "sdxl-refiner"
    assert found.block_map is None


@pytest.mark.parametrize(("wanted", "config"), CONFIGS.items())
def test_component_of_covers_every_key(tmp_path: Path, wanted: str, config: str) -> None:
    row = detect(tmp_path, all_keys(config))
    assert row.id == wanted
    for theirs, keys in config_keys(config).items():
        [ours] = [name for name, parts in COMPONENTS.items() if theirs in parts]
        wrong = [key for key in keys if row.component_of(key) != ours and key not in BUFFERS]
        assert not wrong, (theirs, wrong[:5])


def unprefixed(config: str) -> list[str]:
    return [key.removeprefix("model.diffusion_model.") for key in config_keys(config)["diffuser"]]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["emb_params"], "no checkpoint of a known architecture"),
        (["decoder.mid.attn_1.k.bias", "encoder.conv_in.weight"], "only a VAE"),
        (["first_stage_model.decoder.conv_in.weight"], "only the VAE of a checkpoint"),
        (["down_blocks.0.attentions.0.norm.weight"], "only the UNet of a Stable Diffusion checkpoint in diffusers"),
        (["text_model.encoder.layers.0.mlp.fc1.bias"], "only a text encoder"),
        (unprefixed("sdxl-sgm"), "only the UNet of a Stable Diffusion XL checkpoint"),
        (unprefixed("sd1-ldm"), "only the UNet of a Stable Diffusion checkpoint"),
        (unprefixed("flux-flux"), "only the diffusion model of a Flux checkpoint"),
        (unprefixed("sd3-comfyui"), "only the diffusion model of a Stable Diffusion 3 checkpoint"),
        (list(config_keys("sd1-ldm")["diffuser"]), "only the UNet of a checkpoint"),
    ],
    ids=["embedding", "vae", "ldm vae", "diffusers", "clip", "sdxl unet", "sd1 unet", "flux", "sd3", "ldm unet"],
)
def test_parts_of_checkpoints_are_named(tmp_path: Path, keys: list[str], words: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        detect(tmp_path, keys)
    assert str(caught.value).startswith("model.safetensors ")
    assert words in str(caught.value)


def test_keys_of_two_architectures_at_once(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"Stable Diffusion 1\.x and of Stable Diffusion 2\.x at once"):
        detect(tmp_path, [*all_keys("sd1-ldm"), *SD2_KEYS])


def test_the_rows_agree_with_sd_mecha_and_with_the_block_maps() -> None:
    for row in ARCHITECTURES:
        if row.id in CONFIGS:
            assert row.mecha_config == CONFIGS[row.id]  # sd-mecha finds a config by the name of its file
            assert config_identifier(CONFIGS[row.id])
        if row.block_map is not None:
            assert block_map(row.block_map).architecture == row.id
            assert set(block_map(row.block_map).components) == set(row.components)
            assert row.mecha_config is not None
