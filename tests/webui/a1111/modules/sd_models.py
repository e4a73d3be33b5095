"""Test host: `modules.sd_models` of A1111, with its loads that do nothing and its reuse of dirty models."""

import threading
from pathlib import Path

import networks
import torch
from safetensors.torch import load_file
from torch import nn

from modules import processing, script_callbacks, sd_vae, shared
from tests.webui import parts
from tests.webui.network import tree

_checkpoints = parts.Checkpoints(shared.folder / "models" / "Stable-diffusion")
checkpoints_list, checkpoint_aliases = _checkpoints.by_title, _checkpoints.aliases
list_models, get_closet_checkpoint_match = _checkpoints.list_models, _checkpoints.match
checkpoints_loaded = {}
fail_loading = []  # tests: names of files whose load raises


class SkipWritingToConfig:
    skip = False

    def __enter__(self):
        self.previous, SkipWritingToConfig.skip = SkipWritingToConfig.skip, True

    def __exit__(self, *_):
        SkipWritingToConfig.skip = self.previous


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
        if model in self.loaded_sd_models:
            self.loaded_sd_models.remove(model)
        self.loaded_sd_models.insert(0, model)


model_data = SdModelData()


class Wrapper(nn.Module):
    """What the host's hijack puts around modules; it shows up in names."""

    def __init__(self, wrapped):
        super().__init__()
        self.wrapped = wrapped


def select_checkpoint():
    info = checkpoint_aliases.get(shared.opts.sd_model_checkpoint)
    if info is not None:
        return info
    if not checkpoints_list:
        raise FileNotFoundError("No checkpoints found.")
    return next(iter(checkpoints_list.values()))


def read_state_dict(filename):
    if Path(filename).name in fail_loading:
        raise RuntimeError("the file is broken")
    return load_file(filename)


def config_of(filename):
    """Each checkpoint with a yaml beside it has a config of its own, the others share one."""
    own = Path(filename).with_suffix(".yaml")
    kind = "xl" if any(key.startswith("conditioner.") for key in _keys(filename)) else "v1"
    return str(own) if own.exists() else kind


def _keys(filename):
    return list(load_file(filename))


def get_empty_cond(sd_model):
    networks.load_networks([])  # the host activates extra networks with an empty prompt first
    return encode(sd_model, "")


def encode(sd_model, prompt, skip=1):
    from tests.webui.network import conditioning, signature

    text = sd_model.text_module()
    embedding = next(
        p for n, p in text.named_parameters() if n.replace(".wrapped", "").endswith("token_embedding.weight")
    )
    return conditioning(signature(text, networks.visit, "te"), embedding, prompt, skip)


def load_model(checkpoint_info=None):
    info = checkpoint_info or select_checkpoint()
    if model_data.sd_model is not None:
        model_data.sd_model.to("meta")
        if model_data.sd_model in model_data.loaded_sd_models:
            model_data.loaded_sd_models.remove(model_data.sd_model)
        model_data.sd_model = None
    tensors = read_state_dict(info.filename)
    wanted = {k: v.float() for k, v in tensors.items() if v.is_floating_point() and "." in k}
    model = _make(wanted)
    model.used_config, model.lowvram = config_of(info.filename), False
    load_model_weights(model, info, tensors)
    hijack(model)
    model_data.set_sd_model(model)
    model_data.was_loaded_at_least_once = True
    script_callbacks.model_loaded_callback(model)
    with torch.no_grad():
        model.cond_stage_model_empty_prompt = get_empty_cond(model)
    return model


def _make(tensors):
    model = tree({key: value.clone() for key, value in tensors.items()})

    def text_module():
        return getattr(model, "conditioner", None) or model.cond_stage_model

    object.__setattr__(model, "text_module", text_module)
    model.is_sdxl = "conditioner" in model._modules
    return model


def hijack(model):
    text = model if not model.is_sdxl else model.conditioner.embedders
    for name in ("cond_stage_model",) if not model.is_sdxl else ("0", "1"):
        text._modules[name] = Wrapper(text._modules[name])
    for module in list(model.text_module().modules()):
        for name in ("token_embedding",):
            if name in module._modules and not isinstance(module._modules[name], Wrapper):
                module._modules[name] = Wrapper(module._modules[name])
    if not model.is_sdxl:
        networks.assign_names(model)


def undo_hijack(model):
    for module in list(model.modules()):
        for name, child in list(module._modules.items()):
            if isinstance(child, Wrapper):
                module._modules[name] = child.wrapped


def load_model_weights(model, info, tensors):
    shared_hash = _checkpoints.hash(info)
    if not SkipWritingToConfig.skip:
        shared.opts.data["sd_model_checkpoint"] = info.title
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            key = name.replace(".wrapped.", ".")
            if key in tensors:  # not strict: other keys keep what they have
                parameter.copy_(tensors[key])
    for module in model.modules():
        networks.network_reset_cached_weight(module)
    model.sd_model_hash, model.sd_model_checkpoint, model.sd_checkpoint_info = shared_hash, info.filename, info
    shared.opts.data["sd_checkpoint_hash"] = info.sha256
    sd_vae.forget()
    sd_vae.load_vae(model, sd_vae.resolve_vae(info.filename))


def reuse_model_from_already_loaded(sd_model, info):
    if sd_model is not None and sd_model.sd_checkpoint_info.filename == info.filename:
        return sd_model
    loaded = model_data.loaded_sd_models
    for model in loaded:
        if model.sd_checkpoint_info.filename == info.filename:
            model_data.set_sd_model(model, already_loaded=True)  # dirty or not
            if not SkipWritingToConfig.skip:
                shared.opts.data["sd_model_checkpoint"] = info.title
            sd_vae.reload_vae_weights(model)
            return model
    if shared.opts.sd_checkpoints_limit > 1 and len(loaded) < shared.opts.sd_checkpoints_limit:
        model_data.sd_model = None
        return load_model(info)
    if loaded:
        model = loaded.pop()
        model_data.sd_model = model
        return model
    return None


def reload_model_weights(sd_model=None, info=None, forced_reload=False):
    info = info or select_checkpoint()
    sd_model = sd_model or model_data.sd_model
    fp8 = shared.opts.fp8_storage == "Enable"
    if sd_model is not None:
        if getattr(sd_model, "fp8", False) != fp8:
            forced_reload = True
        elif sd_model.sd_model_checkpoint == info.filename and not forced_reload:
            return sd_model
    sd_model = reuse_model_from_already_loaded(sd_model, info)
    if not forced_reload and sd_model is not None and sd_model.sd_checkpoint_info.filename == info.filename:
        return sd_model
    if sd_model is not None:
        undo_hijack(sd_model)
    tensors = read_state_dict(info.filename)  # if this raises, the hijack stays out, as in the host
    if sd_model is None or config_of(info.filename) != sd_model.used_config:
        if sd_model is not None:
            sd_model.to("meta")
            model_data.sd_model = None
        return load_model(info)
    previous = sd_model.sd_checkpoint_info
    try:
        load_model_weights(sd_model, info, tensors)
    except Exception:
        load_model_weights(sd_model, previous, read_state_dict(previous.filename))
        raise
    finally:
        hijack(sd_model)
        script_callbacks.model_loaded_callback(sd_model)
    sd_model.fp8 = fp8
    model_data.set_sd_model(sd_model)
    return sd_model


assert processing  # the host's module imports it too; the order matters to nobody else
