"""Block weights found in the metadata of merged checkpoints and in the infotext of images."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import save_file

from lib_optim.plan.blocks import block_map
from lib_optim.plan.errors import CheckpointError, PlanError
from lib_optim.plan.run_plan import DiskSpec
from lib_optim.plan.weight_names import main_blocks
from lib_optim.run.pictures import encoded
from lib_optim.run.weight_files import weights_of_checkpoint, weights_of_image

SD1, SDXL = block_map("sd1"), block_map("sdxl")
UNET = [round(i / 100, 2) for i in range(25)]
FULL = dict(zip(main_blocks(SD1), [0.7, *UNET], strict=True))
SUPERMERGER = {
    "type": "sd-webui-supermerger", "weights_alpha": UNET, "weights_beta": None, "base_alpha": 0.7, "base_beta": None,
    "mode": "Weight sum", "mbw": True, "elemental_merge": "", "calcmode": "normal",
}  # fmt: skip


def checkpoint(folder: Path, **metadata: Any) -> Path:
    path = folder / "merged.safetensors"
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
    save_file({"x": torch.zeros(1)}, path, texts)
    return path


def png(infotext: str | None, size: int = 64) -> bytes:
    info = PngInfo()
    if infotext is not None:
        info.add_text("parameters", infotext)
    buffer = io.BytesIO()
    Image.effect_noise((size, size), 90).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def test_supermerger(tmp_path: Path) -> None:
    found = weights_of_checkpoint(checkpoint(tmp_path, sd_merge_recipe=SUPERMERGER), SD1)
    assert found.weights == FULL
    assert found.form.endswith("noted by supermerger")
    plain = {**SUPERMERGER, "mbw": False, "weights_alpha": None}
    assert set(weights_of_checkpoint(checkpoint(tmp_path, sd_merge_recipe=plain), SD1).weights.values()) == {0.7}
    long = {**SUPERMERGER, "weights_alpha": [*UNET[:19], 0]}
    found = weights_of_checkpoint(checkpoint(tmp_path, sd_merge_recipe=long), SDXL)
    assert found.weights == dict(zip(main_blocks(SDXL), [0.7, *UNET[:19]], strict=True))


def test_model_mixer(tmp_path: Path) -> None:
    rows = [",".join(map(str, [0.7, *UNET])), [0.1] * 26]
    recipe = {"type": "sd-webui-model-mixer", "weights_alpha": rows, "alpha": [0.5, 0.5], "mode": ["Sum", "Sum"]}
    found = weights_of_checkpoint(checkpoint(tmp_path, sd_merge_recipe=recipe), SD1)
    assert found.weights == FULL
    assert found.notes[-1] == "The merge had 2 more models; these are the weights of model B."
    recipe = {"type": "sd-webui-model-mixer", "weights_alpha": [""], "alpha": [0.3]}
    assert set(weights_of_checkpoint(checkpoint(tmp_path, sd_merge_recipe=recipe), SD1).weights.values()) == {0.3}


@pytest.mark.parametrize("key", ["sd_mbwrt_recipe", "sd_mbwrt_receipe"])
def test_auto_mbw(key: str, tmp_path: Path) -> None:
    recipe = {
        "type": "auto-mbw-rt", "modelA": "a", "modelB": "b", "position_id_fix": "Keep Original",
        "mbwrt_weights": ",".join(map(str, [*UNET, 0.8, 0.9])),
        "mbwrt_weights_seq": "[*sl_INPUT, *sl_MID, *sl_OUTPUT, sl_OUT, sl_TIME_EMBED]",
    }  # fmt: skip
    found = weights_of_checkpoint(checkpoint(tmp_path, **{key: recipe}), SD1)
    expected = {name: value for name, value in FULL.items() if name != "BASE"}
    assert found.weights == {**expected, "TIME": 0.9, "FINAL": 0.8}


def test_our_own(tmp_path: Path) -> None:
    table = {"BASE": 0.5, "IN00": 1.0, "TIME": 0.25}
    recipe = {"type": "optim", "values": {"alpha": table, "k": {"IN00": 3}}}
    assert weights_of_checkpoint(checkpoint(tmp_path, sd_merge_recipe=recipe), SD1).weights == table
    bad = {"type": "optim", "values": {"alpha": {"OUT11": 1}}}
    with pytest.raises(PlanError, match="no block OUT11 here"):
        weights_of_checkpoint(checkpoint(tmp_path, sd_merge_recipe=bad), SDXL)


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({}, "says nothing of block weights"),
        ({"sd_merge_recipe": "{broken"}, "says nothing of block weights"),
        ({"sd_merge_recipe": {"type": "webui"}}, "merged by 'webui', which notes no block weights"),
        ({"sd_merge_recipe": {"type": "optim", "values": {}}}, "a method that has no block weights"),
        ({"sd_mbwrt_recipe": {"mbwrt_weights": "0,1"}}, "2 numbers cannot be used for SD1"),
        ({"sd_merge_recipe": {**SUPERMERGER, "weights_alpha": None}}, "Nothing is pasted"),
    ],
)
def test_a_checkpoint_without_weights(metadata: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=sentence):
        weights_of_checkpoint(checkpoint(tmp_path, **metadata), SD1)


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        weights_of_checkpoint(tmp_path / "none.safetensors", SD1)


def test_a_png_or_jpeg_of_model_mixer_even_its_beginning_alone() -> None:
    text = ",".join(map(str, [0.7, *UNET]))
    infotext = f'a cat\nSteps: 20, ModelMixer model b: x, ModelMixer alpha b: 0.5, ModelMixer mbw weights b: "{text}"'
    data = png(infotext, 512)
    assert weights_of_image(data, SD1).weights == FULL
    assert weights_of_image(data[:4096], SD1).weights == FULL
    assert set(weights_of_image(png("x\nSteps: 1, ModelMixer alpha b: 0.5"), SD1).weights.values()) == {0.5}
    small = encoded(Image.effect_noise((512, 512), 90), infotext, DiskSpec(format="jpeg"))
    assert len(small) > 50_000
    assert weights_of_image(small[:4096], SD1).weights == FULL


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"GIF nonsense", "is no image that can be read"),
        (png(None), "holds no infotext"),
        (png("a cat\nSteps: 20"), "infotext holds no block weights"),
        (png("a cat\nSteps: 20, Optim trial: 2026-01-01-x 12, Optim recipe: ab"), "trial 12 of the run 2026-01-01-x"),
    ],
)
def test_an_image_without_weights(data: bytes, sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        weights_of_image(data, SD1)
