"""Test host: `modules.processing` of Forge."""

from pathlib import Path

import torch

from modules import sd_samplers, shared
from tests.webui.processing import make_processing

need_global_unload = False


class _Forge:
    shared = shared
    empty_cache = [None, None, None]

    def grad_mode(self):
        return torch.inference_mode()

    def before(self, p):
        global need_global_unload
        from backend import memory_management

        from modules import sd_models, sysinfo

        if sd_models.checkpoint_aliases.get(p.override_settings.get("sd_model_checkpoint")) is None:
            p.override_settings.pop("sd_model_checkpoint", None)
        sysinfo.set_config(p.override_settings, is_api=True, run_callbacks=False, save_config=False)
        _, just_reloaded = sd_models.forge_model_reload()
        if need_global_unload and not just_reloaded:
            memory_management.unload_all_models()
        if need_global_unload:
            p.clear_prompt_cache()
        need_global_unload = False

    def after(self, p, stored):
        from modules import sysinfo

        sysinfo.set_config(stored, save_config=False)

    def before_iteration(self, p):
        from modules import sd_models

        sd_models.forge_model_reload()
        model = shared.sd_model
        model.forge_objects = model.forge_objects_original.shallow_copy()

    def activate(self, p, tags):
        import networks

        networks.load_networks([items for kind, items in tags if kind == "lora"])
        model = shared.sd_model
        model.forge_objects = model.forge_objects_after_applying_lora.shallow_copy()

    def encode(self, p, prompt):
        return shared.sd_model.encode(prompt, shared.opts.CLIP_stop_at_last_layers)

    def unet_signature(self, p):
        return shared.sd_model.unet_signature()

    def vae_signature(self, p):
        return shared.sd_model.vae_signature()

    def vae_name(self):
        return None

    def module_names(self):
        modules = shared.opts.forge_additional_modules
        return {f"Module {i}": Path(path).stem for i, path in enumerate(modules, 1)}


_made = make_processing(_Forge(), sd_samplers.step_hooks)
StableDiffusionProcessing = _made.StableDiffusionProcessing
StableDiffusionProcessingTxt2Img = _made.StableDiffusionProcessingTxt2Img
StableDiffusionProcessingImg2Img = _made.StableDiffusionProcessingImg2Img
Processed, process_images = _made.Processed, _made.process_images
closed, processed = _made.closed, _made.processed
