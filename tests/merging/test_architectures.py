"""SD2, SD3 and Flux with their true key names, and SDXL's marks of velocity prediction: merged and saved."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib_optim.merging.mecha import sd_mecha
from lib_optim.merging.save import save_checkpoint
from lib_optim.plan.architectures import architecture_of
from lib_optim.plan.blocks import block_map
from lib_optim.plan.header import read_header
from lib_optim.plan.run_plan import SaveSpec
from tests.checkpoints import make_checkpoint
from tests.merging.conftest import architecture, guide, open_merger, same_value

WIDEST = 4


def tiny(folder: Path, name: str, seed: int) -> Path:
    """A file with every key of sd-mecha's list for the architecture, and hardly any width."""
    config = sd_mecha().extensions.model_configs.resolve(architecture(name).mecha_config)
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        key: torch.randn([min(size, WIDEST) for size in meta.shape or ()], generator=generator).half()
        for part, component in config.components().items()
        if part not in ("ema", "scheduler")
        for key, meta in component.keys().items()
    }
    path = folder / f"{name} {seed}.safetensors"
    save_file(tensors, path)
    return path


@pytest.mark.parametrize(("name", "least"), [("sd2", 1200), ("sd3", 1600), ("flux", 1400)])
def test_merged_by_block_and_saved(tmp_path: Path, name: str, least: int) -> None:
    a, b = (tiny(tmp_path, name, seed) for seed in (1, 2))
    row = architecture_of(read_header(a))
    assert row.id == name
    plan = guide("text_encoder", "unet", "vae")
    merger = open_merger("weighted_sum", [a, b], name, plan)
    try:
        assert not merger.slow
        assert len(merger.keys) >= least
        share = {p.name: i % 5 / 4 for i, p in enumerate(merger.space.parameters)}
        assignment = merger.space.assign(share)["alpha"]
        left, right, blocks = load_file(a), load_file(b), block_map(name)
        assert len(merger.keys) > len(left) - 10, set(left) - set(merger.keys)
        tensors = {key: tensor.clone() for key, tensor in merger.tensors(share)}
        for key, tensor in tensors.items():
            alpha = assignment[blocks.block_of(key) or ""]
            expected = left[key].double() * (1 - alpha) + right[key].double() * alpha
            assert torch.allclose(tensor.double(), expected, atol=1e-6), key
        saved = load_file(save_checkpoint(merger, share, tmp_path / "saved.safetensors", SaveSpec("fp32"), {}))
    finally:
        merger.close()
    assert saved.keys() == left.keys()
    for key, tensor in saved.items():
        assert torch.equal(tensor.float(), tensors.get(key, left[key]).float()), key


def test_an_sd2_recipe_runs_in_sd_mecha(tmp_path: Path) -> None:
    a, b = (tiny(tmp_path, "sd2", seed) for seed in (1, 2))
    merger = open_merger("weighted_sum", [a, b], "sd2")
    try:
        values = same_value(merger.space, 0.25)
        text = merger.recipe(values).text
        ours = {key: tensor.clone() for key, tensor in merger.tensors(values)}
    finally:
        merger.close()
    mecha = sd_mecha()
    mecha.model_dirs.add_path(tmp_path)
    theirs = mecha.merge(mecha.deserialize(text), output_dtype=torch.float32, threads=0)
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in ours.items())


@pytest.mark.parametrize("dtype", ["fp16", "bf16", "fp32"])
@pytest.mark.parametrize("pruned", [False, True])
def test_marks_of_velocity_prediction_survive(tmp_path: Path, dtype: str, pruned: bool) -> None:
    marks = {
        "v_pred": torch.tensor([]),
        "ztsnr": torch.tensor([]),
        "edm_vpred.sigma_max": torch.tensor(120.0),
        "edm_vpred.sigma_min": torch.tensor(0.002),
    }
    a = make_checkpoint(tmp_path / "a.safetensors", "sdxl", 1, replace=marks)
    b = make_checkpoint(tmp_path / "b.safetensors", "sdxl", 2)
    merger = open_merger("weighted_sum", [a, b], "sdxl", guide("text_encoder"))
    try:
        spec = SaveSpec(dtype, pruned=pruned)  # type: ignore[arg-type]
        saved = load_file(save_checkpoint(merger, same_value(merger.space, 0.5), tmp_path / "c.safetensors", spec, {}))
    finally:
        merger.close()
    for key, mark in marks.items():
        assert torch.equal(saved[key], mark), key
        assert saved[key].dtype == mark.dtype
