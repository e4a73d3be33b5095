"""Test host: `modules_forge.main_entry`: selections change at once and load lazily."""

from pathlib import Path

from modules import processing, sd_models, shared

module_list = {}
unet_dtypes = {"Automatic": None, "bnb-nf4": "nf4"}


def refresh_models():
    sd_models.list_models()
    module_list.clear()
    folder = shared.folder / "models" / "VAE"
    module_list.update({path.name: str(path) for path in sorted(folder.glob("*.safetensors"))})


def refresh_memory_management_settings(**changes):
    processing.need_global_unload = True


def refresh_model_loading_parameters():
    sd_models.model_data.forge_loading_parameters = {
        "checkpoint_info": sd_models.select_checkpoint(),
        "additional_modules": shared.opts.forge_additional_modules,
        "unet_storage_dtype": unet_dtypes[shared.opts.forge_unet_storage_dtype],
    }
    processing.need_global_unload = True


def checkpoint_change(ckpt_name, save=True, refresh=True):
    new = sd_models.get_closet_checkpoint_match(ckpt_name)
    current = sd_models.get_closet_checkpoint_match(shared.opts.data.get("sd_model_checkpoint", ""))
    if new == current:
        return False
    shared.opts.set("sd_model_checkpoint", ckpt_name)
    if save:
        shared.opts.save(shared.config_filename)
    if refresh:
        refresh_model_loading_parameters()
    return True


def modules_change(module_values, save=True, refresh=True):
    modules = [module_list[Path(v).name] for v in module_values if Path(v).name in module_list]
    if sorted(modules) == sorted(shared.opts.data.get("forge_additional_modules", [])):
        return False
    shared.opts.set("forge_additional_modules", modules)
    if save:
        shared.opts.save(shared.config_filename)
    if refresh:
        refresh_model_loading_parameters()
    return True
