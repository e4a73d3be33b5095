"""Test host: `modules.sd_models` of reForge (several models, a forced reload) and Classic (one, and no force)."""

import threading

import networks
import torch
from ldm_patched.modules import model_management
from modules_forge.flavour import CLASSIC
from modules_forge.forge_loader import LatentDiffusion
from safetensors.torch import load_file

from modules import processing, script_callbacks, sd_vae, shared
from tests.webui import parts

_checkpoints = parts.Checkpoints(shared.folder / "models" / "Stable-diffusion")
checkpoints_list, checkpoint_aliases = _checkpoints.by_title, _checkpoints.aliases
list_models, get_closet_checkpoint_match = _checkpoints.list_models, _checkpoints.match
fail_loading = []  # tests: names of files whose load raises
text_encoder_from = {}  # tests: checkpoint name to the file whose text encoder reForge takes instead


class SkipWritingToConfig:
    def __enter__(self):
        pass

    def __exit__(self, *_):
        pass


class SdModelData:
    def __init__(self):
        self.sd_model = None
        self.loaded_sd_models = []
        self.was_loaded_at_least_once = False
        self.lock = threading.Lock()

    def get_sd_model(self):
        if self.was_loaded_at_least_once or self.sd_model is not None:
            return self.sd_model
        with self.lock:
            if self.sd_model is None:
                try:
                    load_model()
                except Exception as error:  # noqa: BLE001 - as the host does
                    print("Stable diffusion model failed to load", error)
        return self.sd_model

    def set_sd_model(self, model, already_loaded=False):
        self.sd_model = model
        if already_loaded:
            sd_vae.base_vae = getattr(model, "base_vae", None)
            sd_vae.loaded_vae_file = getattr(model, "loaded_vae_file", None)
            sd_vae.checkpoint_info = model.sd_checkpoint_info


model_data = SdModelData()


def select_checkpoint():
    info = checkpoint_aliases.get(shared.opts.sd_model_checkpoint)
    if info is not None:
        return info
    if not checkpoints_list:
        raise FileNotFoundError("No checkpoints found.")
    return next(iter(checkpoints_list.values()))


def get_empty_cond(sd_model):
    networks.load_networks([])
    return sd_model.encode("", 1)


@torch.no_grad()
def _read(info):
    if info.name in fail_loading:
        raise ValueError("Could not detect model type")
    tensors = {key: value for key, value in load_file(info.filename).items() if value.is_floating_point()}
    other = text_encoder_from.get(info.name)
    text = {key: value for key, value in load_file(other).items() if value.is_floating_point()} if other else None
    model = LatentDiffusion(tensors, text)
    model.filename = model.sd_model_checkpoint = info.filename
    model.sd_checkpoint_info, model.sd_model_hash = info, _checkpoints.hash(info)
    return model


def _settle(model, info):
    shared.opts.data["sd_checkpoint_hash"] = info.sha256
    sd_vae.forget()
    sd_vae.load_vae(model, sd_vae.resolve_vae(info.filename))
    model_data.set_sd_model(model)
    model_data.was_loaded_at_least_once = True
    script_callbacks.model_loaded_callback(model)
    model.cond_stage_model_empty_prompt = get_empty_cond(model)
    return model


def _load_classic(checkpoint_info=None, already_loaded_state_dict=None):
    info = checkpoint_info or select_checkpoint()
    if model_data.sd_model:
        if model_data.sd_model.filename == info.filename:
            return model_data.sd_model
        model_data.sd_model = None
        model_management.unload_all_models()
    return _settle(_read(info), info)


def _load_reforge(checkpoint_info=None, already_loaded_state_dict=None, forced_reload=False):
    info = checkpoint_info or select_checkpoint()
    kept = model_data.loaded_sd_models
    for model in list(kept):
        if model.filename == info.filename:
            kept.remove(model)
            if not forced_reload:
                kept.insert(0, model)
                model_data.set_sd_model(model, already_loaded=True)  # dirty or not
                return model
            model.tear_down()
    while len(kept) >= shared.opts.sd_checkpoints_limit:
        kept.pop().tear_down()  # before the new one is read: a load that fails leaves a model in pieces
    model = _read(info)
    kept.insert(0, model)
    return _settle(model, info)


load_model = _load_classic if CLASSIC else _load_reforge


def reload_model_weights(sd_model=None, info=None, forced_reload=False):
    return load_model(info) if CLASSIC else load_model(info, forced_reload=forced_reload)


assert processing  # the host's module imports it too; the order matters to nobody else
