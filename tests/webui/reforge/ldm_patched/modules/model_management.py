"""Test host: which patchers count as loaded; LoRAs are baked in only when one becomes loaded."""

import torch
from modules_forge.flavour import CLASSIC

current_loaded_models = []


def get_torch_device():
    return torch.device("cpu")


def get_free_memory(device=None):
    return 1 << 34


def soft_empty_cache(force=False):
    pass


class LoadedModel:
    def __init__(self, model):
        self.model = model

    def model_load(self):
        self.model.patch_model()

    def model_unload(self):
        self.model.unpatch_model()

    def __eq__(self, other):
        return self.model is other.model

    __hash__ = None


def load_model_gpu(patcher):
    wanted = LoadedModel(patcher)
    if wanted in current_loaded_models:
        if not CLASSIC:
            patcher.patch_model()  # nothing where the model has this patcher's weights
        return
    for loaded in list(current_loaded_models):
        if loaded.model.is_clone(patcher):
            current_loaded_models.remove(loaded)
            if CLASSIC:
                loaded.model_unload()
    wanted.model_load()
    current_loaded_models.insert(0, wanted)


def unload_all_models():
    while current_loaded_models:
        current_loaded_models.pop().model_unload()
