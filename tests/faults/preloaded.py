"""What a run imports by and by; brought in once by the process that the others are forked from."""

import importlib

for name in (
    "diffusers.models",
    "diffusers.schedulers",
    "optuna",
    "scipy.stats",
    "sd_mecha",
    "torch._dynamo",  # by the first tensor that is initialised on no device
    "transformers.models.clip.modeling_clip",
    "lib_optim.hosts.standalone.model",
    "lib_optim.hosts.standalone.session",
    "lib_optim.merging.engine",
    "lib_optim.search.recorded_sampler",
    "tests.faults.child",
):
    importlib.import_module(name)
