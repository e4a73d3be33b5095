"""LoRA and LyCORIS files as models: what they add, against the formulas worked out in float64."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib_optim.merging.merger import Merger
from lib_optim.merging.run_recipe import run_recipe
from lib_optim.merging.save import save_checkpoint
from lib_optim.plan.errors import CheckpointError
from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from lib_optim.plan.run_plan import SaveSpec
from tests.loras import LoraMaker, unet_modules
from tests.merging.conftest import Sink, guide, open_merger, same_value

UNET = "model.diffusion_model."
CLIP = "cond_stage_model.transformer.text_model.encoder.layers."
CLIP_L = "conditioner.embedders.0.transformer.text_model.encoder.layers."
CLIP_G = "conditioner.embedders.1.model."


def own(key: str) -> str:
    """The checkpoint's own spelling of a UNet module."""
    return "unet_" + key.removeprefix(UNET).removesuffix(".weight").replace(".", "_")


def sd1_lora(base: Path, folder: Path) -> tuple[LoraMaker, Path]:
    """One module of every kind, in both spellings, UNet and text encoder."""
    maker = LoraMaker(base)
    for key in unet_modules(maker.base)[::3]:
        maker.lora(own(key), key, alpha=0.5)
    maker.lora(
        "unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_v",
        f"{UNET}input_blocks.4.1.transformer_blocks.0.attn1.to_v.weight",
        alpha=None,
    )
    maker.lora("unet_mid_block_resnets_0_conv1", f"{UNET}middle_block.0.in_layers.2.weight", mid=True)
    maker.loha(
        "unet_up_blocks_1_attentions_0_transformer_blocks_0_ff_net_2",
        f"{UNET}output_blocks.3.1.transformer_blocks.0.ff.net.2.weight",
        alpha=3.0,
    )
    maker.loha("unet_output_blocks_0_0_out_layers_3", f"{UNET}output_blocks.0.0.out_layers.3.weight")
    maker.lokr(
        "unet_output_blocks_5_1_transformer_blocks_0_attn2_to_v",
        f"{UNET}output_blocks.5.1.transformer_blocks.0.attn2.to_v.weight",
        alpha=4.0,
    )
    maker.lokr("unet_output_blocks_1_0_out_layers_3", f"{UNET}output_blocks.1.0.out_layers.3.weight", alpha=7.0)
    maker.full("unet_conv_in", f"{UNET}input_blocks.0.0.weight", f"{UNET}input_blocks.0.0.bias")
    maker.norm(
        "unet_middle_block_2_in_layers_0",
        f"{UNET}middle_block.2.in_layers.0.weight",
        f"{UNET}middle_block.2.in_layers.0.bias",
    )
    maker.ia3("te_text_model_encoder_layers_1_self_attn_k_proj", f"{CLIP}1.self_attn.k_proj.weight", on_input=False)
    maker.ia3("te_text_model_encoder_layers_1_mlp_fc2", f"{CLIP}1.mlp.fc2.weight", on_input=True)
    maker.lora("te_text_model_encoder_layers_0_mlp_fc1", f"{CLIP}0.mlp.fc1.weight", alpha=2.0)
    return maker, maker.save(folder / "sd1 lora.safetensors")  # fmt: skip


def sdxl_lora(base: Path, folder: Path, spelling: str = "own") -> tuple[LoraMaker, Path]:
    maker = LoraMaker(base)
    if spelling == "own":
        for key in unet_modules(maker.base)[::9]:
            maker.lora(own(key), key, alpha=0.5)
    else:
        maker.lora(
            "unet_down_blocks_2_attentions_1_transformer_blocks_7_attn2_to_k",
            f"{UNET}input_blocks.8.1.transformer_blocks.7.attn2.to_k.weight",
        )
    maker.lora("te1_text_model_encoder_layers_3_self_attn_q_proj", f"{CLIP_L}3.self_attn.q_proj.weight", alpha=1.5)
    layer = f"{CLIP_G}transformer.resblocks.2."
    for part, letter in enumerate("qkv"):
        maker.lora(f"te2_text_model_encoder_layers_2_self_attn_{letter}_proj", f"{layer}attn.in_proj_weight", 0.7, part)
    maker.lora("te2_text_model_encoder_layers_2_mlp_fc1", f"{layer}mlp.c_fc.weight")
    return maker, maker.save(folder / f"sdxl {spelling}.safetensors")  # fmt: skip


