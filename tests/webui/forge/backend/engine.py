"""Test host: Forge's diffusion engine: a plain object, HF names in the text encoders, inference tensors."""

from types import SimpleNamespace

import torch
from safetensors.torch import load_file
from torch import nn

from backend.patcher import ModelPatcher
from backend.state_dict import try_filter_state_dict
from tests.webui.network import conditioning, signature, tree


class ModelConfig:
    """The model's own conversion of checkpoint names, in the calls that Forge makes."""

    unet_key_prefix = ["model.diffusion_model."]
    vae_key_prefix = ["first_stage_model."]

    def __init__(self, clip_target):
        self.clip_target = clip_target

    def process_vae_state_dict(self, sd):
        return sd

    def process_clip_state_dict(self, sd):
        out = {}
        for key in list(sd):
            for old, new in (("cond_stage_model.", "clip_l."), ("conditioner.embedders.0.", "clip_l."),
                             ("conditioner.embedders.1.model.", "clip_g.")):  # fmt: skip
                if key.startswith(old):
                    out[new + key[len(old) :]] = sd.pop(key)
        return _open_clip_to_hf(out, "clip_g.")


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
    if f"{prefix}text_projection" in sd:
        sd[f"{prefix}transformer.text_projection.weight"] = (
            sd.pop(f"{prefix}text_projection").transpose(0, 1).contiguous()
        )
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


class TokenEmbedding(nn.Module):
    """The textual inversion wrapper: its weight is the wrapped one's, registered a second time."""

    def __init__(self, wrapped):
        super().__init__()
        self.wrapped = wrapped
        self.weight = wrapped.weight


class Engine:
    """`shared.sd_model` of Forge."""

    def __init__(self, filename, additional_modules, storage_dtype):
        sd = {k: v for k, v in load_file(filename).items() if v.is_floating_point()}
        for path in additional_modules:
            sd.update({f"first_stage_model.{k}": v for k, v in load_file(path).items()})
        xl = any(key.startswith("conditioner.") for key in sd)
        self.model_config = ModelConfig({"clip_l": "text_encoder", **({"clip_g": "text_encoder_2"} if xl else {})})
        g = self.model_config
        sd = g.process_vae_state_dict(sd)
        unet = tree({k: v.float() for k, v in try_filter_state_dict(sd, g.unet_key_prefix).items()})
        vae = tree({k: v.float() for k, v in try_filter_state_dict(sd, g.vae_key_prefix).items()})
        for layer in unet.modules():
            layer.scale_weight = None  # set with scaled fp8 files only
        sd = g.process_clip_state_dict(sd)
        clip = nn.Module()
        for name in g.clip_target:
            encoder = tree({k: v.half() for k, v in try_filter_state_dict(sd, [f"{name}."]).items()})
            embeddings = encoder.transformer.text_model.embeddings
            embeddings._modules["token_embedding"] = TokenEmbedding(embeddings.token_embedding)
            clip.add_module(name, encoder)
        k_model = nn.Module()
        k_model.diffusion_model, k_model.storage_dtype = unet, storage_dtype or torch.float32
        objects = ForgeObjects(
            ModelPatcher(k_model),
            CLIP(clip),
            SimpleNamespace(first_stage_model=vae, patcher=ModelPatcher(vae), latent_channels=4),
        )
        self.forge_objects = objects
        self.forge_objects_original = objects.shallow_copy()
        self.forge_objects_after_applying_lora = objects.shallow_copy()
        self.current_lora_hash = str([])
        self.cond_stage_model = self.first_stage_model = None
        self.is_sdxl = xl

    @torch.inference_mode()
    def encode(self, prompt, skip):
        clip = self.forge_objects.clip
        clip.patcher.load()
        total = 0
        for name, encoder in clip.cond_stage_model.named_children():
            embeddings = encoder.transformer.text_model.embeddings
            embeddings.to(torch.float32)  # the host does this at the first prompt: stored types change by themselves
            table = embeddings.token_embedding.weight
            total = total + conditioning(signature(encoder, lambda module: None, name), table, prompt, skip)
        return total

    def get_learned_conditioning(self, prompt):
        return [self.encode(text, 1) for text in prompt]

    def unet_signature(self):
        self.forge_objects.unet.load()
        return signature(self.forge_objects.unet.model.diffusion_model, lambda module: None, "unet")

    def vae_signature(self):
        self.forge_objects.vae.patcher.load()
        return signature(self.forge_objects.vae.first_stage_model, lambda module: None, "vae")
