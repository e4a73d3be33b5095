"""Runs in which every trial chooses its merge method: what is shared, what counts, that it merges as that method."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from lib_optim.merging.choice import choice_of
from lib_optim.merging.compose import composed, plan_method, ways_of
from lib_optim.merging.memory import memory_plan
from lib_optim.merging.merger import Merger
from lib_optim.merging.methods import merge_method
from lib_optim.merging.save import save_checkpoint
from lib_optim.plan.adjust import ADJUSTMENTS
from lib_optim.plan.blocks import block_map
from lib_optim.plan.bounds import Value, parse_bound
from lib_optim.plan.errors import PlanError
from lib_optim.plan.guide import ComponentGuide, Curve, Guide, Strategy
from lib_optim.plan.header import read_header
from lib_optim.plan.methods import MergeMethod, MethodParameter
from lib_optim.plan.presets import preset, preset_values
from lib_optim.plan.run_plan import ModelRef, RunPlan, SaveSpec
from lib_optim.plan.space import Space, space_of
from tests.merging.conftest import Sink, architecture, guide, random_values

METHODS = ("weighted_sum", "slerp", "n_average", "tensor_sum", "dropout")
SD1 = block_map("sd1")
Checkpoints = Mapping[str, list[Path]]


def choice(*names: str, adjust: bool = False, plan: Guide | None = None) -> Space:
    method = composed(names[0], "", adjust, architecture("sd1"), others=names[1:])
    return space_of(plan or guide("unet"), method, SD1)


def opened(models: list[Path], *names: str, adjust: bool = False) -> Merger:
    method = composed(names[0], "", adjust, architecture("sd1"), others=names[1:])
    space = space_of(guide("text_encoder", "unet"), method, SD1)
    return Merger(method, models, architecture("sd1"), SD1, space, 7)


def tensors(merger: Merger, values: Mapping[str, Value]) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in merger.tensors(values)}


def refused(*names: str) -> str:
    with pytest.raises(PlanError) as caught:
        composed(names[0], "", False, None, others=names[1:])
    return str(caught.value)


def test_parameters_of_one_name_and_range_are_one() -> None:
    method = composed("weighted_sum", "", False, None, others=METHODS[1:])
    assert [p.name for p in method.parameters] == ["alpha", "width", "offset", "probability", "rescale"]
    assert {c.id: set(c.names.values()) for c in method.choices} == {
        "weighted_sum": {"alpha"}, "slerp": {"alpha"}, "n_average": {"alpha"}, "tensor_sum": {"width", "offset"},
        "dropout": {"alpha", "probability", "rescale"},
    }  # fmt: skip
    assert (method.min_models, method.max_models) == (2, 2), "weighted_sum takes no more"


def test_parameters_that_differ_are_called_after_their_method() -> None:
    def one(name: str, parameter: str, text: str, default: float, searched: bool = True) -> MergeMethod:
        row = MethodParameter(parameter, "float", default, parse_bound(text), searched)
        return MergeMethod(name, name, "", 2, 2, (row,))

    rows = [
        one("a", "x", "0..1", 0.5), one("b", "x", "0..2", 0.5), one("c", "x", "0..1", 0.1),
        one("d", "x", "0..1", 0.1, searched=False), one("e", "method", "0..1", 0.5),
    ]  # fmt: skip
    method = choice_of(rows)
    names = {c.id: next(iter(c.names.values())) for c in method.choices}
    assert names == {"a": "x", "b": "b_x", "c": "x", "d": "d_x", "e": "e_method"}
    assert {p.name: p.default for p in method.parameters} == {"x": 0.5, "b_x": 0.5, "d_x": 0.1, "e_method": 0.5}


def test_the_method_is_the_first_dimension_and_switches_the_others() -> None:
    space = choice("weighted_sum", "tensor_sum", plan=Guide((ComponentGuide("unet", (Strategy("single"),)),)))
    assert [(p.name, str(p.bound), p.default) for p in space.parameters] == [
        ("method", "{weighted_sum, tensor_sum}", "weighted_sum"),
        ("unet_alpha", "0..1", 0.5), ("unet_width", "0..1", 0.5), ("unet_offset", "0..1", 0.0),
    ]  # fmt: skip
    values = {"method": "tensor_sum", "unet_alpha": 0.1, "unet_width": 0.2, "unet_offset": 0.3}
    assert space.active(values) == {"method": "tensor_sum", "unet_width": 0.2, "unet_offset": 0.3}
    assert space.active({**values, "method": "weighted_sum"}) == {"method": "weighted_sum", "unet_alpha": 0.1}
    assert space.drawn(values) == space.active(values)
    assert set(space.assign(values)) == {"alpha", "width", "offset"}, "the choice stands in no block"
    assert Space.from_json(space.to_json()) == space
    with pytest.raises(PlanError, match="lies outside"):
        space.assign({**values, "method": "slerp"})
    assert choice("weighted_sum").ways == {}
    assert choice("weighted_sum").active({"IN00_alpha": 0.5}) == {"IN00_alpha": 0.5}


def test_presets_begin_with_the_first_method() -> None:
    values = preset_values(preset("GRAD_V"), choice("slerp", "tensor_sum"), SD1)
    assert values is not None
    assert (values["method"], values["IN00_alpha"], values["IN00_width"]) == ("slerp", 1.0, 0.5)


def test_the_choice_alone_is_something_to_search() -> None:
    fixed = guide("unet", bounds={"alpha": merge_method("slerp").parameters[0].bound.from_json(
        {"kind": "fixed", "value": 0.5})})  # fmt: skip
    assert [p.name for p in choice("weighted_sum", "slerp", plan=fixed).parameters] == ["method"]


def test_every_trial_is_what_its_method_alone_would_be(checkpoints: Checkpoints) -> None:
    models = checkpoints["sd1"][:2]
    merger = opened(models, *METHODS)
    every = {name: opened(models, name) for name in METHODS}
    for seed, name in enumerate(METHODS):
        values = {**random_values(merger.space, seed), "method": name}
        own = {p.name: values[p.name] for p in every[name].space.parameters}
        assert merger.recipe(values) == every[name].recipe(own)
        assert merger.method_of(values) == merge_method(name)
        expected = tensors(every[name], own)
        found = tensors(merger, values)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in expected), name
    for one in (merger, *every.values()):
        one.close()


def test_another_method_writes_everything_again(checkpoints: Checkpoints) -> None:
    """Equal values of another method are another merge, although no block's numbers changed."""
    merger = opened(checkpoints["sd1"][:2], "weighted_sum", "slerp")
    live = Sink(merger.keys)
    values = random_values(merger.space, 1)
    for name in ("weighted_sum", "slerp", "slerp", "weighted_sum"):
        values["method"] = name
        report = merger.write(values, live)
        expected = tensors(merger, values)
        assert all(torch.equal(live.tensors[key], expected[key]) for key in expected), name
        assert len(report.written) + len(report.kept) >= len(expected)
    assert merger.write(values, live).written == (), "nothing changed"
    merger.close()


