from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.clip.layouts import EXTRAS, from_transformers, network_tensors, read_weights
from lib_optim.scoring.openclip import build_network, load_open_clip, materialise
from lib_optim.scoring.state_dicts import fill
from tests.scoring.small_models import random_transformers_clip, shrink_clips

# What the published config.json files say: image, patch, widths, layers, heads of both towers, projection.
PUBLISHED = {
    "ViT-B-32": (224, 32, 768, 12, 12, 512, 12, 8, 512),
    "ViT-B-16": (224, 16, 768, 12, 12, 512, 12, 8, 512),
    "ViT-L-14": (224, 14, 1024, 24, 16, 768, 12, 12, 768),
    "ViT-L-14-336": (336, 14, 1024, 24, 16, 768, 12, 12, 768),
    "ViT-H-14": (224, 14, 1280, 32, 16, 1024, 24, 16, 1024),
}


@pytest.mark.parametrize("activation", ["gelu", "quick_gelu"])
def test_transformers_layout_computes_what_transformers_computes(
    activation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_clips(monkeypatch)
    theirs = random_transformers_clip(activation)
    ours = build_network("ViT-L-14-quickgelu" if activation == "quick_gelu" else "ViT-L-14", empty=True)
    fill(ours, network_tensors(theirs.state_dict(), ours), EXTRAS, "x", Path("x"))
    assert materialise(ours)
    pixels = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    ids = load_open_clip().get_tokenizer("ViT-L-14")(["a cat", "", "a dog on a mat, " * 200])
    with torch.no_grad():
        torch.testing.assert_close(ours.encode_image(pixels), theirs.get_image_features(pixels), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(ours.encode_text(ids), theirs.get_text_features(ids), atol=1e-5, rtol=1e-4)
    assert float(ours.logit_scale) == float(theirs.logit_scale.detach())


def test_activations_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_clips(monkeypatch)
    tensors = random_transformers_clip("gelu").state_dict()
    pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    seen = []
    for name in ("ViT-L-14", "ViT-L-14-quickgelu"):
        network = fill(build_network(name), from_transformers(tensors), EXTRAS, "x", Path("x"))
        with torch.no_grad():
            seen.append(network.encode_image(pixels))
    assert not torch.allclose(*seen, atol=1e-3)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_tensor_of_the_published_layout_has_its_place(name: str) -> None:
    """Full size, without memory: transformers' names and shapes become exactly open_clip's."""
    from transformers import CLIPConfig, CLIPModel

    image, patch, wide, layers, heads, text_wide, text_layers, text_heads, projection = PUBLISHED[name]
    vision = {"image_size": image, "patch_size": patch, "hidden_size": wide, "intermediate_size": 4 * wide,
              "num_hidden_layers": layers, "num_attention_heads": heads}  # fmt: skip
    text = {"hidden_size": text_wide, "intermediate_size": 4 * text_wide, "num_hidden_layers": text_layers,
            "num_attention_heads": text_heads}  # fmt: skip
    with torch.device("meta"):
        theirs = CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=projection))
    got = {n: tuple(t.shape) for n, t in from_transformers(theirs.state_dict()).items()}
    assert got == {n: tuple(t.shape) for n, t in build_network(f"{name}-quickgelu", empty=True).state_dict().items()}


def test_an_empty_network_becomes_the_same_as_a_full_one(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_clips(monkeypatch)
    full = build_network("ViT-H-14")
    empty = build_network("ViT-H-14", empty=True)
    assert not materialise(empty)
    fill(empty, full.state_dict(), EXTRAS, "x", Path("x"))
    assert materialise(empty)
    assert {n for n, _ in full.named_buffers()} == {n for n, _ in empty.named_buffers()}
    for (name, one), (_, other) in zip(full.named_buffers(), empty.named_buffers(), strict=True):
        assert torch.equal(one, other), name


def test_a_block_without_its_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_clips(monkeypatch)
    tensors = random_transformers_clip("gelu").state_dict()
    del tensors["text_model.encoder.layers.1.self_attn.k_proj.bias"]
    network = build_network("ViT-L-14", empty=True)
    with pytest.raises(ScorerError, match=r"lacks 'transformer\.resblocks\.1\.attn\.in_proj_bias'"):
        fill(network, network_tensors(tensors, network), EXTRAS, "x", Path("x"))


class _Anything:
    pass


def test_files_that_would_be_run_are_refused_and_the_safe_one_is_named(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "ViT-L-14.pt"))
    torch.save({"weight": torch.zeros(1), "x": _Anything()}, tmp_path / "head.pth")
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({}))
    for name, words in (
        ("ViT-L-14.pt", "TorchScript program, which is not run here"),
        ("head.pth", "holds more than tensors"),
        ("model.pkl", "is a pickle, which could run anything"),
    ):
        with pytest.raises(ScorerError, match=rf"^T: {name} .*{words}.*; take the safe one instead\.$"):
            read_weights(tmp_path / name, "T", "the safe one")


def test_damaged_and_foreign_files(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"\x08" + bytes(7) + b"not json")
    (tmp_path / "b.pt").write_bytes(b"")
    (tmp_path / "c.bin").write_text("<html>404</html>")
    torch.save([1, 2], tmp_path / "d.pth")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(ScorerError, match=r"^T: [^\n]+\.$"):
            read_weights(path, "T", "the safe one")
    save_file({"weight": torch.zeros(1)}, tmp_path / "e.safetensors")
    assert list(read_weights(tmp_path / "e.safetensors", "T", "x")) == ["weight"]
