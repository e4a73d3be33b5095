"""Guides of single tensors and of own blocks through the whole program: checked, merged, recorded, resumed, saved."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import torch
from safetensors.torch import load_file

from lib_optim.plan.bounds import Bound
from lib_optim.plan.guide import ComponentGuide, Group, Guide, Strategy
from lib_optim.plan.run_plan import Budget, SamplerSpec, SaveSpec
from tests.rig import Rig, payload

ONE = "model.diffusion_model.input_blocks.1.1.proj_in.weight"
GUIDE = Guide(
    (ComponentGuide("unet", (
        Strategy("select", ("*.input_blocks.1.1.proj_in.weight",)),
        Strategy("group", groups=(Group("soft", ("OUT03-OUT06/*attn1*", "M00")),)),
    )),),
    {"soft": Bound("fixed", value=0.25)},
)  # fmt: skip


def test_a_run_over_tensors(rig: Rig) -> None:
    plan = rig.plan(
        guide=GUIDE, payloads=(payload(),), budget=Budget(1), sampler=SamplerSpec("random", presets=("half",)),
        save=SaveSpec("fp32"),
    )  # fmt: skip
    rig.run(plan)
    (trial,) = rig.stored().trials
    assert trial.values == {f"{ONE}_alpha": 0.5}
    (row,) = csv.DictReader(rig.folder_of().trials_csv.read_text().splitlines())
    assert float(row[f"{ONE}_alpha"]) == 0.5
    (saved,) = (path for path in rig.models.rglob("*.safetensors") if not path.name.startswith("demo-"))
    merged = load_file(saved)
    a, b = (load_file(rig.models / f"demo-{letter}.safetensors") for letter in "ab")
    shares = dict.fromkeys(merged, 0.0)
    shares[ONE] = 0.5
    soft = tuple(f"model.diffusion_model.output_blocks.{n}." for n in range(3, 7))
    chosen = [key for key in merged if key.startswith("model.diffusion_model.middle_block.")
              or (key.startswith(soft) and "attn1" in key)]  # fmt: skip
    assert len([key for key in chosen if "attn1" in key]) > 5
    shares.update(dict.fromkeys(chosen, 0.25))
    for key, tensor in merged.items():
        expected = torch.lerp(a[key].float(), b[key].float(), shares[key]) if shares[key] else a[key].to(tensor.dtype)
        assert torch.equal(tensor, expected), key
    rig.manager.resume(rig.folder_of().name, 2)
    rig.end()
    assert [trial.values.keys() for trial in rig.stored().trials] == [{f"{ONE}_alpha"}] * 2


def test_a_pattern_without_a_match_is_named_before_the_start(rig: Rig) -> None:
    wrong = dataclasses.replace(GUIDE, components=(ComponentGuide("unet", (Strategy("select", ("*.proj_im.*",)),)),))
    (problem,) = rig.manager.check(rig.plan(guide=wrong)).problems
    assert str(problem) == "'*.proj_im.*' matches no tensor of unet. Did you mean '*.proj_in.*'?"


OWN_MAP = (Path(__file__).parents[1] / "plan" / "guides" / "attention.yaml").read_text(encoding="utf-8")


def test_a_run_over_blocks_of_ones_own(rig: Rig) -> None:
    plan = rig.plan(
        guide=Guide((ComponentGuide("unet", (Strategy("select", ("ATTN",)),)),)), payloads=(payload(),),
        budget=Budget(1), save=SaveSpec("fp32"), block_map=OWN_MAP,
    )  # fmt: skip
    rig.run(plan)
    assert rig.stored().values() == [{"ATTN_alpha": 0.5}]
    (saved,) = (path for path in rig.models.rglob("*.safetensors") if not path.name.startswith("demo-"))
    merged = load_file(saved)
    a, b = (load_file(rig.models / f"demo-{letter}.safetensors") for letter in "ab")
    for key, tensor in merged.items():
        attention = key.startswith("model.diffusion_model.") and "attn" in key
        expected = torch.lerp(a[key].float(), b[key].float(), 0.5) if attention else a[key].to(tensor.dtype)
        assert torch.equal(tensor, expected), key
    folder = rig.folder_of()
    assert folder.read_plan().block_map == OWN_MAP
    rig.manager.resume(folder.name, 2)
    rig.end()
    assert [trial.values.keys() for trial in rig.stored().trials] == [{"ATTN_alpha"}] * 2