def merged(merger: Merger, alpha: float | Mapping[str, float]) -> dict[str, torch.Tensor]:
    values = same_value(merger.space, alpha) if isinstance(alpha, float) else dict(alpha)
    return {key: tensor.clone() for key, tensor in merger.tensors(values)}


def near(got: torch.Tensor, expected: torch.Tensor) -> bool:
    return torch.allclose(got.double(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("architecture", ["sd1", "sdxl"])
@pytest.mark.parametrize("method", ["weighted_sum", "add_difference"])
def test_every_tensor_is_base_plus_alpha_times_the_delta(
    checkpoints: Mapping[str, list[Path]], tmp_path: Path, architecture: str, method: str
) -> None:
    base = checkpoints[architecture][0]
    maker, lora = (sd1_lora if architecture == "sd1" else sdxl_lora)(base, tmp_path)
    merger = open_merger(method, [base, lora], architecture)
    try:
        assert not merger.slow
        assert set(maker.deltas) <= set(merger.keys)
        assert len(merger.keys) > len(maker.deltas) * 3, "what the LoRA lacks is merged too, with nothing"
        for alpha in (0.0, 0.5, 1.0):
            tensors = merged(merger, alpha)
            assert set(tensors) == set(merger.keys)
            for key, tensor in tensors.items():
                assert near(tensor, maker.result(key, alpha)), key
        # the same, block by block
        blocks = {p.name: i % 3 / 2 for i, p in enumerate(merger.space.parameters)}
        assert set(blocks.values()) == {0.0, 0.5, 1.0}
        weights = {block: value for p in merger.space.parameters for block in p.blocks for value in [blocks[p.name]]}
        sink = Sink(merger.keys)
        report = merger.write(blocks, sink)
        assert report.written == merger.keys
        assert not report.refused
        for key, tensor in sink.tensors.items():
            assert near(tensor, maker.result(key, weights[merger.blocks.block_of(key) or ""])), key
    finally:
        merger.close()


@pytest.mark.parametrize("architecture", ["sd1", "sdxl"])
def test_the_saved_file(checkpoints: Mapping[str, list[Path]], tmp_path: Path, architecture: str) -> None:
    base = checkpoints[architecture][0]
    maker, lora = (sd1_lora if architecture == "sd1" else sdxl_lora)(base, tmp_path)
    merger = open_merger("weighted_sum", [base, lora], architecture)
    try:
        path = save_checkpoint(
            merger, same_value(merger.space, 0.75), tmp_path / "baked.safetensors", SaveSpec("fp32"), {}
        )
    finally:
        merger.close()
    saved, before = load_file(path), load_file(base)
    assert saved.keys() == before.keys(), "a checkpoint like the base, with no trace of the LoRA's own tensors"
    changed = 0
    for key, tensor in saved.items():
        if tensor.is_floating_point():
            assert near(tensor, maker.result(key, 0.75)), key
            changed += not torch.equal(tensor, before[key].float())
        else:
            assert torch.equal(tensor, before[key])
    assert changed == len(maker.deltas)


@pytest.mark.parametrize("architecture", ["sd1", "sdxl"])
def test_three_models_and_heavy_methods(
    checkpoints: Mapping[str, list[Path]], tmp_path: Path, architecture: str
) -> None:
    """A LoRA is B like any other: sum twice with a checkpoint, TIES with a second LoRA."""
    base, other, _ = checkpoints[architecture]
    maker, lora = (sd1_lora if architecture == "sd1" else sdxl_lora)(base, tmp_path)
    far = load_file(other)
    merger = open_merger("sum_twice", [base, lora, other], architecture)
    try:
        values = {p.name: 0.5 if p.method_parameter == "alpha" else 0.25 for p in merger.space.parameters}
        for key, tensor in merged(merger, values).items():
            assert near(tensor, maker.result(key, 0.5) * 0.75 + far[key].double() * 0.25), key
    finally:
        merger.close()
    # Where the arithmetic is not a formula of one line: the same as with a checkpoint into which the LoRA was baked.
    twice = LoraMaker(base, seed=5)
    for key in maker.deltas:
        if twice.base[key].dim() == 2 and key.startswith(UNET):
            twice.lora(own(key), key)
    loras = [lora, twice.save(tmp_path / "second.safetensors")]
    baked = []
    for path in loras:
        merger = open_merger("weighted_sum", [base, path], architecture)
        baked.append(tmp_path / f"baked {path.name}")
        tensors = load_file(base) | merged(merger, 1.0)
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, baked[-1])
        merger.close()
    results = []
    for models in (loras, baked):
        merger = open_merger("add_difference_ties", [base, *models], architecture)
        results.append(merged(merger, same_value(merger.space, 0.5)))
        merger.close()
    assert results[0].keys() == results[1].keys()
    for key, tensor in results[0].items():
        assert torch.equal(tensor, results[1][key]), key


@pytest.mark.parametrize("architecture", ["sd1", "sdxl"])
def test_a_loras_weight_beside_the_merges_and_the_text_encoders(
    checkpoints: Mapping[str, list[Path]], tmp_path: Path, architecture: str
) -> None:
    """Triple sum of A, B and a LoRA: four dimensions, A·(1 − alpha) + B·alpha + beta·LoRA, text encoder by itself."""
    base, other, _ = checkpoints[architecture]
    maker, lora = (sd1_lora if architecture == "sd1" else sdxl_lora)(base, tmp_path)
    far = load_file(other)
    plan = Guide(tuple(ComponentGuide(name, (Strategy("single"),)) for name in ("text_encoder", "unet")))
    merger = open_merger("triple_sum", [base, other, lora], architecture, plan)
    try:
        values = {
            "text_encoder_alpha": 0.25, "text_encoder_beta": 1.0, "unet_alpha": 0.5, "unet_beta": 0.75,
        }  # fmt: skip
        assert {p.name for p in merger.space.parameters} == set(values)
        for key, tensor in merged(merger, values).items():
            part = merger.blocks.block(merger.blocks.block_of(key) or "").component
            alpha, beta = values[f"{part}_alpha"], values[f"{part}_beta"]
            delta = maker.result(key, 1.0) - maker.base[key]
            expected = maker.base[key] * (1 - alpha) + far[key].double() * alpha + delta * beta
            assert torch.allclose(tensor.double(), expected, rtol=1e-5, atol=1e-5), key
    finally:
        merger.close()


def real_size(folder: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    """Some tensors of SDXL at full size: sd-mecha's LoRA nodes insist on it."""
    generator = torch.Generator().manual_seed(3)
    shapes = {
        f"{UNET}input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight": (640, 640),
        f"{UNET}input_blocks.4.1.transformer_blocks.1.attn2.to_k.weight": (640, 2048),
        f"{UNET}input_blocks.4.1.proj_in.weight": (640, 640),
        f"{UNET}output_blocks.8.0.skip_connection.weight": (320, 640, 1, 1),
        f"{UNET}input_blocks.1.0.in_layers.2.weight": (320, 320, 3, 3),
        f"{UNET}label_emb.0.0.weight": (1280, 2816),
        f"{CLIP_L}3.self_attn.q_proj.weight": (768, 768),
        f"{CLIP_G}transformer.resblocks.2.attn.in_proj_weight": (3840, 1280),
    }
    tensors = {key: (torch.randn(shape, generator=generator) * 0.1).half() for key, shape in shapes.items()}
    path = folder / "full size.safetensors"
    save_file(tensors, path)
    return path, tensors


@pytest.mark.parametrize("spelling", ["own", "diffusers"])
def test_the_recipe_of_an_sdxl_lora_runs_in_plain_sd_mecha(tmp_path: Path, spelling: str) -> None:
    import sd_mecha

    base, _ = real_size(tmp_path)
    maker = LoraMaker(base)
    if spelling == "own":
        for key in maker.base:
            if key.startswith(UNET):
                maker.lora(own(key), key, 3.0, rank=4)
    else:
        maker.lora(
            "unet_down_blocks_1_attentions_0_transformer_blocks_1_attn2_to_k",
            f"{UNET}input_blocks.4.1.transformer_blocks.1.attn2.to_k.weight",
            3.0,
        )
        maker.lora("unet_down_blocks_0_resnets_0_conv1", f"{UNET}input_blocks.1.0.in_layers.2.weight", mid=True)
    for part, letter in enumerate("qkv"):
        maker.lora(
            f"te2_text_model_encoder_layers_2_self_attn_{letter}_proj",
            f"{CLIP_G}transformer.resblocks.2.attn.in_proj_weight",
            1.0,
            part,
        )
    maker.lora("te1_text_model_encoder_layers_3_self_attn_q_proj", f"{CLIP_L}3.self_attn.q_proj.weight", 2.0)
    lora = maker.save(tmp_path / f"style {spelling}.safetensors")  # fmt: skip
    merger = open_merger("weighted_sum", [base, lora], "sdxl")
    try:
        values = same_value(merger.space, 0.3)
        text = merger.recipe(values).text
        assert "optim_" not in text
        assert "kohya_lora" in text
        ours = merged(merger, values)
    finally:
        merger.close()
    sd_mecha.model_dirs.add_path(tmp_path)
    theirs = sd_mecha.merge(
        sd_mecha.deserialize(text), output_dtype=torch.float32, threads=0, tqdm=lambda *a, **k: _Quiet()
    )
    for key, tensor in ours.items():
        assert near(tensor, maker.result(key, 0.3)), key
        assert torch.allclose(tensor, theirs[key], rtol=1e-6, atol=2e-7), key


class _Quiet:
    def __enter__(self) -> _Quiet:
        return self

    def __exit__(self, *_: object) -> None: ...

    def update(self, *_: object) -> None: ...

    def __getattr__(self, _: str) -> object:
        return lambda *a, **k: None


@pytest.mark.parametrize("architecture", ["sd1", "sdxl"])
def test_recipes_of_other_loras_run_with_optim_registered(
    checkpoints: Mapping[str, list[Path]], tmp_path: Path, architecture: str
) -> None:
    """SD1 (whose converter sd-mecha 1.1.8 breaks), LoHa, partly trained attention: by our own method."""
    import sd_mecha

    base = checkpoints[architecture][0]
    maker, lora = (sd1_lora if architecture == "sd1" else sdxl_lora)(base, tmp_path)
    if architecture == "sdxl":
        key = f"{UNET}input_blocks.7.1.transformer_blocks.0.attn1.to_v.weight"
        maker.loha(own(key), key)
        maker.save(lora)
    # Of the base only what the LoRA changes: sd_mecha.merge takes its time over a whole one.
    few = {key: tensor for key, tensor in load_file(base).items() if key in maker.deltas}
    base = tmp_path / f"few {base.name}"
    save_file(few, base)
    merger = open_merger("add_difference", [base, lora], architecture)
    try:
        values = same_value(merger.space, 0.5)
        recipe = merger.recipe(values)
        ours = merged(merger, values)
        assert recipe == merger.recipe(values)
    finally:
        merger.close()
    assert "optim_add_lora" in recipe.text
    sd_mecha.model_dirs.add_path(tmp_path)
    theirs = sd_mecha.merge(
        sd_mecha.deserialize(recipe.text), output_dtype=torch.float32, threads=0, check_extra_keys=False,
        validate_mm_contract=False, tqdm=lambda *a, **k: _Quiet(),
    )  # fmt: skip
    for key in maker.deltas:
        assert torch.equal(ours[key], theirs[key]), key


def test_a_recipe_file_is_run_again_from_the_models_folder(
    checkpoints: Mapping[str, list[Path]], tmp_path: Path
) -> None:
    """The names in a recipe are relative; what the merge command gives is the merge of the run."""
    base = checkpoints["sd1"][0]
    (tmp_path / "loras").mkdir()
    maker, lora = sd1_lora(base, tmp_path / "loras")
    shutil.copy(base, tmp_path)
    merger = open_merger("weighted_sum", [tmp_path / base.name, lora])
    text = merger.recipe(same_value(merger.space, 0.5)).text
    merger.close()
    path = run_recipe(text, [tmp_path], tmp_path / "again.safetensors", SaveSpec("fp32"))
    for key, tensor in load_file(path).items():
        if tensor.is_floating_point():
            assert near(tensor, maker.result(key, 0.5)), key
    lora.unlink()
    with pytest.raises(CheckpointError, match=r"sd1 lora\.safetensors"):
        run_recipe(text, [tmp_path], tmp_path / "never.safetensors", SaveSpec("fp32"))
    assert not (tmp_path / "never.safetensors").exists()


def test_the_slow_way_gives_the_same(
    checkpoints: Mapping[str, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = checkpoints["sd1"][0]
    maker, lora = sd1_lora(base, tmp_path)
    monkeypatch.setattr("lib_optim.merging.engine.disagreement", lambda *_: "a test says so")
    merger = open_merger("weighted_sum", [base, lora], "sd1", guide("text_encoder"))
    try:
        assert merger.slow
        for key, tensor in merged(merger, 0.5).items():
            assert near(tensor, maker.result(key, 0.5)), key
    finally:
        merger.close()


def test_peft_and_lycoris_names(checkpoints: Mapping[str, list[Path]], tmp_path: Path) -> None:
    base = checkpoints["sd1"][0]
    maker = LoraMaker(base)
    key = f"{UNET}input_blocks.4.1.transformer_blocks.0.attn1.to_v.weight"
    maker.lora("unet_input_blocks_4_1_transformer_blocks_0_attn1_to_v", key, None)
    maker.lora("te_text_model_encoder_layers_0_mlp_fc1", f"{CLIP}0.mlp.fc1.weight", None)
    names = {
        "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_v.lora_up.weight":
            "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_v.lora_B.weight",
        "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_v.lora_down.weight":
            "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_v.lora_A.weight",
        "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight":
            "text_encoder.text_model.encoder.layers.0.mlp.fc1.lora.up.weight",
        "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight":
            "text_encoder.text_model.encoder.layers.0.mlp.fc1.lora.down.weight",
    }  # fmt: skip
    variants = {"peft": names, "lycoris": {name: name.replace("lora_", "lycoris_", 1) for name in names}}
    for variant, renamed in variants.items():
        path = tmp_path / f"{variant}.safetensors"
        save_file({renamed[name]: tensor for name, tensor in maker.tensors.items()}, path)
        merger = open_merger("weighted_sum", [base, path])
        try:
            tensors = merged(merger, 1.0)
            assert all(near(tensors[key], maker.result(key)) for key in maker.deltas), variant
        finally:
            merger.close()


def test_what_cannot_be_used_is_refused_by_name(checkpoints: Mapping[str, list[Path]], tmp_path: Path) -> None:
    base = checkpoints["sd1"][0]
    _, lora = sd1_lora(base, tmp_path)
    key = f"{UNET}input_blocks.4.1.transformer_blocks.0.attn1.to_v.weight"

    def refused(models: list[Path], words: str) -> None:
        with pytest.raises(CheckpointError) as caught:
            open_merger("weighted_sum", models).close()
        assert words in str(caught.value), caught.value
        assert "\n" not in str(caught.value)

    def changed(name: str, **tensors: torch.Tensor) -> Path:
        made = LoraMaker(base).lora(own(key), key)
        made.tensors |= {f"lora_{own(key)}.{end.replace('__', '.')}": tensor for end, tensor in tensors.items()}
        return made.save(tmp_path / f"{name}.safetensors")

    refused([lora, base], "cannot be model A")
    refused([base, changed("dora", dora_scale=torch.ones(4, 1))], "DoRA")
    refused([base, changed("oft", oft_blocks=torch.ones(4, 2, 2))], "OFT")
    refused([base, changed("wide", lora_up__weight=torch.ones(640, 2))], "another size")
    torn = open_merger("weighted_sum", [base, changed("torn", lora_up__weight=torch.ones(8, 1))])
    with pytest.raises(CheckpointError, match="its tensors do not fit each other"):
        merged(torn, 0.5)
    torn.close()
    merger = open_merger("weighted_sum", [base, changed("nan", lora_up__weight=torch.full((8, 2), torch.nan))])
    with pytest.raises(CheckpointError, match=r"nan\.safetensors gives NaN or infinity in"):
        merged(merger, 0.5)
    merger.close()
    _, xl = sdxl_lora(checkpoints["sdxl"][0], tmp_path)
    refused([base, xl], "does not fit sd1 A.safetensors; choose a LoRA that was made for its architecture")
    strange = tmp_path / "strange.safetensors"
    save_file(
        {
            "lora_prior_blocks_0.lora_up.weight": torch.ones(2, 2),
            "lora_prior_blocks_0.lora_down.weight": torch.ones(2, 2),
        },
        strange,
    )
    refused([base, strange], "of no trainer that Optim knows")
