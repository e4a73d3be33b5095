"""Test host: `modules.sd_models` of Forge: a placeholder until the first load, and stubs that silently do nothing."""

import torch
from backend import memory_management
from backend.engine import Engine

from modules import script_callbacks, shared
from tests.webui import parts

_checkpoints = parts.Checkpoints(shared.folder / "models" / "Stable-diffusion")
checkpoints_list, checkpoint_aliases = _checkpoints.by_title, _checkpoints.aliases
list_models, get_closet_checkpoint_match = _checkpoints.list_models, _checkpoints.match
fail_loading = []  # tests: names of files whose load raises


class FakeInitialModel:
    def __init__(self):
        self.cond_stage_model = None


class SdModelData:
    def __init__(self):
        self.sd_model = FakeInitialModel()
        self.forge_loading_parameters = {}
        self.forge_hash = ""

    def get_sd_model(self):
        return self.sd_model

    def set_sd_model(self, model):
        self.sd_model = model


model_data = SdModelData()


def select_checkpoint():
    info = checkpoint_aliases.get(shared.opts.sd_model_checkpoint)
    if info is None and checkpoints_list:
        info = next(iter(checkpoints_list.values()))
    return info


def load_model(checkpoint_info=None, already_loaded_state_dict=None):
    pass


def reload_model_weights(sd_model=None, info=None, forced_reload=False):
    pass


def get_empty_cond(sd_model):
    pass


def unload_model_weights(sd_model=None, info=None):
    memory_management.unload_all_models()


@torch.inference_mode()
def forge_model_reload():
    current_hash = str(model_data.forge_loading_parameters)
    if model_data.forge_hash == current_hash:
        return model_data.sd_model, False
    if model_data.sd_model:
        model_data.sd_model = None
        memory_management.unload_all_models()
    info = model_data.forge_loading_parameters["checkpoint_info"]
    if info is None:
        raise ValueError("You do not have any model!")
    if info.name in fail_loading:
        raise ValueError("Failed to recognize model type!")
    modules = model_data.forge_loading_parameters.get("additional_modules", [])
    model = Engine(info.filename, modules, model_data.forge_loading_parameters.get("unet_storage_dtype"))
    model.sd_checkpoint_info, model.filename = info, info.filename
    model.sd_model_hash = _checkpoints.hash(info)
    shared.opts.data["sd_checkpoint_hash"] = info.sha256
    model_data.set_sd_model(model)
    script_callbacks.model_loaded_callback(model)
    model_data.forge_hash = current_hash
    return model, True
