"""A saved checkpoint, however it is saved and whenever, shows its trial's images; the recipe alone gives it again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from lib_optim.__main__ import main
from lib_optim.plan.errors import PlanError, RunError, StoreError
from lib_optim.plan.payload import jobs_of
from lib_optim.plan.run_plan import Budget, ModelRef, SamplerSpec, SaveSpec
from lib_optim.plan.starts import StartPoint
from tests.rig import Rig, payload

_VAE = "first_stage_model."
_IDS = "cond_stage_model.transformer.text_model.embeddings.position_ids"


def vae_of(rig: Rig, stem: str, prefix: str = "") -> Path:
    """The VAE of a demo checkpoint as a file of its own."""
    tensors = load_file(rig.models / f"{stem}.safetensors")
    folder = rig.models / "vae"
    folder.mkdir(exist_ok=True)
    path = folder / f"{stem}-{len(prefix)}.safetensors"
    save_file({prefix + k.removeprefix(_VAE): t for k, t in tensors.items() if k.startswith(_VAE)}, path)
    return path


def base_with_training_state(rig: Rig) -> Path:
    """demo-a as it came out of training: with EMA copies, an optimizer and a global step."""
    path = rig.models / "trained.safetensors"
    if not path.exists():
        tensors = load_file(rig.models / "demo-a.safetensors")
        tensors["model_ema.diffusion_modelout2weight"] = torch.ones(3)
        tensors["optimizer_states.0.exp_avg"] = torch.ones(3)
        tensors["global_step"] = torch.tensor(7)
        save_file(tensors, path)
    return path


def shown_by(rig: Rig, path: Path) -> bytes:
    """The first image of the plan, made with the checkpoint `path` as the host itself loads it."""
    with rig.host.exclusive():
        rig.host.load(rig.checkpoint(path.stem))
        with rig.host.job("compare"):
            return rig.host.generate(jobs_of((payload(),))[0], {}).image.tobytes()


def shown_by_the_trial(rig: Rig) -> bytes:
    record = rig.stored().images[0]
    with Image.open(rig.folder_of().path / record.file) as image:
        return image.convert("RGB").tobytes()


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_every_way_to_save_shows_the_trials_image(
    make_rig: Callable[..., Rig], dtype: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    rig = make_rig()
    base = base_with_training_state(rig)
    models = (ModelRef(str(base)), ModelRef(str(rig.models / "demo-b.safetensors")))
    start = StartPoint("mine", {"BASE": 0.25, "IN00": 0.75, "M00": 0.5})
    sampler = SamplerSpec("random", presets=(), start=(start,))
    plan = rig.plan(models=models, payloads=(payload(),), budget=Budget(1), save=SaveSpec(dtype), sampler=sampler)
    snapshot = rig.run(plan)
    assert snapshot["trials"][0]["origin"] == "start: mine"
    assert snapshot["trials"][0]["values"] == {"BASE_alpha": 0.25, "in_alpha": 0.75, "out_alpha": 0.5}
    wanted = shown_by_the_trial(rig)
    full = Path(snapshot["saved"][0])
    assert load_file(full).keys() == load_file(base).keys()
    assert shown_by(rig, full) == wanted

    pruned = rig.manager.save_trial(0, SaveSpec(dtype, pruned=True, fix_clip=True), "pruned")
    assert pruned.notes == ()
    assert load_file(base).keys() - load_file(pruned.path).keys() == {
        "model_ema.diffusion_modelout2weight", "optimizer_states.0.exp_avg", "global_step",
    }  # fmt: skip
    assert shown_by(rig, pruned.path) == wanted
    same_vae = rig.manager.save_trial(0, SaveSpec(dtype, vae=str(vae_of(rig, "demo-a", _VAE))), "same vae")
    assert shown_by(rig, same_vae.path) == wanted
    assert "the trial's images were made without it" in same_vae.notes[0]

    # Long after: another program, which only has the folder.
    later = make_rig(rig.folder)
    again = later.manager.save_trial(0, SaveSpec(dtype, pruned=True), "later", snapshot["run"]["folder"])
    assert torch.equal(*(load_file(p)["model.diffusion_model.out.2.weight"] for p in (again.path, pruned.path)))
    assert shown_by(later, again.path) == wanted
    weights = later.manager.block_weights(0, snapshot["run"]["folder"])["alpha"]["classic"]
    assert weights.startswith("0.25,0.75,0.75,")

    # The recipe, without a run.
    target = rig.folder / "from recipe.safetensors"
    recipe = str(rig.folder_of().best_recipe)
    assert main(["merge", recipe, "--models", str(rig.models), "--out", str(target), "--dtype", dtype]) == 0
    one, two = load_file(full), load_file(target)
    assert one.keys() == two.keys()
    assert all(one[k].dtype == two[k].dtype and torch.equal(one[k], two[k]) for k in one)
    assert str(target) in capsys.readouterr().out


def test_the_winner_is_saved_as_the_plan_says(rig: Rig) -> None:
    tensors = load_file(base_with_training_state(rig))
    base = rig.models / "broken.safetensors"
    save_file({**tensors, _IDS: torch.arange(77, dtype=torch.float16)[None] + 0.5}, base)
    models = (ModelRef(str(base)), ModelRef(str(rig.models / "demo-b.safetensors")))
    other = {name: tensor / 2 for name, tensor in load_file(vae_of(rig, "demo-a", _VAE)).items()}
    file = rig.models / "vae" / "half.safetensors"
    save_file(other, file)
    save = SaveSpec("bf16", pruned=True, vae=str(file), fix_clip=True)
    plan = rig.plan(models=models, payloads=(payload(),), budget=Budget(1), save=save, name="of mine")
    snapshot = rig.run(plan)
    assert "of-mine" in snapshot["run"]["folder"]
    (saved,) = map(load_file, snapshot["saved"])
    assert tensors.keys() - saved.keys() == {
        "model_ema.diffusion_modelout2weight", "optimizer_states.0.exp_avg", "global_step",
    }  # fmt: skip
    assert saved["model.diffusion_model.out.2.weight"].dtype == torch.bfloat16
    assert {name for name in saved if name.startswith(_VAE)} == other.keys()
    assert all(torch.equal(saved[name], tensor.to(saved[name].dtype)) for name, tensor in other.items())
    assert torch.equal(saved[_IDS], torch.arange(77)[None])
    files = set(rig.host.paths().models.rglob("*.safetensors"))
    rig.manager.start(dataclasses.replace(plan, save=dataclasses.replace(save, checkpoint=False)))
    assert rig.end()["saved"] == []
    assert set(rig.host.paths().models.rglob("*.safetensors")) == files


def test_another_precision_or_vae_is_said_and_named(rig: Rig) -> None:
    rig.run(rig.plan(payloads=(payload(),), budget=Budget(1)))
    saved = rig.manager.save_trial(0, SaveSpec("bf16", vae=str(vae_of(rig, "demo-b"))), "con")
    assert saved.path.name == "run-con.safetensors"  # a name that Windows forbids
    assert len(saved.notes) == 2
    assert "rounded its merges to fp16; saved in bf16" in saved.notes[1]
    assert rig.snapshot()["saved_notes"] == {str(saved.path): list(saved.notes)}
    assert rig.manager.save_trial(0, SaveSpec("bf16", vae=str(vae_of(rig, "demo-b"))), "con").path == saved.path
    other = rig.manager.save_trial(0, SaveSpec("bf16"), "con")
    assert other.path.name == "run-con-2.safetensors"


def test_what_cannot_be_saved(rig: Rig) -> None:
    with pytest.raises(RunError, match="No run is open"):
        rig.manager.save_trial(0)
    with pytest.raises(StoreError, match="There is no run 'x'"):
        rig.manager.save_trial(0, folder="x")
    rig.run(rig.plan(payloads=(payload(),), budget=Budget(1)))
    name = rig.folder_of().name
    with pytest.raises(RunError, match="has no trial 5"):
        rig.manager.save_trial(5, folder=name)
    plan = rig.plan(save=SaveSpec(vae=str(rig.models / "none.safetensors")))
    with pytest.raises(PlanError, match=r"none\.safetensors does not exist") as caught:
        rig.manager.start(plan)
    assert [problem.where for problem in caught.value.problems] == ["save.vae"]
