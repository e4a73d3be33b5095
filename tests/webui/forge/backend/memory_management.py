"""Test host: which models count as loaded; LoRAs are applied only when one becomes loaded."""

import torch

current_loaded_models = []


def get_torch_device():
    return torch.device("cpu")


class LoadedModel:
    def __init__(self, model):
        self.model = model

    def model_load(self):
        self.model.refresh_loras()

    def __eq__(self, other):
        return self.model is other.model

    __hash__ = None


def load_model_gpu(patcher):
    wanted = LoadedModel(patcher)
    if wanted in current_loaded_models:
        return
    unload_model_clones(patcher)
    wanted.model_load()
    current_loaded_models.insert(0, wanted)


def unload_model_clones(patcher):
    for loaded in list(current_loaded_models):
        if patcher.is_clone(loaded.model):
            current_loaded_models.remove(loaded)


def unload_all_models():
    current_loaded_models.clear()


def soft_empty_cache(force=False):
    pass
