"""The vision transformers against those of transformers, on small random weights saved as their own files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.vit import Sizes, VisionTransformer, own_names
from lib_optim.scoring.vit_files import load_network, missing_files, read_preparation
from tests.scoring.pictures import scene

SMALL: dict[str, Any] = {
    "image_size": 32, "patch_size": 8, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3,
    "intermediate_size": 40,
}  # fmt: skip


def shaken(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Give every weight, also those that begin as 0 or 1, a random one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


def vit(folder: Path, labels: tuple[str, ...] = ("hq", "lq"), seed: int = 0, **more: Any) -> Any:
    config = transformers.ViTConfig(**{**SMALL, "id2label": dict(enumerate(labels)), **more})
    model = shaken(transformers.ViTForImageClassification(config), seed)
    model.save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}, image_mean=[0.65, 0.6, 0.61]).save_pretrained(
        folder
    )
    return model


def beit(folder: Path, labels: tuple[str, ...] = ("not_aesthetic", "aesthetic"), seed: int = 0, **more: Any) -> Any:
    settings = {**SMALL, "use_relative_position_bias": True, "layer_scale_init_value": 0.1}
    config = transformers.BeitConfig(**{**settings, "id2label": dict(enumerate(labels)), **more})
    model = shaken(transformers.BeitForImageClassification(config), seed)
    model.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    transformers.BeitImageProcessor(size=size, do_center_crop=False).save_pretrained(folder)
    return model


def dinov2(folder: Path, seed: int = 0, **more: Any) -> Any:
    settings = {**SMALL, "image_size": 40, "mlp_ratio": 2, **more}
    settings.pop("intermediate_size")
    model = shaken(transformers.Dinov2Model(transformers.Dinov2Config(**settings)), seed)
    model.save_pretrained(folder)
    crop = {"height": 32, "width": 32}
    transformers.BitImageProcessor(size={"shortest_edge": 36}, crop_size=crop).save_pretrained(folder)
    return model


def edit(path: Path, **changes: Any) -> None:
    data = json.loads(path.read_text())
    data.update(changes)
    path.write_text(json.dumps({name: value for name, value in data.items() if value != "gone"}))


@pytest.mark.parametrize(
    ("make", "more"),
    [
        (vit, {}),
        (vit, {"qkv_bias": False, "layer_norm_eps": 1e-6}),
        (beit, {}),
        (beit, {"use_relative_position_bias": False, "use_absolute_position_embeddings": True}),
        (beit, {"use_mean_pooling": False, "layer_scale_init_value": 0.0}),
        (beit, {"use_mask_token": True}),
    ],
)
def test_classifiers_are_those_of_transformers(make: Any, more: dict[str, Any], tmp_path: Path) -> None:
    original = make(tmp_path, **more)
    network, labels = load_network(tmp_path, "Test")
    assert labels == tuple(original.config.id2label.values())
    pixels = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        ours, theirs = network(pixels), original(pixels).logits
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() < 1e-5
    assert theirs.std() > 0.01, "the answers differ, so that the comparison says something"


@pytest.mark.parametrize("make", [dinov2, vit])
@pytest.mark.parametrize("side", [32, 40])
def test_embeddings_are_those_of_transformers(make: Any, side: int, tmp_path: Path) -> None:
    original = make(tmp_path)
    network, labels = load_network(tmp_path, "Test", embedding=True)
    assert labels == ()
    pixels = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        body = getattr(original, "vit", original)
        more = {"interpolate_pos_encoding": True} if body is not original else {}
        theirs = body(pixels, **more).last_hidden_state[:, 0]
        assert (network(pixels) - theirs).abs().max() < 1e-5
    assert theirs.std() > 0.01


@pytest.mark.parametrize("make", [vit, beit, dinov2])
@pytest.mark.parametrize("size", [(32, 32), (64, 64), (50, 33), (31, 77)])
def test_pictures_are_prepared_as_by_transformers(make: Any, size: tuple[int, int], tmp_path: Path) -> None:
    make(tmp_path)
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    image = scene(*size)
    ours = read_preparation(tmp_path, "Test").pixels(image, "image 1")
    theirs = processor(images=image, return_tensors="np")["pixel_values"][0]
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-5


def test_the_old_way_of_writing_the_preparation(tmp_path: Path) -> None:
    vit(tmp_path)
    old = {
        "do_normalize": True,
        "do_resize": True,
        "size": 32,
        "resample": 2,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(old))
    found = read_preparation(tmp_path, "Test")
    assert (found.shorter, found.side, found.resample, found.factor) == (None, 32, 2, 1 / 255)
    assert found.pixels(Image.new("L", (3, 2), 255), "").tolist() == np.ones((3, 32, 32)).tolist()


def test_names_and_shapes_at_full_size() -> None:
    """ViT-L of 1024 pixels, and a block of BEiT-B."""
    with torch.device("meta"):
        config = transformers.ViTConfig(
            image_size=1024, hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096
        )
        large = transformers.ViTForImageClassification(config).state_dict()
        sizes = Sizes(image=1024, width=1024, depth=24, heads=16, hidden=4096, classes=2)
        ours = VisionTransformer(sizes).state_dict()
    assert {name: t.shape for name, t in own_names(large).items()} == {name: t.shape for name, t in ours.items()}
    small = transformers.BeitConfig(use_relative_position_bias=True, num_hidden_layers=1, use_mask_token=False)
    base = transformers.BeitForImageClassification(small).state_dict()
    with torch.device("meta"):
        sizes = Sizes(depth=1, positions=False, key_bias=False, scales=True, relative=True, mean=True, classes=2)
        ours = VisionTransformer(sizes).state_dict()
    assert {name: t.shape for name, t in own_names(base).items()} == {name: t.shape for name, t in ours.items()}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "swin"}, "is of a network of the type swin; Optim knows vit, beit, dinov2."),
        ({"hidden_act": "relu"}, "asks for hidden_act, which Optim does not know."),
        ({"hidden_size": "gone"}, "does not say 'hidden_size'; get it again with its model."),
        ({"hidden_size": "wide"}, "can't be used (invalid literal for int()"),
        ({"num_hidden_layers": 4}, "model.safetensors lacks 'blocks.3."),
        ({"num_hidden_layers": 2}, "model.safetensors has the unknown 'blocks.2."),
        ({"intermediate_size": 41}, "model.safetensors has another shape for 'blocks.0.wide."),
        ({"id2label": "gone"}, "names no classes (id2label); it is not that of a classifier."),
        ({"id2label": {"0": "a", "2": "b"}}, "names no classes"),
        ({"id2label": {"0": "a", "1": "b", "2": "c"}}, "has another shape for 'classifier."),
    ],
)
def test_a_folder_of_something_else_has_its_sentence(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    vit(tmp_path)
    edit(tmp_path / "config.json", **changes)
    with pytest.raises(ScorerError) as caught:
        load_network(tmp_path, "Test")
    assert words in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": "gone"}, "it does not say 'size'"),
        ({"image_mean": [0.5]}, "mean and deviation are not of three channels"),
        ({"image_std": [0, 1, 1]}, "mean and deviation are not of three channels"),
        ({"do_rescale": False}, "a picture is not resized, rescaled and normalised"),
        ({"size": {"height": 32, "width": 64}}, "its input is 64 × 32, which is no square"),
        ({"size": {"shortest_edge": 32}}, "pictures that keep their shape are not cropped"),
        ({"size": 10**6}, "an input of 1000000 pixels is out of range"),
        ({"resample": 77}, "77 is not a valid Resampling"),
        ({"resample": "gone"}, "it does not say 'resample'"),
    ],
)
def test_a_preparation_that_is_unknown_is_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    vit(tmp_path)
    edit(tmp_path / "preprocessor_config.json", **changes)
    with pytest.raises(ScorerError) as caught:
        read_preparation(tmp_path, "Test")
    assert words in str(caught.value), str(caught.value)


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    assert missing_files(tmp_path) == ["config.json", "preprocessor_config.json", "model.safetensors"]
    vit(tmp_path)
    assert missing_files(tmp_path) == []
    for name, load in (("config.json", load_network), ("preprocessor_config.json", read_preparation)):
        text = (tmp_path / name).read_text()
        for bad in ("", "{", "[]", "[" * 100_000):
            (tmp_path / name).write_text(bad)
            with pytest.raises(ScorerError, match=name):
                load(tmp_path, "Test")
        (tmp_path / name).unlink()
        with pytest.raises(ScorerError, match=f"Test needs {name} of its model in "):
            load(tmp_path, "Test")
        (tmp_path / name).write_text(text)
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ScorerError, match="damaged or no file of weights"):
        load_network(tmp_path, "Test")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ScorerError, match=r"Test needs model\.safetensors or pytorch_model\.bin"):
        load_network(tmp_path, "Test")
