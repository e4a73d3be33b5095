"""What is said about the models before Start: which refusals, which warnings, which notes; nothing is touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from lib_optim.plan.run_plan import ModelRef, SaveSpec
from lib_optim.run.check import PlanCheck
from tests.checkpoints import make_checkpoint
from tests.loras import LoraMaker
from tests.merging.test_architectures import tiny
from tests.rig import TEXT, UNET, Rig

Tensors = dict[str, torch.Tensor]
FIRST = "model.diffusion_model.input_blocks.0.0.weight"
KEY = "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight"
POSITIONS = "cond_stage_model.transformer.text_model.embeddings.position_ids"


@pytest.fixture(scope="module")
def rig(demo_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Rig:
    return Rig(tmp_path_factory.mktemp("notes"), demo_models)


def variant(rig: Rig, name: str, change: Callable[[Tensors], Any], demo: str = "b", **metadata: str) -> Path:
    """A copy of a demo model, changed; made once."""
    path = rig.models / f"{name}.safetensors"
    if not path.exists():
        tensors = load_file(rig.models / f"demo-{demo}.safetensors")
        change(tensors)
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path, metadata)
    return path


def check(rig: Rig, a: Path | None, b: Path, **changes: Any) -> PlanCheck:
    base = a or rig.models / "demo-a.safetensors"
    before = {path: path.stat().st_mtime_ns for path in rig.models.iterdir()}
    rig.checkpoint(base.stem)  # have the host look again
    result = rig.manager.check(rig.plan(models=(ModelRef(str(base)), ModelRef(str(b))), **changes))
    assert {path: path.stat().st_mtime_ns for path in rig.models.iterdir()} == before
    for sentence in (*result.warnings, *result.notes, *(problem.sentence for problem in result.problems)):
        assert sentence.endswith("."), sentence
        assert "\n" not in sentence
    return result


def test_two_plain_models_need_no_words(rig: Rig) -> None:
    result = check(rig, None, rig.models / "demo-b.safetensors")
    assert (result.problems, result.warnings, result.notes) == ((), (), ())


def add(**tensors: torch.Tensor) -> Callable[[Tensors], Any]:
    return lambda content: content.update(tensors)


def without(prefix: str) -> Callable[[Tensors], Any]:
    def change(content: Tensors) -> None:
        for key in [key for key in content if key.startswith(prefix)]:
            del content[key]

    return change


def as_dtype(dtype: torch.dtype) -> Callable[[Tensors], Any]:
    return lambda content: content.update(
        {key: t.to(dtype) for key, t in content.items() if t.is_floating_point() and t.dim()}
    )


WARNINGS: dict[str, tuple[Callable[[Tensors], Any], str]] = {
    "no text encoder": (without("cond_stage_model."), "holds no text encoder; there the merge keeps that of A"),
    "v": (add(v_pred=torch.tensor([])), "predicts velocity and A predicts noise"),
    "zsnr": (add(ztsnr=torch.tensor([])), "Only B was trained to zero terminal noise (ztsnr)"),
    "fp8": (as_dtype(torch.float8_e4m3fn), "B stores its weights as fp8 (e4m3)"),
    "lacking": (lambda content: content.pop(KEY), "lacks 1 of the merged tensors"),
}
NOTES: dict[str, tuple[Callable[[Tensors], Any], str]] = {
    "ema": (add(**{"model_ema.diffusion_modelout0weight": torch.zeros(2)}), "B (ema.safetensors) holds EMA copies"),
    "bf16": (
        as_dtype(torch.bfloat16),
        "differ in precision (A fp16, B bf16); the merge computes in fp32",
    ),
    "positions": (add(**{POSITIONS: torch.arange(77.0)[None]}), "stores CLIP's position ids as fractions"),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_warnings(rig: Rig, case: str) -> None:
    change, words = WARNINGS[case]
    result = check(rig, None, variant(rig, case, change))
    assert not result.problems
    assert any(words in sentence for sentence in result.warnings), result.warnings


@pytest.mark.parametrize("case", NOTES)
def test_notes(rig: Rig, case: str) -> None:
    change, words = NOTES[case]
    result = check(rig, None, variant(rig, case, change))
    assert not result.problems
    assert not result.warnings
    assert any(words in sentence for sentence in result.notes), result.notes


def test_of_model_a_the_fate_in_the_saved_file_is_said(rig: Rig) -> None:
    marked = variant(
        rig, "marked-a",
        add(**{"v_pred": torch.tensor([]), "model_ema.decay": torch.ones(1), "alphas_cumprod": torch.ones(1000)}), "a",
    )  # fmt: skip
    b = variant(rig, "v-b", lambda c: [c.update(v_pred=torch.tensor([])), c.pop("alphas_cumprod", None)])
    notes = check(rig, marked, b).notes
    assert any("A predicts velocity; its marks (v_pred) are kept in the saved file" in note for note in notes)
    assert any("they stay in the saved file as they are; save it pruned" in note for note in notes)
    assert any(note.startswith("Pruned") and "A's is kept" in note for note in notes)
    pruned = check(rig, marked, b, save=SaveSpec(checkpoint=False, pruned=True)).notes
    assert any("they are left out of the saved file" in note for note in pruned)


REFUSED: dict[str, tuple[Callable[[Tensors], Any], str]] = {
    "inpainting": (lambda c: c.update({FIRST: c[FIRST].repeat(1, 3, 1, 1)[:, :9]}), "is an inpainting model (9"),
    "wide": (lambda c: c.update({KEY: c[KEY].repeat(2, 1)}), "differ in the shape of"),
    "scaled": (add(scaled_fp8=torch.zeros(2).to(torch.float8_e4m3fn)), "is quantised (scaled fp8)"),
    "nf4": (add(**{f"{KEY}.quant_state.bitsandbytes__nf4": torch.zeros(2).byte()}), "is quantised (nf4 (4 bits))"),
    "int8": (lambda c: c.update({KEY: c[KEY].to(torch.int8)}), "is quantised (8-bit whole numbers)"),
    "text only": (lambda c: [c.pop(k) for k in list(c) if not k.startswith("cond_")], "holds only the text encoder"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(rig: Rig, case: str) -> None:
    change, words = REFUSED[case]
    path = variant(rig, case, change)
    (problem,) = check(rig, None, path).problems
    assert problem.where == "models[1]"
    assert words in problem.sentence
    assert path.name in problem.sentence


def test_an_inpainting_model_serves_where_its_first_block_is_left_out(rig: Rig) -> None:
    path = variant(rig, "inpainting", REFUSED["inpainting"][0])
    rest = Strategy("select", tuple(f"OUT{i:02d}" for i in range(12)))
    assert not check(rig, None, path, guide=Guide((ComponentGuide("unet", (rest,)),))).problems
    (problem,) = check(rig, path, rig.models / "demo-b.safetensors").problems
    assert "which needs a picture to start from" in problem.sentence


def test_gguf(rig: Rig) -> None:
    path = rig.models / "model.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    (problem,) = check(rig, None, path).problems
    assert "model.gguf is quantised (GGUF)" in problem.sentence
    path.unlink()


def lora(rig: Rig, name: str) -> Path:
    maker = LoraMaker(rig.models / "demo-a.safetensors")
    maker.lora("unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q", KEY)
    text = "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight"
    maker.lora("te_text_model_encoder_layers_0_mlp_fc1", text)
    if name == "stray":
        maker.tensors["lora_unet_extra_block.diff"] = torch.zeros(2)
    return maker.save(rig.models / f"{name}.safetensors")


def test_loras(rig: Rig) -> None:
    fitting = lora(rig, "style")
    result = check(rig, None, fitting)
    assert not result.problems
    assert not result.warnings
    assert "B (style.safetensors) is a LoRA" in result.notes[0]
    assert "It changes 2 of the merged tensors" in result.notes[0]
    (warning,) = check(rig, None, fitting, guide=Guide((UNET,))).warnings
    assert "also changes the text encoder, which is not merged here" in warning
    (warning,) = check(rig, None, lora(rig, "stray"), guide=Guide((TEXT, UNET))).warnings
    assert "1 of the 3 modules" in warning
    (problem,) = check(rig, fitting, rig.models / "demo-b.safetensors").problems
    assert problem.where == "models[0]"
    assert "cannot be model A" in problem.sentence
    xl = make_checkpoint(rig.models / "big.safetensors", "sdxl")
    problems = check(rig, xl, fitting).problems
    assert any("does not fit big.safetensors" in problem.sentence for problem in problems), problems


def test_a_run_with_a_lora(make_rig: Callable[..., Rig]) -> None:
    """From Start to the saved checkpoint; the host's model is as it was."""
    rig = make_rig()
    rig.host.choose(rig.checkpoint("demo-a"))
    path = lora(rig, "style")
    models = (ModelRef(str(rig.models / "demo-a.safetensors")), ModelRef(str(path)))
    snapshot = rig.run(rig.plan(models=models, save=SaveSpec("fp32")))
    assert [trial["state"] for trial in snapshot["trials"]] == ["complete"] * 2
    (saved,) = snapshot["saved"][:1]
    file = next(f for f in (rig.models / "optim").rglob("*.safetensors"))
    assert str(file) in str(saved) or file.exists()
    before, after = load_file(rig.models / "demo-a.safetensors"), load_file(file)
    changed = {key for key, tensor in after.items() if not torch.equal(tensor.float(), before[key].float())}
    assert changed == {KEY, "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight"}
    assert rig.has_originals()


