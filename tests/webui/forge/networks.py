"""Test host: Forge's built-in LoRA extension, which makes patched clones."""

from modules import sd_models, shared
from safetensors.torch import load_file

from tests.webui.kohya import deltas_of, matching

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
        deltas = deltas_of(load_file(filename))
        unet, clip = model.forge_objects.unet.clone(), model.forge_objects.clip.clone()
        unet.add_patches(filename, matching(unet.model, "diffusion_model.", "lora_unet_", deltas), strength)
        clip.patcher.add_patches(filename, matching(clip.cond_stage_model, "clip_l.", "lora_te_", deltas), strength)
        model.forge_objects.unet, model.forge_objects.clip = unet, clip
    model.forge_objects_after_applying_lora = model.forge_objects.shallow_copy()
