"""What a saved checkpoint holds: full or pruned, whose VAE, CLIP's position ids, a configuration beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lib_optim.merging.merger import Merger
from lib_optim.merging.save import save_checkpoint
from lib_optim.plan.errors import CheckpointError, Interrupted, MergeError
from lib_optim.plan.run_plan import SaveSpec
from tests.checkpoints import make_checkpoint
from tests.merging.conftest import guide, open_merger, same_value


@pytest.fixture
def merger(checkpoints: Mapping[str, list[Path]]) -> Merger:
    return open_merger("weighted_sum", checkpoints["sd1"][:2])


IDS = "cond_stage_model.transformer.text_model.embeddings.position_ids"
V = {"v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}


def _listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata())


def _vae_file(path: Path, source: Path, prefix: str = "", scale: float = 2.0) -> Path:
    """A VAE of its own for the model `source`, under other names."""
    tensors = {k: t for k, t in load_file(source).items() if k.startswith("first_stage_model.")}
    named = {prefix + k.removeprefix("first_stage_model."): (t.float() * scale) for k, t in tensors.items()}
    save_file({**named, "loss.logvar": torch.zeros(1)}, path)
    return path


def test_pruned_leaves_out_what_no_program_needs_and_keeps_the_marks_of_v_prediction(tmp_path: Path) -> None:
    junk = {
        "global_step": torch.zeros(1), "optimizer_states.0.exp_avg": torch.zeros(3), "first_stage_model.loss.logvar":
        torch.zeros(1), "model_ema.decay": torch.zeros(1), "lora_te": torch.zeros(2),
    }  # fmt: skip
    a = make_checkpoint(tmp_path / "a.safetensors", "sd1", 0, ema=True, replace={**junk, **V})
    b = make_checkpoint(tmp_path / "b.safetensors", "sd1", 1)
    merger = open_merger("weighted_sum", [a, b])
    values = same_value(merger.space, 0.5)
    full = load_file(save_checkpoint(merger, values, tmp_path / "full.safetensors", SaveSpec(), {}))
    pruned = load_file(save_checkpoint(merger, values, tmp_path / "pruned.safetensors", SaveSpec(pruned=True), {}))
    assert full.keys() == load_file(a).keys()
    dropped = full.keys() - pruned.keys()
    assert junk.keys() <= dropped
    assert all(name in junk or name.startswith("model_ema.") for name in dropped)
    assert len(dropped) > 600
    assert pruned.keys() == load_file(b).keys() | V.keys()
    assert all(torch.equal(pruned[name], full[name]) and pruned[name].dtype == full[name].dtype for name in pruned)
    swapped = open_merger("weighted_sum", [b, a])
    other = load_file(save_checkpoint(swapped, values, tmp_path / "b first.safetensors", SaveSpec(), {}))
    assert not V.keys() & other.keys()  # the base decides


@pytest.mark.parametrize("prefix", ["", "first_stage_model."])
def test_another_vae_is_stored_instead_of_the_bases(prefix: str, merger: Merger, tmp_path: Path) -> None:
    vae = _vae_file(tmp_path / "other.safetensors", merger.models[1], prefix)
    values = same_value(merger.space, 0.5)
    spec = SaveSpec("fp32", vae=str(vae))
    path = save_checkpoint(merger, values, tmp_path / "m.safetensors", spec, {})
    saved, plain = load_file(path), load_file(save_checkpoint(merger, values, tmp_path / "p.safetensors",
                                                              SaveSpec("fp32"), {}))  # fmt: skip
    wanted = {f"first_stage_model.{k.removeprefix('first_stage_model.')}": t for k, t in load_file(vae).items()}
    assert saved.keys() == plain.keys()
    for name, tensor in saved.items():
        source = wanted if name.startswith("first_stage_model.") else plain
        assert torch.equal(tensor, source[name].to(tensor.dtype)), name
    assert json.loads(_metadata(path)["sd_merge_recipe"])["bake_in_vae"] == "other.safetensors"


def test_a_vae_that_does_not_fit_is_refused_before_anything_is_written(merger: Merger, tmp_path: Path) -> None:
    vae = _vae_file(tmp_path / "vae.safetensors", merger.models[1])
    tensors = load_file(vae)
    save_file({**tensors, "decoder.conv_in.weight": torch.zeros(1, 2)}, tmp_path / "shape.safetensors")
    save_file({k: t for k, t in tensors.items() if k.startswith("decoder.")}, tmp_path / "half.safetensors")
    save_file({"encoder.down_blocks.0.resnets.0.conv1.weight": torch.zeros(1)}, tmp_path / "diffusers.safetensors")
    for name, sentence in (
        ("none", "does not exist"),
        (
            "shape",
            r"shape\.safetensors does not fit sd1 A\.safetensors: its 'decoder\.conv_in\.weight' is F32",
        ),
        ("half", r"cannot be used as the VAE of sd1 A\.safetensors: it lacks \d+ tensors"),
        ("diffusers", "in the format of diffusers"),
    ):
        spec = SaveSpec(vae=str(tmp_path / f"{name}.safetensors"))
        with pytest.raises(CheckpointError, match=sentence):
            save_checkpoint(merger, same_value(merger.space, 0.5), tmp_path / "m.safetensors", spec, {})
    with_vae = open_merger("weighted_sum", merger.models, plan=guide("vae"))
    values = same_value(with_vae.space, 0.5)
    with pytest.raises(MergeError, match=r"The VAE is merged, so vae\.safetensors cannot be stored"):
        save_checkpoint(with_vae, values, tmp_path / "m.safetensors", SaveSpec(vae=str(vae)), {})
    assert not (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize("broken", [torch.arange(77.0)[None] - 0.01, torch.arange(77)[None].clamp(max=70)])
def test_clips_position_ids_are_repaired_when_asked(broken: torch.Tensor, tmp_path: Path) -> None:
    a = make_checkpoint(tmp_path / "a.safetensors", "sd1", 0, replace={IDS: broken})
    b = make_checkpoint(tmp_path / "b.safetensors", "sd1", 1)
    merger = open_merger("weighted_sum", [a, b])
    values = same_value(merger.space, 0.5)
    kept = load_file(save_checkpoint(merger, values, tmp_path / "k.safetensors", SaveSpec(), {}))[IDS]
    fixed = load_file(save_checkpoint(merger, values, tmp_path / "f.safetensors", SaveSpec(fix_clip=True), {}))[IDS]
    assert kept.dtype == broken.dtype
    assert torch.equal(kept, broken)
    assert fixed.dtype == torch.int64
    assert torch.equal(fixed, torch.arange(77)[None])


def test_the_bases_yaml_goes_with_the_file_and_a_foreign_one_is_not_touched(tmp_path: Path) -> None:
    a, b = (make_checkpoint(tmp_path / f"{n}.safetensors", "sd1", i) for i, n in enumerate("ab"))
    merger = open_merger("weighted_sum", [a, b])
    half = same_value(merger.space, 0.5)
    save_checkpoint(merger, half, tmp_path / "m.safetensors", SaveSpec(), {})
    assert not (tmp_path / "m.yaml").exists()
    a.with_suffix(".yaml").write_text("model: {params: {parameterization: v}}\n")
    save_checkpoint(merger, half, tmp_path / "m.safetensors", SaveSpec(), {})
    assert (tmp_path / "m.yaml").read_bytes() == a.with_suffix(".yaml").read_bytes()
    (tmp_path / "n.yaml").write_text("another\n")
    with pytest.raises(MergeError, match=r"n\.yaml lies beside and would be taken for the configuration"):
        save_checkpoint(merger, half, tmp_path / "n.safetensors", SaveSpec(), {})
    with pytest.raises(Interrupted):
        save_checkpoint(merger, half, tmp_path / "o.safetensors", SaveSpec(), {}, cancelled=lambda: True)
    assert not [name for name in _listed(tmp_path) if name.startswith("o.")]
