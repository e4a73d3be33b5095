"""Recipes of others as merge methods: what can be optimised, what is refused, and that the graph stays the graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lib_optim.merging.compose import plan_method
from lib_optim.merging.graph_reader import read_graph
from lib_optim.merging.mecha import sd_mecha
from lib_optim.merging.merger import Merger
from lib_optim.merging.recipe_files import find_models, has_recipe, read_recipe
from lib_optim.merging.save import save_checkpoint
from lib_optim.plan.bounds import Bound
from lib_optim.plan.errors import PlanError
from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from lib_optim.plan.run_plan import ModelRef, RunPlan, SaveSpec
from tests.checkpoints import make_checkpoint
from tests.merging.conftest import architecture
from tests.merging.test_layer_adjust import NUMBERS, by_sd_mecha, open_adjusted, tensors

A, B, C = ("sd1 A.safetensors", "sd1 B.safetensors", "sd1 C.safetensors")


def text_of(node: object) -> str:
    return str(sd_mecha().serialize(node, finalize=False))


def model(name: str, **fields: str) -> object:
    return sd_mecha().model(name, **{"config": "sd1-ldm", **fields})


def nested(table: object = 0.3) -> str:
    """(C → B by slerp) mixed into A: base A, by the fallback at the end."""
    mecha = sd_mecha()
    a = model(A)
    return text_of(mecha.weighted_sum(mecha.slerp(model(C), model(B), alpha=0.25), a, alpha=table) | a)


def plan_of(text: str, models: list[Path], guide: Guide, **changes: object) -> RunPlan:
    refs = tuple(ModelRef(str(path)) for path in models)
    return dataclasses.replace(RunPlan("test", refs, "recipe", guide, (), (), recipe=text), **changes)  # type: ignore[arg-type]


def single(*names: str) -> Guide:
    return Guide((ComponentGuide("unet", (Strategy("single", parameters=names),)),))


def test_reading_gives_models_base_first_and_every_number() -> None:
    graph = read_graph(nested())
    assert graph.models == (A, C, B)
    assert [(row.name, row.value) for row in graph.inputs] == [("slerp_alpha", 0.25), ("weighted_sum_alpha", 0.3)]
    assert [row[:2] for row in graph.tree()] == [(0, "weighted_sum"), (1, "slerp"), (2, C), (2, B), (1, A)]
    twice = sd_mecha().weighted_sum(sd_mecha().weighted_sum(model(A), model(B), alpha=0.1), model(C), alpha=0.2)
    assert [row.name for row in read_graph(text_of(twice)).inputs] == ["weighted_sum_alpha", "weighted_sum2_alpha"]
    assert read_graph(text_of(twice)).models == (A, B, C)
    by_hand = f'version 0.1.0\nmodel "{A}"\nmodel "x/{B}" "sd1-ldm" "weight"\n\nmerge "weighted_sum" &0 &1 0.7'
    assert [(r.name, r.value) for r in read_graph(by_hand).inputs] == [("weighted_sum_alpha", 0.7)]


def test_parameters_keep_the_recipes_values_and_reach_them() -> None:
    far = text_of(sd_mecha().weighted_sum(model(A), model(B), alpha=1.4))
    (alpha,) = plan_method(plan_of(far, [], Guide(())), architecture("sd1")).parameters
    assert (alpha.default, alpha.bound, alpha.searched) == (1.4, Bound("float", 0.0, 1.4), True)
    blocks = sd_mecha().convert({"IN04": 0.7, "M00": 0.2}, "sd1-ldm") | 0.5
    method = plan_method(plan_of(nested(blocks), [], Guide(())), architecture("sd1"))
    table = method.parameter("weighted_sum_alpha")
    assert table is not None
    assert (table.by_block["IN04"], table.by_block["M00"], table.by_block["OUT03"]) == (0.7, 0.2, 0.5)
    assert (method.min_models, method.max_models) == (3, 3)


BLOCKS = {"IN04": 0.7, "M00": 0.2}


def test_what_is_not_ticked_stays_and_the_recipe_as_it_was_is_one_point(checkpoints: Mapping[str, list[Path]]) -> None:
    a, b, c = checkpoints["sd1"]
    text = nested(sd_mecha().convert(BLOCKS, "sd1-ldm") | 0.5)
    merger = open_adjusted(plan_of(text, [a, c, b], single("slerp_alpha")))
    assert not merger.slow
    (parameter,) = merger.space.parameters
    assert (parameter.name, parameter.default) == ("unet_slerp_alpha", 0.25)
    old = by_sd_mecha(text, a.parent)
    first, other = (tensors(merger, {parameter.name: value}) for value in (parameter.default, 0.9))
    assert all(torch.equal(first[key], old[key]) for key in first)
    kept = {key for key in other if not key.startswith("model.diffusion_model.")}
    assert len(kept) > 100
    assert all(torch.equal(other[key], old[key]) for key in kept)  # what is not varied is merged as the recipe says
    assert not torch.equal(other["model.diffusion_model.out.2.bias"], old["model.diffusion_model.out.2.bias"])
    merger.close()


def test_the_new_recipe_is_the_old_graph_and_gives_the_same_bits(
    checkpoints: Mapping[str, list[Path]], tmp_path: Path
) -> None:
    a, b, c = checkpoints["sd1"]
    text = nested(sd_mecha().convert(BLOCKS, "sd1-ldm") | 0.5)
    merger = open_adjusted(plan_of(text, [a, c, b], single("weighted_sum_alpha")))
    values = {"unet_weighted_sum_alpha": 0.9}
    got, new = tensors(merger, values), merger.recipe(values).text
    assert next((row.name, row.value) for row in read_graph(new).inputs) == ("slerp_alpha", 0.25)
    assert read_graph(new).models == (A, C, B)
    plain = by_sd_mecha(new, a.parent)
    saved = load_file(save_checkpoint(merger, values, tmp_path / "s.safetensors", SaveSpec("fp32"), {}))
    for key, tensor in got.items():
        assert torch.equal(plain[key], tensor)
        assert torch.equal(saved[key], tensor)
    merger.close()


def test_a_table_by_tensor_stays_until_it_is_named(checkpoints: Mapping[str, list[Path]]) -> None:
    a, b, c = checkpoints["sd1"]
    out = "model.diffusion_model.out."
    table = {f"{out}0.weight": 0.2, f"{out}0.bias": 0.4, f"{out}2.weight": 0.6}
    text = nested(sd_mecha().literal(table, "sd1-ldm", "param"))
    merger = open_adjusted(plan_of(text, [a, c, b], single("slerp_alpha")))
    assert [p.name for p in merger.method.parameters] == ["slerp_alpha"]
    assert set(merger.keys) == set(table)  # the recipe gives no others
    assert not merger.slow
    got, plain = (
        tensors(merger, {"unet_slerp_alpha": 0.9}),
        by_sd_mecha(merger.recipe({"unet_slerp_alpha": 0.9}).text, a.parent),
    )
    assert all(torch.equal(plain[key], got[key]) for key in table)
    merger.close()
    with_table = open_adjusted(plan_of(text, [a, c, b], single("weighted_sum_alpha", "slerp_alpha")))
    assert "OUT11" in with_table.space.merged_blocks
    with_table.close()


def test_a_saved_winner_is_a_recipe_again_with_its_adjustment(
    checkpoints: Mapping[str, list[Path]], tmp_path: Path
) -> None:
    a, b, c = checkpoints["sd1"]
    first = open_adjusted(plan_of(nested(), [a, c, b], single("slerp_alpha"), adjust=True))
    values = {p.name: NUMBERS.get(p.name, 0.8) for p in first.space.parameters}
    path = save_checkpoint(first, values, tmp_path / "won.safetensors", SaveSpec("fp32"), {})
    got = tensors(first, values)
    first.close()
    assert has_recipe(path)
    again = open_adjusted(plan_of(read_recipe(path), [a, c, b], single("slerp_alpha")))
    assert [p.name for p in again.space.parameters] == ["unet_slerp_alpha"]  # the adjustment stays as it is
    (searched,) = again.space.parameters
    assert searched.default == 0.8
    same = tensors(again, {searched.name: 0.8})
    assert set(same) == set(got)
    assert all(torch.equal(same[key], got[key]) for key in got)
    again.close()


def test_models_are_found_by_the_end_of_their_path() -> None:
    files = [Path("/m/one/a.safetensors"), Path("/m/two/a.safetensors"), Path("/m/b.safetensors")]
    assert find_models(["two/a.safetensors", "b.safetensors"], files) == [files[1], files[2]]
    assert find_models(["old/b.safetensors", "c.safetensors"], files) == [files[2], None]
    assert find_models(["elsewhere/a.safetensors"], files) == [None]


def merged(method: str, *args: object, **kwargs: object) -> object:
    return sd_mecha().extensions.merge_methods.resolve(method)(*args, **kwargs)


REFUSED = {
    "nothing": (lambda: "", "holds none; choose a .mecha file"),
    "no recipe": (lambda: "alpha: 0.3", "first line is not 'version 0.1.0'"),
    "cut off": (lambda: nested().rpartition("&")[0] + "&99", "cannot be read"),
    "unknown method": (lambda: nested().replace("slerp", "slurp"), "merge method 'slurp', which is not there"),
    "unknown command": (lambda: 'version 0.1.0\nblend "x"', "cannot be read"),
    "another version": (lambda: nested().replace("0.1.0", "9.0.0"), "cannot be read"),
    "only a model": (lambda: text_of(model(A)), "holds no merge"),
    "a difference": (lambda: text_of(merged("add_difference", model(A), model(B, merge_space="delta"))), "difference"),
    "a LoRA": (
        lambda: text_of(model(A) + sd_mecha().model("l.safetensors", config="sd1-kohya_kohya_lora")), "LoRA|converter"
    ),
    "another layout": (lambda: nested().replace("sd1-ldm", "sdxl-sgm"), "sdxl-sgm, and these are Stable Diffusion 1.x"),
    "a part of a model": (lambda: text_of(merged("pick_component", model(A), "vae") | model(B)), "pick_component"),
    "fallback inside": (
        lambda: text_of(sd_mecha().weighted_sum(sd_mecha().slerp(model(A), model(B)) | model(A), model(C))), "falls"
    ),
    "tensors": (
        lambda: 'version 0.1.0\ndict a="x"\nmodel "m.safetensors" "sd1-ldm"\nmerge "weighted_sum" &1 &0 0.5', "numbers"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_optimised_is_refused_in_one_sentence(case: str) -> None:
    make, words = REFUSED[case]
    with pytest.raises(PlanError, match=words) as caught:
        plan_method(plan_of(make(), [], Guide(())), architecture("sd1"))
    assert len(caught.value.problems) == 1
    assert "\n" not in str(caught.value)


def test_files_without_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("x")
    (tmp_path / "x.mecha").write_bytes(b"\xff\xfe\x00")
    plain = make_checkpoint(tmp_path / "plain.safetensors")
    for path, words in [(tmp_path / "x.txt", "is no recipe"), (tmp_path / "x.mecha", "no text"), (plain, "no recipe"),
                        (tmp_path / "none.mecha", "cannot be read")]:  # fmt: skip
        with pytest.raises(PlanError, match=words):
            read_recipe(path)
    assert not has_recipe(plain)


def test_seeds_that_a_recipe_leaves_open_come_from_the_plan(checkpoints: Mapping[str, list[Path]]) -> None:
    a, b, _ = checkpoints["sd1"]
    text = text_of(
        merged("add_difference", model(A), merged("dropout", model(B) - model(A), probability=0.5), alpha=1.0)
    )
    made = []
    for seed in (7, 7, 8):
        merger: Merger = open_adjusted(plan_of(text, [a, b], single("add_difference_alpha")), seed=seed)
        assert merger.method.stochastic
        made.append(tensors(merger, {"unet_add_difference_alpha": 0.5})["model.diffusion_model.out.2.weight"])
        merger.close()
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
