"""The original ImageReward network from image-reward 1.5, without what its package wants to import.

Two of its files are loaded by path, `models/BLIP/med.py` and `vit.py`, with stand-ins for timm and fairscale that
are there during that load only. Everything that computes is theirs; timm's PatchEmbed, which ImageReward uses
through vit.py, is a convolution, and drop path does nothing outside of training.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lib_optim.scoring.blip import Sizes


class _PatchEmbed(nn.Module):
    def __init__(self, img_size: int, patch_size: int, in_chans: int, embed_dim: int) -> None:
        super().__init__()
        self.num_patches = (img_size // patch_size) ** 2
        self.proj = nn.Conv2d(in_chans, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


def _file(name: str) -> Path:
    spec = importlib.util.find_spec("ImageReward")
    if spec is None or spec.origin is None:
        pytest.skip("image-reward 1.5 is not installed in this environment")
    return Path(spec.origin).parent / "models" / "BLIP" / name


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    from transformers import modeling_utils, pytorch_utils

    nothing = lambda *args, **kwargs: None  # noqa: E731
    content: dict[str, dict[str, Any]] = {
        "timm": {},
        "timm.models": {},
        "timm.models.vision_transformer": {"_cfg": nothing, "PatchEmbed": _PatchEmbed},
        "timm.models.registry": {"register_model": nothing},
        "timm.models.layers": {"trunc_normal_": nothing, "DropPath": lambda p: nn.Identity()},
        "timm.models.helpers": {"named_apply": nothing, "adapt_input_conv": nothing},
        "fairscale": {},
        "fairscale.nn": {},
        "fairscale.nn.checkpoint": {},
        "fairscale.nn.checkpoint.checkpoint_activations": {"checkpoint_wrapper": nothing},
    }
    before = {name: sys.modules.get(name) for name in content}
    moved = ("apply_chunking_to_forward", "find_pruneable_heads_and_indices", "prune_linear_layer")
    lent = [name for name in moved if not hasattr(modeling_utils, name)]
    for name, members in content.items():
        module = types.ModuleType(name)
        module.__dict__.update(members, __path__=[])
        sys.modules[name] = module
    for name in lent:
        setattr(modeling_utils, name, getattr(pytorch_utils, name))
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
        for name in lent:
            delattr(modeling_utils, name)


def _load(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(f"original_{name}", _file(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Original(nn.Module):
    """`ImageReward.ImageReward`, put together from its own parts as its constructor and `score` do."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.positions = sizes.positions
        with _stand_ins():
            vit, med = _load("vit"), _load("med")
        self.blip = nn.Module()
        self.blip.visual_encoder = vit.VisionTransformer(
            img_size=sizes.image, patch_size=sizes.patch, embed_dim=sizes.vision_width, depth=sizes.vision_depth,
            num_heads=sizes.vision_heads, use_grad_checkpointing=False, ckpt_layer=0, drop_path_rate=0.1,
        )  # fmt: skip
        # med_config.json of THUDM/ImageReward, sizes apart.
        config = med.BertConfig(
            hidden_size=sizes.text_width, num_hidden_layers=sizes.text_depth, num_attention_heads=sizes.text_heads,
            intermediate_size=sizes.text_hidden, vocab_size=sizes.vocabulary, max_position_embeddings=sizes.positions,
            hidden_act="gelu", layer_norm_eps=1e-12, type_vocab_size=2, pad_token_id=0, add_cross_attention=True,
            encoder_width=sizes.vision_width,
        )  # fmt: skip
        self.blip.text_encoder = med.BertModel(config=config, add_pooling_layer=False)
        self.blip.vision_proj = nn.Linear(sizes.vision_width, 256)
        self.blip.text_proj = nn.Linear(sizes.text_width, 256)
        widths = (sizes.text_width, *sizes.head)
        linear = [nn.Linear(a, b) for a, b in zip(widths, (*sizes.head, 1), strict=True)]
        self.mlp = nn.Module()
        self.mlp.layers = nn.Sequential(
            linear[0], nn.Dropout(0.2), linear[1], nn.Dropout(0.2), linear[2], nn.Dropout(0.1), linear[3], linear[4]
        )

    @torch.no_grad()
    def score(self, image: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> float:
        """Return the reward as the original's `score` computes it."""
        image_embeds = self.blip.visual_encoder(image)
        image_atts = torch.ones(image_embeds.size()[:-1], dtype=torch.long)
        text_output = self.blip.text_encoder(
            ids,
            attention_mask=mask,
            encoder_hidden_states=image_embeds,
            encoder_attention_mask=image_atts,
            return_dict=True,
        )
        txt_features = text_output.last_hidden_state[:, 0, :].float()
        rewards = self.mlp.layers(txt_features)
        rewards = (rewards - 0.16717362830052426) / 1.0333394966054072
        return float(rewards.detach().cpu().numpy().item())


def random_state_dict(original: Original, seed: int) -> dict[str, torch.Tensor]:
    """Return a full state dict of the original's layout, position ids and unused projections included.

    Values are drawn so that activations keep their size through all layers and the reward depends on the input.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn: dict[str, torch.Tensor] = {}
    for name, like in original.state_dict().items():
        noise = torch.randn(like.shape, generator=generator)
        norm = "norm" in name.lower()
        if name.endswith("bias"):
            drawn[name] = 0.1 * noise
        elif norm:
            drawn[name] = 1.0 + 0.1 * noise
        elif like.dim() >= 2 and "embed" not in name and "token" not in name:
            drawn[name] = noise / like[0].numel() ** 0.5
        else:
            drawn[name] = 0.5 * noise
    # A buffer that the published file has, whether or not this version of the original registers it.
    drawn["blip.text_encoder.embeddings.position_ids"] = torch.arange(original.positions).expand(1, -1).clone()
    return drawn
