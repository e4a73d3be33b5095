"""Writes the demo checkpoints for AUTOMATIC1111: each with the .yaml that tells its sizes, and a tokenizer's folder.

python -m tools.demo_pair.webui FOLDER        (the WebUI's models/Stable-diffusion, or a folder in it)
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

from lib_optim.hosts.standalone.config import clip_config
from lib_optim.hosts.standalone.demo import make_demo_checkpoints
from lib_optim.hosts.standalone.demo_layout import CLIP, CONTEXT, UNET, VAE, demo_shapes

__all__ = ["main", "webui_config", "write_for_webui"]

_CLIP_FOLDER = "demo-clip"
_MERGES = 49152 - 256 - 2  # of the byte pair encoding, that CLIP uses
_START, _END = "<|startoftext|>", "<|endoftext|>"


def write_for_webui(folder: Path) -> tuple[Path, ...]:
    """Write checkpoints, configurations and tokenizer into `folder` and return the checkpoints' paths."""
    folder.mkdir(parents=True, exist_ok=True)
    clip = folder.resolve() / _CLIP_FOLDER
    _write_tokenizer(clip)
    paths = make_demo_checkpoints(folder)
    for path in paths:  # JSON is YAML
        path.with_suffix(".yaml").write_text(json.dumps(webui_config(clip), indent=1) + "\n", encoding="utf-8")
    return paths


def webui_config(clip: Path) -> dict[str, Any]:
    """Return the configuration of the demo checkpoints, as Stable Diffusion's v1-inference.yaml has it.

    Args:
        clip: Absolute path of the folder with tokenizer and text encoder's configuration.
    """
    shapes = demo_shapes()
    width = shapes[f"{UNET}input_blocks.0.0.weight"][0]
    unet = [shapes[f"{UNET}input_blocks.{block}.0.out_layers.3.weight"][0] for block in (1, 4, 7, 10)]
    vae = [shapes[f"{VAE}encoder.down.{level}.block.0.conv2.weight"][0] for level in range(4)]
    unet_parameters = {
        "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": width,
        "attention_resolutions": [4, 2, 1], "num_res_blocks": 2, "channel_mult": [w // width for w in unet],
        "num_heads": 8, "use_spatial_transformer": True, "transformer_depth": 1, "context_dim": CONTEXT,
        "use_checkpoint": False, "legacy": False,
    }  # fmt: skip
    vae_parameters = {
        "double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": vae[0],
        "ch_mult": [w // vae[0] for w in vae], "num_res_blocks": 2, "attn_resolutions": [], "dropout": 0.0,
    }  # fmt: skip
    parameters = {
        "linear_start": 0.00085, "linear_end": 0.012, "num_timesteps_cond": 1, "log_every_t": 200, "timesteps": 1000,
        "first_stage_key": "jpg", "cond_stage_key": "txt", "image_size": 64, "channels": 4,
        "cond_stage_trainable": False, "conditioning_key": "crossattn", "monitor": "val/loss_simple_ema",
        "scale_factor": 0.18215, "use_ema": False,
        "unet_config": {"target": "ldm.modules.diffusionmodules.openaimodel.UNetModel", "params": unet_parameters},
        "first_stage_config": {
            "target": "ldm.models.autoencoder.AutoencoderKL",
            "params": {
                "embed_dim": 4, "monitor": "val/rec_loss", "ddconfig": vae_parameters,
                "lossconfig": {"target": "torch.nn.Identity"},
            },
        },
        "cond_stage_config": {
            "target": "ldm.modules.encoders.modules.FrozenCLIPEmbedder",
            "params": {"version": str(clip), "device": "cpu"},
        },
    }  # fmt: skip
    return {"model": {"target": "ldm.models.diffusion.ddpm.LatentDiffusion", "params": parameters}}


def _write_tokenizer(folder: Path) -> None:
    """Write CLIP's vocabulary, which open_clip bundles, in the files that transformers reads."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("The package open-clip-torch is missing, which holds CLIP's vocabulary; install it.")
    packed = (Path(spec.submodule_search_locations[0]) / "bpe_simple_vocab_16e6.txt.gz").read_bytes()
    merges = gzip.decompress(packed).decode("utf-8").split("\n")[1 : _MERGES + 1]
    letters = _letters()
    words = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(m.split()) for m in merges), _START, _END]
    prefix = CLIP.removesuffix("text_model.")
    text = {k.removeprefix(prefix): shape for k, shape in demo_shapes().items() if k.startswith(prefix)}
    special = {"bos_token": _START, "eos_token": _END, "unk_token": _END, "pad_token": _END}
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Any] = {
        "vocab.json": {word: i for i, word in enumerate(words)},
        "special_tokens_map.json": special,
        "tokenizer_config.json": {
            "tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True, "errors": "replace",
            "add_prefix_space": False, **special,
        },
        "config.json": {"architectures": ["CLIPTextModel"], "model_type": "clip_text_model", **clip_config(text)},
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")


def _letters() -> list[str]:
    """Return the 256 characters that stand for bytes, in the order of the vocabulary (Radford et al. 2019)."""
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printed]
    return [chr(byte) for byte in printed] + [chr(256 + i) for i in range(len(others))]


def main() -> None:
    """Write into the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tools.demo_pair.webui", description=__doc__)
    parser.add_argument("folder", type=Path)
    for path in write_for_webui(parser.parse_args().folder):
        print(path)


if __name__ == "__main__":
    main()
