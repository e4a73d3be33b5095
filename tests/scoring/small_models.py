"""Small random networks, saved as the true file formats, to be loaded through the production path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from lib_optim.scoring.blip import RewardNetwork, Sizes
from lib_optim.scoring.openclip import load_open_clip
from tests.scoring.test_wordpiece import vocabulary

CLIP_MODEL = "optim-test-tiny"
CLIP_CONFIG = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
REWARD_SIZES = Sizes(
    image=64, vision_width=64, vision_depth=2, vision_heads=4, text_width=48, text_depth=2, text_heads=4,
    text_hidden=96, vocabulary=len(vocabulary()) + 2, positions=64, head=(32, 16, 8, 4),
)  # fmt: skip


def tiny_clip(folder: Path, seed: int = 0) -> torch.nn.Module:
    """Teach open_clip the tiny architecture and return a network of it with random weights."""
    open_clip = load_open_clip()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{CLIP_MODEL}.json"
    path.write_text(json.dumps(CLIP_CONFIG))
    open_clip.add_model_config(path)
    torch.manual_seed(seed)
    network = open_clip.create_model(CLIP_MODEL, pretrained=None, device="cpu").eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "embedding" in name:  # as drawn by open_clip these are so small that all prompts look alike
                parameter.mul_(20)
    return network


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
