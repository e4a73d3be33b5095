"""`modules.processing` of the test host; a flavour supplies what differs between A1111 and Forge."""

from __future__ import annotations

import dataclasses
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any, ClassVar, Protocol

import torch

from tests.webui.network import denoise, noise, picture
from tests.webui.parts import lora_tags

__all__ = ["Flavour", "make_processing"]


class Flavour(Protocol):
    """What a host does differently."""

    shared: Any
    empty_cache: list[None]

    def grad_mode(self) -> AbstractContextManager[Any]: ...
    def before(self, p: Any) -> None: ...
    def after(self, p: Any, stored: dict[str, Any]) -> None: ...
    def before_iteration(self, p: Any) -> None: ...
    def activate(self, p: Any, tags: list[tuple[str, list[str]]]) -> None: ...
    def encode(self, p: Any, prompt: str) -> torch.Tensor: ...
    def unet_signature(self, p: Any) -> torch.Tensor: ...
    def vae_signature(self, p: Any) -> torch.Tensor: ...
    def vae_name(self) -> str | None: ...


def make_processing(  # noqa: C901, PLR0915
    flavour: Flavour, step_hooks: list[Any], schedulers: bool = True
) -> SimpleNamespace:
    """Build the classes and `process_images`, bound to one flavour; without `schedulers`, none can be named."""
    shared, state, opts = flavour.shared, flavour.shared.state, flavour.shared.opts

    @dataclasses.dataclass(repr=False)
    class StableDiffusionProcessing:
        sd_model: object = None
        outpath_samples: str | None = None
        outpath_grids: str | None = None
        prompt: str = ""
        negative_prompt: str = ""
        styles: list[str] | None = None
        seed: int = -1
        subseed: int = -1
        subseed_strength: float = 0
        sampler_name: str | None = None
        if schedulers:
            scheduler: str | None = None
        batch_size: int = 1
        n_iter: int = 1
        steps: int = 50
        cfg_scale: float = 7.0
        width: int = 512
        height: int = 512
        restore_faces: bool | None = None
        tiling: bool | None = None
        do_not_save_samples: bool = False
        do_not_save_grid: bool = False
        extra_generation_params: dict[str, Any] | None = None
        eta: float | None = None
        s_churn: float | None = None
        s_tmin: float | None = None
        s_noise: float | None = None
        denoising_strength: float | None = None
        override_settings: dict[str, Any] | None = None
        override_settings_restore_afterwards: bool = True
        refiner_checkpoint: str | None = None
        disable_extra_networks: bool = False

        cached_c: ClassVar[list[Any]] = list(flavour.empty_cache)
        cached_uc: ClassVar[list[Any]] = list(flavour.empty_cache)
        scripts = None
        script_args = ()
        enable_hr = False

        def __post_init__(self) -> None:
            self.styles = self.styles or []
            self.extra_generation_params = self.extra_generation_params or {}
            self.override_settings = self.override_settings or {}
            self.comments: dict[str, int] = {}
            self.cached_c = StableDiffusionProcessing.cached_c
            self.cached_uc = StableDiffusionProcessing.cached_uc

        def clear_prompt_cache(self) -> None:
            for owner in (self, StableDiffusionProcessing):
                owner.cached_c, owner.cached_uc = list(flavour.empty_cache), list(flavour.empty_cache)

        def close(self) -> None:
            if not opts.persistent_cond_cache:
                StableDiffusionProcessing.cached_c = list(flavour.empty_cache)
                StableDiffusionProcessing.cached_uc = list(flavour.empty_cache)
            closed.append(self)

    @dataclasses.dataclass(repr=False)
    class StableDiffusionProcessingTxt2Img(StableDiffusionProcessing):
        enable_hr: bool = False
        denoising_strength: float = 0.75
        hr_scale: float = 2.0
        hr_upscaler: str | None = None
        hr_second_pass_steps: int = 0
        hr_checkpoint_name: str | None = None

        cached_hr_c: ClassVar[list[Any]] = list(flavour.empty_cache)
        cached_hr_uc: ClassVar[list[Any]] = list(flavour.empty_cache)

        def __post_init__(self) -> None:
            super().__post_init__()
            self.cached_hr_c = StableDiffusionProcessingTxt2Img.cached_hr_c
            self.cached_hr_uc = StableDiffusionProcessingTxt2Img.cached_hr_uc

    @dataclasses.dataclass(repr=False)
    class StableDiffusionProcessingImg2Img(StableDiffusionProcessing):
        init_images: list[Any] | None = None
        resize_mode: int = 0
        denoising_strength: float = 0.75

    class Processed:
        def __init__(self, p: Any, images: list[Any], infotexts: list[str]) -> None:
            self.images, self.infotexts, self.index_of_first_image = images, infotexts, 0
            self.all_seeds, self.all_prompts = p.all_seeds, p.all_prompts
            self.info = infotexts[0] if infotexts else ""

    closed: list[Any] = []
    processed: list[Any] = []

    def create_infotext(p: Any, index: int) -> str:
        params = {
            "Steps": p.steps, "Sampler": p.sampler_name,
            "Schedule type": p.scheduler if schedulers else None, "CFG scale": p.cfg_scale,
            "Seed": p.all_seeds[index], "Size": f"{p.width}x{p.height}",
            "Model hash": p.sd_model_hash, "Model": p.sd_model_name, "VAE": flavour.vae_name(),
            "Clip skip": None if opts.CLIP_stop_at_last_layers <= 1 else opts.CLIP_stop_at_last_layers,
            **getattr(flavour, "module_names", dict)(), **p.extra_generation_params, "Version": "test host",
        }  # fmt: skip
        line = ", ".join(f"{k}: {v}" for k, v in params.items() if v is not None)
        negative = f"\nNegative prompt: {p.negative_prompt}" if p.negative_prompt else ""
        return f"{p.prompt}{negative}\n{line}"

    def cached(p: Any, prompt: str, caches: list[list[Any]], size: tuple[int, int], tags: Any) -> torch.Tensor:
        key = (prompt, p.steps, size, opts.CLIP_stop_at_last_layers, shared.sd_model.sd_checkpoint_info, str(tags))
        for cache in caches:
            if cache[0] is not None and cache[0] == key:
                return cache[1]
        caches[0][1] = flavour.encode(p, prompt)
        caches[0][0] = key
        return caches[0][1]

    def sample(p: Any, x: torch.Tensor, c: torch.Tensor, uc: torch.Tensor, steps: int) -> torch.Tensor:
        signature = flavour.unet_signature(p)
        state.sampling_steps = steps
        for step in range(steps):
            state.sampling_step = step
            for hook in list(step_hooks):
                hook(step)
            if state.interrupted or state.skipped:
                return x  # what there is so far: a partial image
            x = denoise(x, signature, c, uc, p.cfg_scale)
            state.current_latent = x
            if opts.live_previews_enable and (step + 1) % opts.show_progress_every_n_steps == 0:
                state.assign_current_image(picture(x, torch.zeros(8, dtype=torch.float64), 16, 16))
        return x

    def process_images(p: Any) -> Processed:
        processed.append(p)
        # Only settings that were saved or set before are remembered, as in the hosts.
        stored = {key: opts.data[key] for key in p.override_settings if key in opts.data}
        try:
            flavour.before(p)
            return process_images_inner(p)
        finally:
            flavour.after(p, stored if p.override_settings_restore_afterwards else {})

    def process_images_inner(p: Any) -> Processed:
        p.sampler_name = p.sampler_name or "Euler"
        p.scheduler = getattr(p, "scheduler", None) or "Automatic"
        p.sd_model_name = shared.sd_model.sd_checkpoint_info.name_for_extra
        p.sd_model_hash = shared.sd_model.sd_model_hash
        count = p.batch_size * p.n_iter
        p.all_prompts, p.all_seeds = [p.prompt] * count, [p.seed + i for i in range(count)]
        images: list[Any] = []
        infotexts: list[str] = []
        with flavour.grad_mode():
            if state.job_count == -1:
                state.job_count = p.n_iter
            if p.enable_hr and not state.processing_has_refined_job_count:
                state.job_count *= 2
                state.processing_has_refined_job_count = True
            for n in range(p.n_iter):
                if state.skipped:
                    state.skipped = False
                if state.interrupted or state.stopping_generation:
                    break
                flavour.before_iteration(p)
                prompt, tags = lora_tags(p.prompt)
                if not p.disable_extra_networks:
                    flavour.activate(p, tags)
                size = (p.width, p.height)
                uc = cached(p, p.negative_prompt, [p.cached_uc], size, tags)
                c = cached(p, prompt, [p.cached_c], size, tags)
                if not shared.cmd_opts.no_prompt_history:
                    (shared.folder / "params.txt").write_text(create_infotext(p, 0), encoding="utf-8")
                for i in range(p.batch_size):
                    seed = p.all_seeds[n * p.batch_size + i]
                    x = noise(seed, max(p.subseed, 0), p.subseed_strength)
                    if getattr(p, "init_images", None):
                        # The hosts draw what they encode from the process's own generator.
                        grey = sum(p.init_images[0].convert("L").resize((1, 1)).getdata()) / 255
                        x = x + grey + torch.randn(x.shape) * 0.1
                    x = sample(p, x, c, uc, p.steps)
                    width, height = p.width, p.height
                    if p.enable_hr and not state.interrupted:
                        flavour.before_iteration(p)
                        width, height = int(width * p.hr_scale), int(height * p.hr_scale)
                        uc2 = cached(p, p.negative_prompt, [p.cached_hr_uc, p.cached_uc], (width, height), tags)
                        c2 = cached(p, prompt, [p.cached_hr_c, p.cached_c], (width, height), tags)
                        x = sample(p, x, c2, uc2, p.hr_second_pass_steps or p.steps)
                    images.append(picture(x, flavour.vae_signature(p), width, height))
                    if p.scripts is not None:
                        images[-1] = p.scripts.postprocess_image(p, images[-1])
                    infotexts.append(create_infotext(p, n * p.batch_size + i))
                    images[-1].info["parameters"] = infotexts[-1]
                state.nextjob()
        return Processed(p, images, infotexts)

    return SimpleNamespace(
        StableDiffusionProcessing=StableDiffusionProcessing,
        StableDiffusionProcessingTxt2Img=StableDiffusionProcessingTxt2Img,
        StableDiffusionProcessingImg2Img=StableDiffusionProcessingImg2Img,
        Processed=Processed, process_images=process_images, create_infotext=create_infotext,
        closed=closed, processed=processed,
    )  # fmt: skip
