"""Runs of a recipe, and of layer adjustments: whole, on the standalone host."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from lib_optim.merging.mecha import sd_mecha
from lib_optim.plan.adjust import ADJUSTMENTS
from lib_optim.plan.bounds import Bound
from lib_optim.plan.errors import PlanError
from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from lib_optim.plan.payload import jobs_of
from lib_optim.plan.run_plan import Budget, SamplerSpec, SaveSpec
from lib_optim.run.recipe_plan import with_recipe
from lib_optim.ui.recipes import known_recipes, recipe_json
from tests.rig import Rig, payload, same_pixels

UNCHANGED = SamplerSpec("random", presets=("unchanged",))


def test_a_recipe_is_optimised_saved_and_resumed(rig: Rig) -> None:
    mecha = sd_mecha()
    a, b = (mecha.model(f"demo-{letter}.safetensors", "sd1-ldm") for letter in "ab")
    text = mecha.serialize(mecha.weighted_sum(a, mecha.slerp(a, b, alpha=0.5), alpha=0.4) | a, finalize=False)
    guide = Guide((ComponentGuide("unet", (Strategy("single", parameters=("slerp_alpha",)),)),))
    plan = rig.plan(method="recipe", recipe=text, guide=guide, sampler=UNCHANGED, save=SaveSpec("fp32"))
    snapshot = rig.run(plan)
    first = snapshot["trials"][0]
    assert (first["origin"], first["values"]) == ("preset: unchanged", {"unet_slerp_alpha": 0.5})
    folder = rig.folder_of()
    assert folder.read_plan().recipe == text
    (saved,) = map(Path, snapshot["saved"])
    with safe_open(saved, "pt") as file:
        assert file.metadata()["optim.recipe"] == folder.best_recipe.read_text()
    assert '"slerp"' in folder.best_recipe.read_text()
    rig.manager.resume(folder.name, 3)
    assert rig.end()["progress"]["trials"] == 3
    assert rig.has_originals()


def test_the_layer_adjustment_alone_reaches_images_table_and_file(rig: Rig) -> None:
    bright = {"brightness": Bound("float", 9.0, 10.0)}
    others = {p.name for p in ADJUSTMENTS} - {"brightness"}
    fixed = dict.fromkeys(others, Bound("fixed", value=0.0))
    one = rig.plan().models[:1]
    plan = rig.plan(method="layer_adjust", models=one, guide=Guide((), {**bright, **fixed}), payloads=(payload("fox"),),
                    sampler=SamplerSpec("random", presets=()), budget=Budget(1), save=SaveSpec("fp32"))  # fmt: skip
    snapshot = rig.run(plan)
    (trial,) = snapshot["trials"]
    folder = rig.folder_of()
    with folder.trials_csv.open(newline="") as file:
        assert float(next(csv.DictReader(file))["brightness"]) == trial["values"]["brightness"]
    (saved,) = map(Path, snapshot["saved"])
    new, old = load_file(saved), load_file(rig.models / "demo-a.safetensors")
    key = "model.diffusion_model.out.2.bias"
    shift = 0.02 * trial["values"]["brightness"] * torch.tensor([0.0, -1.0, 1 / 3, 2 / 3])
    assert torch.allclose(new[key].float() - old[key].float(), shift, atol=1e-4)
    with safe_open(saved, "pt") as file:
        assert json.loads(file.metadata()["optim"])["values"] == trial["values"]
    record = rig.stored().images[0]
    with rig.host.exclusive():
        rig.host.load(rig.checkpoint("demo-a"))
        with rig.host.job("compare"):
            plain = rig.host.generate(jobs_of((payload("fox"),))[0], {}).image
    with Image.open(folder.path / record.file) as image:
        assert not same_pixels(image, plain)  # the demo's VAE is too small for brightness to mean anything
    assert rig.has_originals()


def test_a_recipe_names_what_is_missing(rig: Rig) -> None:
    plan = rig.plan(method="recipe", recipe="version 0.1.0")
    problems = rig.manager.check(plan).problems
    assert [p.where for p in problems] == ["method"]
    alone = rig.manager.check(rig.plan(models=rig.plan().models[:1]))
    assert "A merge needs at least two models; choose model A and model B." in [str(p) for p in alone.problems]
    two = rig.manager.check(rig.plan(method="layer_adjust", guide=Guide(())))
    assert [str(p) for p in two.problems] == ["Layer adjust takes 1 models, but 2 are chosen."]


def test_a_recipe_file_becomes_the_plan_and_the_pages_tree(rig: Rig, tmp_path: Path) -> None:
    mecha = sd_mecha()
    a, b = (mecha.model(f"elsewhere/demo-{letter}.safetensors", "sd1-ldm") for letter in "ab")
    path = tmp_path / "mine.mecha"
    path.write_text(mecha.serialize(mecha.slerp(b, a, alpha=0.5), finalize=False))
    plan = with_recipe(rig.plan(), path, rig.host)
    assert [Path(model.path).stem for model in plan.models] == ["demo-b", "demo-a"]
    assert rig.manager.check(dataclasses.replace(plan, guide=Guide.per_block())).problems == ()
    page = recipe_json(rig.manager, str(path))
    assert (page["tree"][0]["title"], page["tree"][0]["depth"]) == ("slerp", 0)
    assert page["tree"][0]["inputs"] == [{"name": "slerp_alpha", "value": "0.5"}]
    assert (page["problem"], page["method"]["parameters"][0]["range"]) == ("", "0..1")
    path.write_text(path.read_text().replace("demo-a", "gone"))
    assert "gone.safetensors is not among your models" in recipe_json(rig.manager, str(path))["problem"]
    with pytest.raises(PlanError, match=r"gone\.safetensors of the recipe is not among your models"):
        with_recipe(rig.plan(), path, rig.host)
    assert [row["path"] for row in known_recipes(rig.manager)] == []
