"""Test host: `modules.shared`; `folder` is set by the fixture before anything else is imported."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

from tests.webui import parts

folder = Path(os.environ["OPTIM_TEST_HOST"])
config_filename = str(folder / "config.json")
OptionInfo = parts.OptionInfo
cmd_opts = SimpleNamespace(no_prompt_history=False, lora_dir=str(folder / "models" / "Lora"))
state = parts.State()
opts = parts.Options(
    parts.default_options(
        {
            "forge_additional_modules": [],
            "forge_unet_storage_dtype": "Automatic",
            "forge_inference_memory": 1024,
        }.items()
    )
)
opts.load(config_filename)
loaded_hypernetworks = []
hypernetworks = {}
sd_upscalers = [SimpleNamespace(name="Lanczos")]
latent_upscale_modes = {"Latent": {}}
prompt_styles = SimpleNamespace(
    styles={
        "---- STYLES ----": SimpleNamespace(prompt=None),
        "photo": SimpleNamespace(prompt="photo of {prompt}"),
        "soft, warm": SimpleNamespace(prompt="soft light"),
    }
)


class Shared(sys.modules[__name__].__class__):
    @property
    def sd_model(self):
        from modules import sd_models

        return sd_models.model_data.get_sd_model()


sys.modules[__name__].__class__ = Shared
