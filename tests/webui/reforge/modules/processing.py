"""Test host: `modules.processing` of reForge and Classic."""

import torch
from modules_forge.flavour import CLASSIC

from modules import sd_samplers, shared
from tests.webui.processing import make_processing


class _ReForge:
    shared = shared
    empty_cache = (None, None)

    def grad_mode(self):
        return torch.inference_mode()

    def before(self, p):
        from modules import sd_models, sd_vae

        if sd_models.checkpoint_aliases.get(p.override_settings.get("sd_model_checkpoint")) is None:
            p.override_settings.pop("sd_model_checkpoint", None)
            sd_models.reload_model_weights()
        for key, value in p.override_settings.items():
            shared.opts.set(key, value, is_api=True, run_callbacks=False)
            if key == "sd_model_checkpoint":
                sd_models.reload_model_weights()
            if key == "sd_vae":
                sd_vae.reload_vae_weights()

    def after(self, p, stored):
        from modules import sd_vae

        for key, value in stored.items():
            setattr(shared.opts, key, value)
            if key == "sd_vae":
                sd_vae.reload_vae_weights()

    def before_iteration(self, p):
        from modules import sd_models

        sd_models.reload_model_weights()
        model = shared.sd_model
        model.forge_objects = model.forge_objects_original.shallow_copy()
        if not CLASSIC:
            assert p.scripts.alwayson_scripts is not None  # reForge looks a script up in it, whatever it is

    def activate(self, p, tags):
        import networks

        networks.load_networks([items for kind, items in tags if kind == "lora"])
        model = shared.sd_model
        model.forge_objects = model.forge_objects_after_applying_lora.shallow_copy()

    def encode(self, p, prompt):
        cond = shared.sd_model.encode(prompt, shared.opts.CLIP_stop_at_last_layers)
        # reForge pads prompts with the conditioning of an empty one, computed when the model was loaded.
        return cond if CLASSIC else torch.tanh(cond + 0.5 * shared.sd_model.cond_stage_model_empty_prompt)

    def unet_signature(self, p):
        return shared.sd_model.unet_signature()

    def vae_signature(self, p):
        return shared.sd_model.vae_signature()

    def vae_name(self):
        from modules import sd_vae

        return sd_vae.get_loaded_vae_name()


_made = make_processing(_ReForge(), sd_samplers.step_hooks, schedulers=not CLASSIC)
StableDiffusionProcessing = _made.StableDiffusionProcessing
StableDiffusionProcessingTxt2Img = _made.StableDiffusionProcessingTxt2Img
StableDiffusionProcessingImg2Img = _made.StableDiffusionProcessingImg2Img
Processed, process_images = _made.Processed, _made.process_images
closed, processed = _made.closed, _made.processed