def test_nan_weights_end_the_run_with_the_model_untouched(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    rig.host.choose(rig.checkpoint("demo-a"))
    sick = variant(rig, "sick", lambda c: c.update({KEY: torch.full_like(c[KEY], torch.nan)}))
    rig.manager.start(rig.plan(models=(ModelRef(str(rig.models / "demo-a.safetensors")), ModelRef(str(sick)))))
    snapshot = rig.until_state("paused")  # as after any five failures in a row
    rig.manager.stop()
    rig.end(errors=None)
    assert "holds NaN or infinity" in str(snapshot["errors"]) + snapshot["sentence"]
    assert "sick.safetensors" in str(snapshot["errors"]) + snapshot["sentence"]
    assert rig.has_originals()


@pytest.mark.parametrize(
    ("name", "title"), [("sd2", "Stable Diffusion 2.x"), ("sd3", "Stable Diffusion 3"), ("flux", "Flux")]
)
def test_what_this_host_cannot_load_is_refused_by_name(rig: Rig, name: str, title: str) -> None:
    models = [tiny(rig.models, name, seed) for seed in (1, 2)]
    (problem,) = check(rig, *models).problems
    assert f"is {title}, which Optim cannot merge in Optim standalone yet" in problem.sentence
    for path in models:
        path.unlink()
