"""Test host: `modules.sd_vae`: an override VAE is copied into the model, the base's own kept aside."""

import copy
from pathlib import Path

import torch
from safetensors.torch import load_file

from modules import script_callbacks, shared

base_vae = None
loaded_vae_file = None
checkpoint_info = None
vae_dict = {}


def refresh_vae_list():
    vae_dict.clear()
    folder = shared.folder / "models" / "VAE"
    vae_dict.update({path.name: str(path) for path in sorted(folder.glob("*.safetensors"))})


def get_loaded_vae_name():
    return Path(loaded_vae_file).name if loaded_vae_file else None


def resolve_vae(checkpoint_file):
    return vae_dict.get(shared.opts.sd_vae)


def load_vae(model, vae_file):
    global base_vae, loaded_vae_file, checkpoint_info
    if vae_file:
        if checkpoint_info is not model.sd_checkpoint_info:
            assert not loaded_vae_file, "Trying to store non-base VAE!"
            base_vae = copy.deepcopy(model.first_stage_model.state_dict())
            checkpoint_info = model.sd_checkpoint_info
        _copy(model, load_file(vae_file))
    elif loaded_vae_file:
        if base_vae is not None and checkpoint_info is model.sd_checkpoint_info:
            _copy(model, base_vae)
        base_vae = checkpoint_info = None
    loaded_vae_file = vae_file
    model.base_vae, model.loaded_vae_file = base_vae, vae_file


def _copy(model, tensors):
    with torch.no_grad():
        for name, parameter in model.first_stage_model.named_parameters():
            parameter.copy_(tensors[name])


def forget():
    global base_vae, loaded_vae_file, checkpoint_info
    base_vae = loaded_vae_file = checkpoint_info = None


unspecified = object()


def reload_vae_weights(sd_model=None, vae_file=unspecified):
    model = sd_model or shared.sd_model
    if vae_file is unspecified:
        vae_file = resolve_vae(model.sd_checkpoint_info.filename)
    if loaded_vae_file == vae_file:
        return
    load_vae(model, vae_file)
    script_callbacks.model_loaded_callback(model)
