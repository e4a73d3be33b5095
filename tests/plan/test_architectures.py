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


def test_flux_as_published_without_a_prefix(tmp_path: Path) -> None:
    keys = [key.removeprefix("model.diffusion_model.") for key in config_keys("flux-flux")["diffuser"]]
    found = detect(tmp_path, keys)
    assert found.id == "flux"
    assert {found.component_of(key) for key in keys} == {"unet"}


@pytest.mark.parametrize(("wanted", "keys"), [("sd2", SD2_KEYS), ("sdxl-refiner", REFINER_KEYS)])
def test_relatives_that_cannot_be_merged_are_told_apart(tmp_path: Path, wanted: str, keys: tuple[str, ...]) -> None:
    found = detect(tmp_path, keys)
    assert found.id == wanted
    assert found.block_map is None


@pytest.mark.parametrize(("wanted", "config"), CONFIGS.items())
def test_component_of_covers_every_key(tmp_path: Path, wanted: str, config: str) -> None:
    row = detect(tmp_path, all_keys(config))
    assert row.id == wanted
    for theirs, keys in config_keys(config).items():
        [ours] = [name for name, parts in COMPONENTS.items() if theirs in parts]
        wrong = [key for key in keys if row.component_of(key) != ours and key not in BUFFERS]
        assert not wrong, (theirs, wrong[:5])


@pytest.mark.parametrize(
    "keys",
    [
        ["lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight"],
        ["decoder.conv_in.weight", "encoder.conv_in.weight"],
        ["first_stage_model.decoder.conv_in.weight"],
        ["down_blocks.0.attentions.0.norm.weight"],
        ["emb_params"],
    ],
    ids=["lora", "vae", "ldm vae", "diffusers unet", "embedding"],
)
def test_files_that_are_no_checkpoint_say_what_they_may_be(tmp_path: Path, keys: list[str]) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint of a known architecture") as caught:
        detect(tmp_path, keys)
    assert "model.safetensors" in str(caught.value)


def test_a_unet_alone_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="pruned"):
        detect(tmp_path, config_keys("sd1-ldm")["diffuser"])


def test_keys_of_two_architectures_at_once(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"Stable Diffusion 1\.x and of Stable Diffusion 2\.x at once"):
        detect(tmp_path, [*all_keys("sd1-ldm"), *SD2_KEYS])


def test_the_rows_agree_with_sd_mecha_and_with_the_block_maps() -> None:
    for row in ARCHITECTURES:
        if row.id in CONFIGS:
            assert row.mecha_config == config_identifier(CONFIGS[row.id])
        if row.block_map is not None:
            assert block_map(row.block_map).architecture == row.id
            assert set(block_map(row.block_map).components) == set(row.components)
            assert row.mecha_config is not None
