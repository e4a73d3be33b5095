"""Test host: clones that share one module, LoRAs that replace its parameters and keep what they replaced."""

import torch
from torch import nn

from backend import memory_management


def _owner(model, key):
    *path, leaf = key.split(".")
    node = model
    for part in path:
        node = node._modules[part]
    return node, leaf


class LoraLoader:
    def __init__(self, model):
        self.model, self.backup, self.loaded_hash = model, {}, str([])

    @torch.inference_mode()
    def refresh(self, lora_patches, offload_device=torch.device("cpu"), force_refresh=False):
        hashes = str(list(lora_patches))
        if hashes == self.loaded_hash and not force_refresh:
            return
        for key, weight in self.backup.items():
            node, leaf = _owner(self.model, key)
            node._parameters[leaf] = weight if isinstance(weight, nn.Parameter) else nn.Parameter(weight, False)
        self.backup = {}
        for (_, strength), patches in lora_patches.items():
            for key, delta in patches.items():
                node, leaf = _owner(self.model, key)
                weight = node._parameters[leaf]
                self.backup.setdefault(key, weight)
                patched = (weight.float() + delta * strength).to(weight.dtype)
                node._parameters[leaf] = nn.Parameter(patched, requires_grad=False)
        self.loaded_hash = hashes


class ModelPatcher:
    def __init__(self, model):
        self.model, self.lora_patches = model, {}
        self.offload_device = self.load_device = torch.device("cpu")
        if not hasattr(model, "lora_loader"):
            object.__setattr__(model, "lora_loader", LoraLoader(model))
        self.lora_loader = model.lora_loader

    def clone(self):
        other = ModelPatcher(self.model)
        other.lora_patches = dict(self.lora_patches)
        return other

    def is_clone(self, other):
        return self.model is other.model

    def add_patches(self, name, patches, strength):
        self.lora_patches[(name, strength)] = patches

    def refresh_loras(self):
        self.lora_loader.refresh(lora_patches=self.lora_patches, offload_device=self.offload_device)

    def load(self):
        memory_management.load_model_gpu(self)
