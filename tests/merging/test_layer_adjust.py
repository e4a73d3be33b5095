"""The layer adjustment: its formula, its tensors, alone and on top of merges, in live weights, files and sd-mecha."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lib_optim.merging.compose import plan_method
from lib_optim.merging.fallback import quiet_progress
from lib_optim.merging.mecha import sd_mecha
from lib_optim.merging.merger import Merger
from lib_optim.merging.own.layer_adjust import layer_adjust
from lib_optim.merging.save import save_checkpoint
from lib_optim.plan.adjust import ADJUSTMENTS, LATENTS
from lib_optim.plan.architectures import Architecture
from lib_optim.plan.blocks import block_map
from lib_optim.plan.bounds import Bound, Value
from lib_optim.plan.errors import PlanError
from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from lib_optim.plan.run_plan import ModelRef, RunPlan, SaveSpec
from lib_optim.plan.space import space_of
from tests.merging.conftest import Sink, architecture, guide

UNET = "model.diffusion_model."
IN, OUT, LAST = f"{UNET}input_blocks.0.0.", f"{UNET}out.0.", f"{UNET}out.2."
SIX = {f"{layer}{end}" for layer in (IN, OUT, LAST) for end in ("weight", "bias")}
# Number to the tensors that it changes, from peers.md: independent of the module's own tables.
TOUCHES = {
    "detail_in": {f"{IN}weight", f"{IN}bias"},
    "detail_out": {f"{OUT}weight", f"{OUT}bias"},
    "detail_out2": {f"{LAST}weight"},
    **{name: {f"{LAST}bias"} for name in ("contrast", "brightness", "cyan_red", "magenta_green", "yellow_blue")},
}
COLOURS = {
    "sd1": {
        "brightness": [-1, 1 / 3, 2 / 3],
        "cyan_red": [1, 1, 0],
        "magenta_green": [0, -1, -1],
        "yellow_blue": [1, 0, 1],
    },
    "sdxl": {"brightness": [0, 0, 1], "cyan_red": [1, 0, 0], "magenta_green": [-1, -1, 0], "yellow_blue": [-1, 1, 0]},
}
NUMBERS = {"detail_in": 2.5, "detail_out": -1.0, "detail_out2": 4.0, "contrast": 3.0, "brightness": -5.0,
           "cyan_red": 1.5, "magenta_green": -2.0, "yellow_blue": 7.0}  # fmt: skip


def expected(key: str, tensor: torch.Tensor, numbers: Mapping[str, float], latents: str) -> torch.Tensor:
    """The formula again, in float64."""
    x, n = tensor.double(), {**dict.fromkeys(TOUCHES, 0.0), **numbers}
    if key == f"{LAST}bias":
        rows = COLOURS[latents]
        colours = sum(n[name] * torch.tensor(row, dtype=torch.float64) for name, row in rows.items())
        return x + 0.02 * torch.cat([torch.tensor([n["contrast"]], dtype=torch.float64), colours])
    name = {IN: "detail_in", OUT: "detail_out", LAST: "detail_out2"}[key.rpartition(".")[0] + "."]
    return x * (1 - 0.01 * n[name]) if key.endswith("weight") else x * (1 + 0.02 * n[name])


def make_plan(method: str, models: list[Path], plan: Guide, adjust: bool = True) -> RunPlan:
    return RunPlan("test", tuple(ModelRef(str(m)) for m in models), method, plan, (), (), adjust=adjust)


def open_adjusted(plan: RunPlan, name: str = "sd1", seed: int = 7) -> Merger:
    row = plan_method(plan, architecture(name))
    models = [Path(model.path) for model in plan.models]
    return Merger(row, models, architecture(name), block_map(name), space_of(plan.guide, row, block_map(name)), seed)


def values_of(merger: Merger, numbers: Mapping[str, float], alpha: float = 0.3) -> dict[str, Value]:
    return {p.name: numbers.get(p.name, 0.0 if p.name in TOUCHES else alpha) for p in merger.space.parameters}


def tensors(merger: Merger, values: Mapping[str, Value]) -> dict[str, torch.Tensor]:
    return {key: tensor.clone() for key, tensor in merger.tensors(values)}


def by_sd_mecha(text: str, folder: Path) -> dict[str, torch.Tensor]:
    mecha = sd_mecha()
    mecha.model_dirs.add_path(folder)
    return mecha.merge(
        mecha.deserialize(text), merge_device="cpu", merge_dtype=torch.float32, output_device="cpu", output_dtype=None,
        threads=0, tqdm=quiet_progress(), check_extra_keys=False, check_finite_output=False,
        omit_non_finite_inputs=False, memoize_intermediates=False, validate_mm_contract=False,
        total_buffer_size=1 << 20,
    )  # fmt: skip


@pytest.mark.parametrize("latents", ["sd1", "sdxl"])
@pytest.mark.parametrize("name", TOUCHES)
def test_each_number_follows_the_formula_and_touches_only_its_tensors(name: str, latents: str) -> None:
    call = layer_adjust
    for key in sorted(SIX):
        tensor = torch.randn(4) if key.endswith("bias") else torch.randn(4, 4, 3, 3)
        got = call(tensor, **{name: 3.0}, latents=latents, key=key)
        if key in TOUCHES[name]:
            want = expected(key, tensor, {name: 3.0}, latents)
            assert torch.allclose(got.double(), want, rtol=1e-6, atol=1e-7)
            assert not torch.equal(got, tensor)
        else:
            assert torch.equal(got, tensor)
    other = torch.randn(4)
    assert call(other, **NUMBERS, latents=latents, key=f"{UNET}middle_block.0.in_layers.0.bias") is other


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_alone_on_one_model(checkpoints: Mapping[str, list[Path]], name: str, tmp_path: Path) -> None:
    a = checkpoints[name][1]  # fp32
    merger = open_adjusted(make_plan("layer_adjust", [a], Guide(()), adjust=False), name)
    assert [p.name for p in merger.space.parameters] == list(TOUCHES)
    assert merger.space.parameters[0].bound == Bound("float", -6.0, 6.0)
    assert merger.space.parameters[-1].bound == Bound("float", -10.0, 10.0)
    assert set(merger.keys) == SIX
    assert not merger.slow
    base = load_file(a)
    for key, tensor in tensors(merger, values_of(merger, {})).items():
        assert torch.equal(tensor, base[key])
    values = values_of(merger, NUMBERS)
    got = tensors(merger, values)
    for key, tensor in got.items():
        assert torch.allclose(tensor.double(), expected(key, base[key], NUMBERS, name), rtol=1e-6, atol=1e-6)
    path = save_checkpoint(merger, values, tmp_path / "saved.safetensors", SaveSpec("fp32"), {})
    saved, plain = load_file(path), by_sd_mecha(merger.recipe(values).text, a.parent)
    assert set(saved) == set(base)
    for key in base:
        assert torch.equal(saved[key], got.get(key, base[key]))
        assert key not in plain or torch.equal(plain[key].to(saved[key].dtype), saved[key])
    merger.close()


def test_on_top_of_a_merge(checkpoints: Mapping[str, list[Path]], tmp_path: Path) -> None:
    models = checkpoints["sd1"][:2]
    merger = open_adjusted(make_plan("weighted_sum", models, guide("unet")))
    plain = open_adjusted(make_plan("weighted_sum", models, guide("unet"), adjust=False))
    names = [p.name for p in merger.space.parameters]
    assert sorted(set(names) - {p.name for p in plain.space.parameters}) == sorted(TOUCHES)
    assert len(names) == len(plain.space.parameters) + 8
    assert not merger.slow
    assert merger.keys == plain.keys
    merged = tensors(plain, values_of(plain, {}))
    neutral = tensors(merger, values_of(merger, {}))
    assert all(torch.equal(neutral[key], merged[key]) for key in merged)
    values = values_of(merger, NUMBERS)
    sink = Sink(merger.keys)
    merger.write(values, sink)
    sink.tensors.clear()
    merger.write(values, sink)  # again: from the merged tensor, never from the adjusted one
    for key, tensor in sink.tensors.items():
        if key in SIX:
            want = expected(key, merged[key], NUMBERS, "sd1")
            assert torch.allclose(tensor.double(), want, rtol=1e-6, atol=1e-6)
        else:
            assert torch.equal(tensor, merged[key])
    saved = load_file(save_checkpoint(merger, values, tmp_path / "saved.safetensors", SaveSpec("fp32"), {}))
    plain_mecha = by_sd_mecha(merger.recipe(values).text, models[0].parent)
    for key, tensor in sink.tensors.items():
        assert torch.equal(saved[key], tensor)
        assert torch.equal(plain_mecha[key], tensor)
    merger.close(), plain.close()


def test_blocks_that_the_merge_leaves_out_are_adjusted_from_the_base(
    checkpoints: Mapping[str, list[Path]], tmp_path: Path
) -> None:
    models = checkpoints["sd1"][:2]
    middle = Guide((ComponentGuide("unet", (Strategy("select", ("M00",)),)),))
    merger = open_adjusted(make_plan("slerp", models, middle))
    assert merger.space.merged_blocks == ("IN00", "M00", "FINAL")
    assert merger.space.base_blocks == ("IN00", "FINAL")
    values = values_of(merger, NUMBERS)
    got, base = tensors(merger, values), load_file(models[0])
    for key in SIX:
        want = expected(key, base[key].float(), NUMBERS, "sd1")
        assert torch.allclose(got[key].double(), want, rtol=1e-6, atol=1e-6)
    plain = by_sd_mecha(merger.recipe(values).text, models[0].parent)
    assert all(torch.equal(plain[key], tensor) for key, tensor in got.items())
    assert all(torch.equal(plain[key], base[key].float()) for key in base.keys() - got.keys() if key in plain)
    merger.close()


def test_nothing_but_the_adjustment_of_two_models(checkpoints: Mapping[str, list[Path]]) -> None:
    models = checkpoints["sd1"][:2]
    merger = open_adjusted(make_plan("weighted_sum", models, Guide(())))
    assert set(merger.keys) == SIX
    values = values_of(merger, NUMBERS)
    plain = by_sd_mecha(merger.recipe(values).text, models[0].parent)
    assert all(torch.equal(plain[key], tensor) for key, tensor in tensors(merger, values).items())
    merger.close()


def test_the_guide_fixes_and_narrows_single_numbers() -> None:
    row = plan_method(make_plan("weighted_sum", [], Guide(())), architecture("sd1"))
    bounds = {
        "contrast": Bound("float", 0.0, 2.0),
        "detail_in": Bound("fixed", value=1.0),
        "IN00": Bound("float", 0.2, 0.8),
    }
    space = space_of(guide("unet", bounds=bounds), row, block_map("sd1"))
    found = {p.name: p for p in space.parameters}
    assert found["contrast"].bound == bounds["contrast"]
    assert found["contrast"].blocks == ("FINAL",)
    assert found["IN00_alpha"].bound == bounds["IN00"]
    assert "detail_in" not in found
    assert space.assign({name: p.bound.low for name, p in found.items()})["detail_in"] == {"IN00": 1.0}
    with pytest.raises(PlanError, match="'contrast' has one value in the whole model"):
        space_of(guide("unet", parameters=("alpha", "contrast")), row, block_map("sd1"))


def test_other_architectures_are_refused() -> None:
    flux = Architecture("flux", "Flux", "flux_dev-flux", None, (), (), {})
    assert "flux" not in LATENTS
    with pytest.raises(PlanError, match="Flux models have no layer adjustment; switch it off"):
        plan_method(make_plan("weighted_sum", [], Guide(())), flux)


def test_plans_say_whether_they_adjust() -> None:
    plan = make_plan("weighted_sum", [], Guide(()))
    assert RunPlan.from_json(plan.to_json()) == plan
    old = plan.to_json()
    del old["adjust"], old["recipe"]
    assert RunPlan.from_json(old) == dataclasses.replace(plan, adjust=False)
    assert [p.name for p in ADJUSTMENTS] == list(TOUCHES)
