"""Test host: Forge's built-in LoRA extension, which makes patched clones."""

from modules import sd_models, shared
from safetensors.torch import load_file

loaded_networks = []


def load_networks(items):
    model = sd_models.model_data.get_sd_model()
    targets = []
    for name, *numbers in items:
        path = shared.folder / "models" / "Lora" / f"{name}.safetensors"
        if path.exists():
            targets.append((str(path), float(numbers[0]) if numbers else 1.0))
    if model.current_lora_hash == str(targets):
        return
    model.current_lora_hash = str(targets)
    model.forge_objects.unet = model.forge_objects_original.unet
    model.forge_objects.clip = model.forge_objects_original.clip
    for filename, strength in targets:
        deltas = _deltas(load_file(filename))
        unet, clip = model.forge_objects.unet.clone(), model.forge_objects.clip.clone()
        unet.add_patches(filename, _matching(unet.model, "diffusion_model.", "lora_unet_", deltas), strength)
        clip.patcher.add_patches(filename, _matching(clip.cond_stage_model, "clip_l.", "lora_te_", deltas), strength)
        model.forge_objects.unet, model.forge_objects.clip = unet, clip
    model.forge_objects_after_applying_lora = model.forge_objects.shallow_copy()


def _deltas(tensors):
    found = {}
    for key, up in tensors.items():
        name, _, part = key.partition(".")
        if part == "lora_up.weight":
            found[name] = up @ tensors[f"{name}.lora_down.weight"] * (float(tensors[f"{name}.alpha"]) / up.shape[1])
    return found


def _matching(model, prefix, kohya, deltas):
    names = {}
    for key, _ in model.named_parameters():
        short = key.removeprefix(prefix).removesuffix(".weight")
        names[kohya + short.removeprefix("transformer.").replace(".", "_")] = key
        names[kohya + short.replace(".", "_")] = key
    return {names[name]: delta for name, delta in deltas.items() if name in names}
