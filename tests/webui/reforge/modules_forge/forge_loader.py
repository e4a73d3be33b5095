"""Test host: A1111's shell of a model around parts that ModelPatchers hold, with the loader's own renaming."""

from types import SimpleNamespace

import torch
from ldm_patched.modules.model_patcher import ModelPatcher
from torch import nn

from modules_forge.flavour import CLASSIC
from tests.webui.network import conditioning, signature, tree


class ModelConfig:
    """The model's own conversion of checkpoint names; Classic's names begin one level further up."""

    scaled_fp8 = None

    def process_unet_state_dict(self, sd):
        return sd

    process_vae_state_dict = process_unet_state_dict

    def process_clip_state_dict(self, sd):
        out = {}
        for key in list(sd):
            for old, new in (("cond_stage_model.", "clip_l."), ("conditioner.embedders.0.", "clip_l."),
                             ("conditioner.embedders.1.model.", "clip_g.")):  # fmt: skip
                if key.startswith(old):
                    out[new + key[len(old) :]] = sd.pop(key)
        out = _open_clip_to_hf(out, "clip_g.")
        return {**sd, **{f"cond_stage_model.{key}": value for key, value in out.items()}} if CLASSIC else out


def _open_clip_to_hf(sd, prefix):
    text = f"{prefix}transformer.text_model."
    plain = {
        "positional_embedding": "embeddings.position_embedding.weight",
        "token_embedding.weight": "embeddings.token_embedding.weight",
        "ln_final.weight": "final_layer_norm.weight",
        "ln_final.bias": "final_layer_norm.bias",
    }
    for old, new in plain.items():
        if prefix + old in sd:
            sd[text + new] = sd.pop(prefix + old)
    parts = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2",
             "attn.out_proj": "self_attn.out_proj"}  # fmt: skip
    for key in [key for key in sd if key.startswith(f"{prefix}transformer.resblocks.")]:
        number, rest = key.removeprefix(f"{prefix}transformer.resblocks.").split(".", 1)
        layer = f"{text}encoder.layers.{number}."
        if rest.startswith("attn.in_proj_"):
            whole = sd.pop(key)
            size = whole.shape[0] // 3
            for i, name in enumerate(("q_proj", "k_proj", "v_proj")):
                sd[f"{layer}self_attn.{name}.{rest.removeprefix('attn.in_proj_')}"] = whole[size * i : size * (i + 1)]
            continue
        part, _, kind = rest.rpartition(".")
        sd[f"{layer}{parts[part]}.{kind}"] = sd.pop(key)
    return sd


class ForgeObjects:
    def __init__(self, unet, clip, vae):
        self.unet, self.clip, self.vae = unet, clip, vae

    def shallow_copy(self):
        return ForgeObjects(self.unet, self.clip, self.vae)


class CLIP:
    def __init__(self, cond_stage_model, patcher=None):
        self.cond_stage_model = cond_stage_model
        self.patcher = patcher or ModelPatcher(cond_stage_model)

    def clone(self):
        return CLIP(self.cond_stage_model, self.patcher.clone())


class EmbeddingsWithFixes(nn.Module):
    """The textual inversion wrapper: its weight is the wrapped one's, registered a second time."""

    def __init__(self, wrapped):
        super().__init__()
        self.wrapped = wrapped
        self.weight = wrapped.weight


class LatentDiffusion(nn.Module):
    """`shared.sd_model`."""

    def __init__(self, sd, text=None):
        super().__init__()
        config = ModelConfig()

        def taken(prefix):
            return {key[len(prefix) :]: sd.pop(key).float() for key in [k for k in sd if k.startswith(prefix)]}

        unet, vae = tree(taken("model.diffusion_model.")), tree(taken("first_stage_model."))
        self.model = nn.Module()
        self.model.diffusion_model, self.first_stage_model = unet, vae
        encoders = nn.Module()
        tensors = config.process_clip_state_dict(dict(sd if text is None else text))
        for name in ("clip_l", "clip_g"):
            start = f"cond_stage_model.{name}." if CLASSIC else f"{name}."
            mine = {key[len(start) :]: value for key, value in tensors.items() if key.startswith(start)}
            if mine:
                kept = {k: v.float() if ".embeddings." in k else v.half() for k, v in mine.items()}
                encoders.add_module(name, tree(kept))
                embeddings = getattr(encoders, name).transformer.text_model.embeddings
                embeddings._modules["token_embedding"] = EmbeddingsWithFixes(embeddings.token_embedding)
        base = nn.Module()
        base.diffusion_model, base.model_config = unet, config
        objects = ForgeObjects(
            ModelPatcher(base), CLIP(encoders), SimpleNamespace(first_stage_model=vae, patcher=ModelPatcher(vae))
        )
        self.forge_objects = objects
        self.forge_objects_original = objects.shallow_copy()
        self.forge_objects_after_applying_lora = objects.shallow_copy()
        self.current_lora_hash = str([])

    def tear_down(self):
        """Take the model apart, as reForge does before it loads another in its place."""
        self.forge_objects_original.unet.model.diffusion_model._modules.clear()
        self.forge_objects_original.unet.model.diffusion_model._parameters.clear()
        self.model = self.first_stage_model = None

    @torch.inference_mode()
    def encode(self, prompt, skip):
        clip = self.forge_objects.clip
        clip.patcher.load()
        total = 0
        for name, encoder in clip.cond_stage_model.named_children():
            table = encoder.transformer.text_model.embeddings.token_embedding.weight
            total = total + conditioning(signature(encoder, lambda module: None, name), table, prompt, skip)
        return total

    def unet_signature(self):
        self.forge_objects.unet.load()
        return signature(self.forge_objects.unet.model.diffusion_model, lambda module: None, "unet")

    def vae_signature(self):
        self.forge_objects.vae.patcher.load()
        return signature(self.forge_objects.vae.first_stage_model, lambda module: None, "vae")
