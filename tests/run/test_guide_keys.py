"""Guides of single tensors and of own blocks through the whole program: checked, merged, recorded, resumed, saved."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lib_optim.plan.bounds import Bound
from lib_optim.plan.guide import ComponentGuide, Curve, Group, Guide, Strategy
from lib_optim.plan.header import read_header
from lib_optim.plan.run_plan import Budget, SamplerSpec, SaveSpec
from lib_optim.run.saving import open_merger
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


def test_a_run_over_a_curve(rig: Rig) -> None:
    """Trials are points of the curve; the recipe, the file, the weights and what is drawn are block by block."""
    curve = Strategy("single", curve=Curve(2, "linear"))
    plan = rig.plan(
        guide=Guide((ComponentGuide("unet", (curve,)),)), payloads=(payload(),), budget=Budget(2),
        sampler=SamplerSpec("random", presets=("SMOOTHSTEP",)), save=SaveSpec("fp32"),
    )  # fmt: skip
    snapshot = rig.run(plan)
    first, second = rig.stored().trials
    assert list(first.values) == list(second.values) == ["unet_alpha_p1", "unet_alpha_p2"]
    assert first.origin == "preset: SMOOTHSTEP"
    assert float(first.values["unet_alpha_p1"]) < 0.1
    assert float(first.values["unet_alpha_p2"]) > 0.9
    best = max((first, second), key=lambda trial: trial.value or 0.0)
    low, high = (float(best.values[f"unet_alpha_p{i}"]) for i in (1, 2))
    share = {f"input_blocks.{i}.": low * (1 - i / 24) + high * i / 24 for i in range(12)} | {
        f"output_blocks.{i}.": low * (1 - (13 + i) / 24) + high * (13 + i) / 24 for i in range(12)
    }
    (saved,) = (path for path in rig.models.rglob("*.safetensors") if not path.name.startswith("demo-"))
    merged = load_file(saved)
    a, b = (load_file(rig.models / f"demo-{letter}.safetensors") for letter in "ab")
    checked = 0
    for key, tensor in merged.items():
        part = next((part for part in share if key.startswith(f"model.diffusion_model.{part}")), None)
        if part is not None:
            torch.testing.assert_close(tensor, torch.lerp(a[key].float(), b[key].float(), share[part]))
            checked += 1
    assert checked > 300
    drawn = next(row["drawn"] for row in snapshot["trials"] if row["number"] == best.number)
    assert drawn["IN06_alpha"] == pytest.approx(share["input_blocks.6."])
    numbers = rig.manager.block_weights(best.number, "")["alpha"]["classic"].split(",")
    assert float(numbers[7]) == pytest.approx(share["input_blocks.6."], abs=1e-4)
    assert "unet_alpha_p1" in rig.folder_of().trials_csv.read_text().splitlines()[0]


def test_a_run_that_chooses_its_method(rig: Rig) -> None:
    """Every trial is recorded, drawn and saved as the method that it took."""
    plan = rig.plan(
        methods=("slerp", "tensor_sum"), guide=Guide((ComponentGuide("unet", (Strategy("single"),)),)),
        payloads=(payload(),), budget=Budget(5), save=SaveSpec("fp32"),
    )  # fmt: skip
    snapshot = rig.run(plan)
    trials = rig.stored().trials
    assert {trial.state for trial in trials} == {"complete"}
    assert list(trials[0].values) == ["method", "unet_alpha", "unet_width", "unet_offset"]
    assert trials[0].values["method"] == "weighted_sum"
    assert len({trial.values["method"] for trial in trials}) > 1
    for row, trial in zip(snapshot["trials"], trials, strict=True):
        own = {"tensor_sum": {"unet_width", "unet_offset"}}.get(str(trial.values["method"]), {"unet_alpha"})
        assert set(row["drawn"]) == {"method", *own}
        weights = rig.manager.block_weights(trial.number, "")
        assert set(weights) == {name.removeprefix("unet_") for name in own}
    best = max(trials, key=lambda one: one.value or 0.0)
    (saved,) = (path for path in rig.models.rglob("*.safetensors") if not path.name.startswith("demo-"))
    said = json.loads(read_header(saved).metadata["sd_merge_recipe"])
    assert said["recipe"] == best.recipe
    one = dataclasses.replace(plan, method=str(best.values["method"]), methods=())
    alone = rig.manager.check(one).resolved
    assert alone is not None
    own_values = {p.name: best.values[p.name] for p in alone.space.parameters}
    merger = open_merger(alone, rig.host)
    merged = load_file(saved)
    for key, tensor in merger.tensors(own_values):
        assert torch.equal(merged[key], tensor), key
    merger.close()
    rig.manager.resume(rig.folder_of().name, 6)
    rig.end()
    assert len(rig.stored().trials) == 6


def test_methods_that_do_not_go_together_are_named_before_the_start(rig: Rig) -> None:
    for methods, words in ((("triple_sum",), "no trial could choose"), (("slurp",), "no merge method")):
        (problem,) = rig.manager.check(rig.plan(methods=methods)).problems
        assert words in str(problem)


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
