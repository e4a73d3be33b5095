"""Test host: the built-in LoRA extension of A1111, which bakes into the weights and keeps backups on each module."""

from types import SimpleNamespace

import torch
from modules import shared
from safetensors.torch import load_file

loaded_networks = []
networks_in_memory = {}


def load_networks(items):
    """`items`: lists of name and multipliers, as they stand in the prompt."""
    loaded_networks.clear()
    for name, *numbers in items:
        path = shared.folder / "models" / "Lora" / f"{name}.safetensors"
        if path.exists():
            multiplier = float(numbers[0]) if numbers else 1.0
            if name not in networks_in_memory:
                networks_in_memory[name] = _deltas(load_file(path))
            loaded_networks.append(SimpleNamespace(name=name, multiplier=multiplier, deltas=networks_in_memory[name]))


def _deltas(tensors):
    found = {}
    for key, up in tensors.items():
        name, _, part = key.partition(".")
        if part == "lora_up.weight":
            alpha = float(tensors[f"{name}.alpha"]) / up.shape[1]
            found[name] = up @ tensors[f"{name}.lora_down.weight"] * alpha
    return found


def assign_names(sd_model):
    for prefix, root in (
        ("lora_unet_", sd_model.model.diffusion_model),
        ("lora_te_", plain(sd_model.cond_stage_model)),
    ):
        for path, module in root.named_modules():
            module.network_layer_name = prefix + path.replace(".", "_").replace("_wrapped", "")


def plain(module):
    return module._modules.get("wrapped", module)


def network_restore_weights_from_backup(self):
    for field, backup in (("weight", "network_weights_backup"), ("bias", "network_bias_backup")):
        value = getattr(self, backup, None)
        if value is not None:
            getattr(self, field).copy_(value)


def network_reset_cached_weight(self):
    self.network_current_names = ()
    self.network_weights_backup = None
    self.network_bias_backup = None


def network_apply_weights(self):
    name = getattr(self, "network_layer_name", None)
    if name is None or "weight" not in self._parameters:
        return
    current = getattr(self, "network_current_names", ())
    wanted = tuple((net.name, net.multiplier) for net in loaded_networks)
    if getattr(self, "network_weights_backup", None) is None and wanted != ():
        if current != ():
            raise RuntimeError(f"{name} - no backup weights found and current weights are not unchanged")
        self.network_weights_backup = self.weight.to("cpu", copy=True)
        bias = self._parameters.get("bias")
        self.network_bias_backup = None if bias is None else bias.to("cpu", copy=True)
    if current == wanted:
        return
    network_restore_weights_from_backup(self)
    for net in loaded_networks:
        delta = net.deltas.get(name)
        if delta is not None:
            self.weight.copy_((self.weight.float() + delta * net.multiplier).to(self.weight.dtype))
    self.network_current_names = wanted


def visit(module):
    """What each layer does at the start of its forward."""
    if shared.opts.lora_functional:
        if loaded_networks:
            with torch.no_grad():
                network_restore_weights_from_backup(module)
            network_reset_cached_weight(module)
        return
    network_apply_weights(module)