def test_an_adjustment_follows_whichever_method_it_is(checkpoints: Checkpoints) -> None:
    models = checkpoints["sd1"][:2]
    merger = opened(models, "weighted_sum", "slerp", adjust=True)
    names = {p.name for p in ADJUSTMENTS}
    assert names <= {p.name for p in merger.space.parameters}
    values = {**random_values(merger.space, 3), "method": "slerp"}
    assert names <= merger.space.active(values).keys()
    alone = opened(models, "slerp", adjust=True)
    expected = tensors(alone, {p.name: values[p.name] for p in alone.space.parameters})
    found = tensors(merger, values)
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    merger.close()
    alone.close()


def test_curves_and_choices_go_together(checkpoints: Checkpoints) -> None:
    strategy = Strategy("single", parameters=("alpha", "width"), curve=Curve(3))
    space = choice("weighted_sum", "tensor_sum", plan=Guide((ComponentGuide("unet", (strategy,)),)))
    method = composed("weighted_sum", "", False, architecture("sd1"), others=["tensor_sum"])
    values = {p.name: 0.25 for p in space.parameters} | {"method": "tensor_sum"}
    assert sorted(space.active(values)) == ["method", *(f"unet_width_p{i}" for i in (1, 2, 3))]
    assert set(space.drawn(values)) == {"method", *(f"{block}_width" for block in space.merged_blocks)}
    merger = Merger(method, checkpoints["sd1"][:2], architecture("sd1"), SD1, space, 7)
    assert set(merger.assignment(values)) == {"width", "offset"}
    merger.close()


def test_a_saved_file_names_the_method_of_its_trial(checkpoints: Checkpoints, tmp_path: Path) -> None:
    merger = opened(checkpoints["sd1"][:2], "weighted_sum", "slerp")
    values = {**random_values(merger.space, 5), "method": "slerp"}
    path = save_checkpoint(merger, values, tmp_path / "x.safetensors", SaveSpec("fp32"), {})
    said = json.loads(read_header(path).metadata["sd_merge_recipe"])
    assert said["interp_method"] == merge_method("slerp").title
    assert set(said["values"]) == {"alpha"}
    merger.close()


def test_the_memory_plan_counts_every_method(checkpoints: Checkpoints) -> None:
    models, base = checkpoints["sd1"], read_header(checkpoints["sd1"][0])

    def wanted(*names: str) -> int:
        method = composed(names[0], "", False, architecture("sd1"), others=names[1:])
        return memory_plan(method, models, architecture("sd1"), SD1, space_of(guide("unet"), method, SD1), base).wanted

    assert wanted("n_average", "geometric_median") == wanted("n_average") + wanted("geometric_median") > 0


def test_what_does_not_go_together_is_said() -> None:
    assert "is chosen twice" in refused("slerp", "weighted_sum", "slerp")
    assert "no trial could choose" in refused("weighted_sum", "triple_sum")
    assert "cannot be one of several" in refused("weighted_sum", "recipe")
    assert "cannot be one of several" in refused("layer_adjust", "weighted_sum")
    assert "no merge method" in refused("weighted_sum", "slurp")


def test_a_plan_names_its_methods() -> None:
    plan = RunPlan("x", (ModelRef("a"), ModelRef("b")), "weighted_sum", guide("unet"), (), (), methods=("slerp",))
    assert RunPlan.from_json(plan.to_json()) == plan
    assert [c.id for c in plan_method(plan).choices] == ["weighted_sum", "slerp"]
    assert list(ways_of(plan_method(plan))) == ["weighted_sum", "slerp"]
    assert list(ways_of(merge_method("slerp"))) == [""]
