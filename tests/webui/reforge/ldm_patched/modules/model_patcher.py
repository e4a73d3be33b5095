"""Test host: clones that share one module; LoRAs replace its parameters, and a backup keeps what they replaced.

In Classic each clone has a backup of its own, in reForge they share one and the module knows whose weights it has.
"""

import collections
import uuid

import torch
from modules_forge.flavour import CLASSIC
from torch import nn

from ldm_patched.modules import model_management


def _set(model, key, weight):
    *path, leaf = key.split(".")
    node = model
    for part in path:
        node = node._modules[part]
    before = node._parameters[leaf]
    node._parameters[leaf] = weight if isinstance(weight, nn.Parameter) else nn.Parameter(weight, requires_grad=False)
    return before


class ModelPatcher:
    def __init__(self, model):
        self.model, self.patches, self.backup = model, {}, {}
        self.patches_uuid = uuid.uuid4()
        self.offload_device = self.load_device = torch.device("cpu")
        if not hasattr(model, "current_weight_patches_uuid"):
            object.__setattr__(model, "current_weight_patches_uuid", None)

    def clone(self):
        other = ModelPatcher(self.model)
        other.patches = {key: list(rows) for key, rows in self.patches.items()}
        if not CLASSIC:
            other.backup, other.patches_uuid = self.backup, self.patches_uuid
        return other

    def is_clone(self, other):
        return self.model is other.model

    def add_patches(self, patches, strength):
        for key, delta in patches.items():
            self.patches.setdefault(key, []).append((strength, delta))
        self.patches_uuid = uuid.uuid4()

    def patch_model(self):
        if not CLASSIC:
            present = self.model.current_weight_patches_uuid
            if present == self.patches_uuid:
                return
            if present is not None:
                self.unpatch_model()
        for key, rows in self.patches.items():
            with torch.no_grad():
                patched = dict(self.model.named_parameters())[key].float()
                for strength, delta in rows:
                    patched = patched + delta * strength
            weight = dict(self.model.named_parameters())[key]
            before = _set(self.model, key, patched.to(weight.dtype))
            note = (
                before if CLASSIC else collections.namedtuple("Dimension", ["weight", "inplace_update"])(before, False)
            )
            self.backup.setdefault(key, note)
        self.model.current_weight_patches_uuid = self.patches_uuid

    def unpatch_model(self, device_to=None):
        for key, note in self.backup.items():
            _set(self.model, key, note if CLASSIC else note.weight)
        self.backup.clear()
        self.model.current_weight_patches_uuid = None

    def load(self):
        model_management.load_model_gpu(self)
