"""Small random networks, saved as the true file formats, to be loaded through the production path."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from lib_optim.scoring.blip import RewardNetwork, Sizes
from lib_optim.scoring.openclip import load_open_clip
from tests.scoring.test_wordpiece import vocabulary

CLIP_MODEL = "optim-test-tiny"
CLIP_CONFIG = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
# As the tiny architecture, in the words of transformers.
_TRANSFORMERS = {
    "vision_config": {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
                      "image_size": 64, "patch_size": 16},
    "text_config": {"hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
                    "vocab_size": 49408, "max_position_embeddings": 77},
    "projection_dim": 32,
}  # fmt: skip
CLIP_NAMES = ("ViT-L-14", "ViT-L-14-336", "ViT-H-14", "ViT-B-16", "ViT-B-32")
REWARD_SIZES = Sizes(
    image=64, vision_width=64, vision_depth=2, vision_heads=4, text_width=48, text_depth=2, text_heads=4,
    text_hidden=96, vocabulary=len(vocabulary()) + 2, positions=64, head=(32, 16, 8, 4),
)  # fmt: skip


def tiny_clip(seed: int = 0) -> torch.nn.Module:
    """Teach open_clip the tiny architecture and return a network of it with random weights."""
    open_clip = load_open_clip()
    # Not by add_model_config, which reads all others anew and so would undo `shrink_clips`.
    sys.modules["open_clip.factory"]._MODEL_CONFIGS[CLIP_MODEL] = CLIP_CONFIG
    torch.manual_seed(seed)
    network = open_clip.create_model(CLIP_MODEL, pretrained=None, device="cpu").eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "embedding" in name:  # as drawn by open_clip these are so small that all prompts look alike
                parameter.mul_(20)
    return network


def shrink_clips(patch: pytest.MonkeyPatch) -> None:
    """Give the architectures that scorers stand on the tiny sizes, under their true names."""
    load_open_clip()
    known = sys.modules["open_clip.factory"]._MODEL_CONFIGS
    for name in CLIP_NAMES:
        patch.setitem(known, name, CLIP_CONFIG)
        if f"{name}-quickgelu" in known:  # of one in open_clip 2.20, of all in 3.x
            patch.setitem(known, f"{name}-quickgelu", {**CLIP_CONFIG, "quick_gelu": True})


def random_transformers_clip(activation: str, seed: int = 0) -> Any:
    """Return transformers' own ``CLIPModel`` of the tiny sizes with random weights."""
    from transformers import CLIPConfig, CLIPModel

    vision, text = ({**_TRANSFORMERS[f"{k}_config"], "hidden_act": activation} for k in ("vision", "text"))
    torch.manual_seed(seed)
    model = CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=32)).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("bias"):
                parameter.copy_(0.1 * noise)
            elif "norm" in name or "layrnorm" in name:
                parameter.copy_(1 + 0.1 * noise)
            elif parameter.dim() >= 2:
                parameter.copy_(noise * (0.5 if "embedding" in name else parameter[0].numel() ** -0.5))
        model.logit_scale.fill_(4.6)
    return model


def save_transformers_clip(path: Path, activation: str = "quick_gelu", seed: int = 0) -> Any:
    """Write the weights of `random_transformers_clip` as transformers writes them; return the model."""
    model = random_transformers_clip(activation, seed)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:  # older files have these buffers, too
        tensors["vision_model.embeddings.position_ids"] = torch.arange(17)[None]
        tensors["text_model.embeddings.position_ids"] = torch.arange(77)[None]
        torch.save(tensors, path)
    return model


def random_head(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, torch.Tensor]:
    """Return random tensors of these shapes that keep activations at their size."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes.items():
        noise = torch.randn(shape, generator=generator)
        if name.endswith("num_batches_tracked"):
            tensors[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            tensors[name] = 1 + 0.3 * noise.abs()
        else:
            tensors[name] = noise / shape[1] ** 0.5 if len(shape) == 2 else 0.3 * noise
    if "layers.18.bias" in tensors:  # waifu-scorer's last, whose output is cut to 0 … 10
        tensors["layers.18.bias"] += 5
    return tensors


def save_reward(folder: Path, tensors: dict[str, torch.Tensor] | None = None, seed: int = 0) -> dict[str, torch.Tensor]:
    """Write ImageReward.pt and vocab.txt of `REWARD_SIZES` into `folder`; random weights unless given."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary()) + "\n", encoding="utf-8")
    if tensors is None:
        tensors = random_reward(seed)
    torch.save(tensors, folder / "ImageReward.pt")
    return tensors


def random_reward(seed: int = 0) -> dict[str, torch.Tensor]:
    """Return random weights of `REWARD_SIZES` with what the published file has on top."""
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, Any] = {}
    for name, like in RewardNetwork(REWARD_SIZES).state_dict().items():
        noise = torch.randn(like.shape, generator=generator)
        if name.endswith("bias"):
            tensors[name] = 0.1 * noise
        elif "norm" in name.lower():
            tensors[name] = 1 + 0.1 * noise
        elif like.dim() >= 2 and "embed" not in name and "token" not in name:
            tensors[name] = noise / like[0].numel() ** 0.5
        else:
            tensors[name] = 0.5 * noise
    width, text = REWARD_SIZES.vision_width, REWARD_SIZES.text_width
    for tower, size in (("vision", width), ("text", text)):
        tensors[f"blip.{tower}_proj.weight"] = torch.randn(256, size, generator=generator)
        tensors[f"blip.{tower}_proj.bias"] = torch.zeros(256)
    tensors["blip.text_encoder.embeddings.position_ids"] = torch.arange(REWARD_SIZES.positions)[None]
    return tensors
