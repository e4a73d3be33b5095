"""A payload: one prompt with its generation settings, and the images it asks for."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lib_optim.plan.errors import Problem
from lib_optim.plan.noun import Noun
from lib_optim.plan.payload_extras import extra_problems

__all__ = [
    "FORBIDDEN_OVERRIDES",
    "LIMITS",
    "MAX_SEED",
    "OWN_FIELDS",
    "ImageJob",
    "Payload",
    "drawn_like",
    "drawn_seeds",
    "fresh_seeds",
    "jobs_of",
    "same_picture",
]

# These swap, reload or change models inside a generation, so that the image would not show the merge.
FORBIDDEN_OVERRIDES = (
    "sd_model_checkpoint", "sd_vae", "sd_unet", "sd_hypernetwork", "fp8_storage",
    "forge_additional_modules", "forge_unet_storage_dtype",
)  # fmt: skip
MAX_SEED = 2**32 - 1
LIMITS: Mapping[str, tuple[float, float]] = {
    "steps": (1, 150), "cfg_scale": (0, 30), "width": (16, 4096), "height": (16, 4096),
    "batch_size": (1, 64), "n_iter": (1, 64), "seed": (-1, MAX_SEED), "subseed": (-1, MAX_SEED),
    "subseed_strength": (0, 1), "clip_skip": (1, 12), "hr_scale": (1, 8),
    "hr_second_pass_steps": (0, 150), "hr_resize_x": (0, 8192), "hr_resize_y": (0, 8192), "hr_cfg": (0, 30),
    "resize_mode": (0, 3), "denoising_strength": (0, 1), "score_weight": (0, 1e6),
    "s_churn": (0, 100), "s_tmin": (0, 10), "s_noise": (0, 2),
}  # fmt: skip
"""Least and greatest value of the number fields; `Payload.eta`, which may be None, has 0 to 1."""


@dataclass(frozen=True)
class Payload(Noun):
    """One prompt with its settings; field names are those of the WebUI's txt2img API.

    Attributes:
        name: Unique within a run.
        prompt: As typed, LoRA tags included.
        negative_prompt: As typed.
        seed: First seed, 0 to 2**32 - 1; -1 draws one when the plan is made, kept for the whole pass.
        steps: Sampling steps, 1 to 150.
        cfg_scale: Guidance, 0 to 30.
        width: Pixels, a multiple of 8.
        height: Pixels, a multiple of 8.
        sampler_name: The host's name; empty takes the host's default.
        scheduler: Noise schedule; empty takes the host's default.
        batch_size: With `n_iter`: how many images, seeds counting up from `seed`. Each image is generated
            and scored on its own, so that any of them can be skipped.
        n_iter: See `batch_size`.
        subseed: Variation seed.
        subseed_strength: 0 to 1; above 0 the variation seed matters.
        clip_skip: Text encoder layers to stop before the end, 1 to 12.
        styles: Names of the host's styles.
        tiling: Seamless textures.
        restore_faces: The host's face restoration.
        eta: Sampler noise, 0 to 1; None takes the host's default.
        s_churn: Sampler churn, 0 to 100.
        s_tmin: Noise level below which churn ends, 0 to 10.
        s_noise: Noise that churn adds, 0 to 2.
        enable_hr: Hires fix.
        hr_scale: Hires fix factor.
        hr_upscaler: Hires fix upscaler.
        hr_second_pass_steps: Hires fix steps; 0 means as many as `steps`.
        hr_resize_x: Hires fix width in pixels, instead of a factor; 0 follows from `hr_resize_y`, or from `hr_scale`.
        hr_resize_y: Likewise.
        hr_sampler_name: Hires fix sampler; empty takes `sampler_name`.
        hr_scheduler: Hires fix noise schedule; empty takes `scheduler`.
        hr_prompt: Hires fix prompt; empty takes `prompt`. Wildcards are not drawn in it.
        hr_negative_prompt: Likewise.
        hr_cfg: Hires fix guidance; 0 takes `cfg_scale`.
        init_image: File name of the picture that the image begins from (img2img); empty: from noise.
        init_digest: Digest of that picture's pixels, which the plan is given when the run starts: the file may change.
        resize_mode: How that picture is brought to size: 0 stretched, 1 cropped, 2 filled up, 3 stretched as latent.
        denoising_strength: Of hires fix, or of an `init_image`: how much of the picture below is made anew.
        alwayson_scripts: Scripts of the host that work on these images, as in its API:
            ``{"ADetailer": {"args": […]}}``; all others stay out of it.
        override_settings: Host settings for these images; those that swap models are refused.
        score_weight: Share of this payload in the trial's value; 0 shows its images and scores none.
        caption: What scorers read instead of the prompt, if given.
        wildcards: What becomes of wildcards in the prompts (`lib_optim.plan.wildcards`): ``draw`` one text per image
            when the plan is made, ``all`` texts that they can become, or ``off``: the prompts are taken as they are.
        enabled: False leaves it out of the run, and of what a new plan begins with.
    """

    name: str
    prompt: str = ""
    negative_prompt: str = ""
    seed: int = -1
    steps: int = 20
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    sampler_name: str = ""
    scheduler: str = ""
    batch_size: int = 1
    n_iter: int = 1
    subseed: int = -1
    subseed_strength: float = 0.0
    clip_skip: int = 1
    styles: tuple[str, ...] = ()
    tiling: bool = False
    restore_faces: bool = False
    eta: float | None = None
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_noise: float = 1.0
    enable_hr: bool = False
    hr_scale: float = 2.0
    hr_upscaler: str = ""
    hr_second_pass_steps: int = 0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_sampler_name: str = ""
    hr_scheduler: str = ""
    hr_prompt: str = ""
    hr_negative_prompt: str = ""
    hr_cfg: float = 0.0
    init_image: str = ""
    init_digest: str = ""
    resize_mode: int = 0
    denoising_strength: float = 0.7
    alwayson_scripts: Mapping[str, Any] = field(default_factory=dict)
    override_settings: Mapping[str, Any] = field(default_factory=dict)
    score_weight: float = 1.0
    caption: str = ""
    wildcards: Literal["draw", "all", "off"] = "draw"
    enabled: bool = True

    @property
    def images(self) -> int:
        """How many images one trial makes of it."""
        return self.batch_size * self.n_iter

    def used_fields(self) -> tuple[str, ...]:
        """Names of the fields that differ from their defaults: what a host must be able to honour."""
        return tuple(
            f.name
            for f in dataclasses.fields(self)
            if getattr(self, f.name) != _default(f) and f.name not in OWN_FIELDS
            and self._counts(f.name)
        )  # fmt: skip

    def _counts(self, name: str) -> bool:
        """Whether a field can change an image, the others being what they are."""
        if name == "subseed":  # a plan draws one for every payload
            return self.subseed_strength > 0
        if name == "resize_mode":
            return bool(self.init_image)
        if name == "denoising_strength":
            return bool(self.init_image) or self.enable_hr
        return not name.startswith("hr_") or self.enable_hr

    def problems(self, where: str) -> list[Problem]:
        """Return what is out of range, a sentence each."""
        found = [
            Problem(f"{where}.{name}", f"Payload '{self.name}': {name} must lie between {low:g} and {high:g}.")
            for name, (low, high) in LIMITS.items()
            if not low <= getattr(self, name) <= high
        ]
        if self.eta is not None and not 0 <= self.eta <= 1:
            found.append(Problem(f"{where}.eta", f"Payload '{self.name}': eta must lie between 0 and 1."))
        found += [
            Problem(f"{where}.{name}", f"Payload '{self.name}': {name} must be a multiple of 8.")
            for name in ("width", "height")
            if getattr(self, name) % 8
        ]
        found += [
            Problem(
                f"{where}.override_settings",
                f"Payload '{self.name}' sets {name}, which would replace the merged model; remove it.",
            )
            for name in FORBIDDEN_OVERRIDES
            if name in self.override_settings
        ]
        found += extra_problems(self, where)
        if not self.name.strip():
            found.append(Problem(f"{where}.name", "A payload has no name; give it one."))
        return found


# Fields that concern Optim and not the host.
OWN_FIELDS = frozenset(
    {"name", "score_weight", "caption", "wildcards", "enabled", "batch_size", "n_iter", "init_digest"}
)


def _default(f: dataclasses.Field[Any]) -> Any:
    return f.default if f.default_factory is dataclasses.MISSING else f.default_factory()


@dataclass(frozen=True)
class ImageJob:
    """One image to generate.

    Attributes:
        index: Position among all images of a trial, from 0.
        payload: Its settings; `payload.seed` is the payload's first seed.
        seed: The seed of this very image.
        subseed: Its variation seed.
    """

    index: int
    payload: Payload
    seed: int
    subseed: int


def jobs_of(payloads: tuple[Payload, ...]) -> tuple[ImageJob, ...]:
    """Return the images of one trial, the same for every trial of a pass (common random numbers)."""
    jobs: list[ImageJob] = []
    for payload in payloads:
        for i in range(payload.images):
            seed, subseed = (payload.seed + i) % (MAX_SEED + 1), max(payload.subseed, 0)
            jobs.append(ImageJob(len(jobs), payload, seed, subseed))
    return tuple(jobs)


def drawn_seeds(payloads: tuple[Payload, ...], root: str) -> tuple[Payload, ...]:
    """Return `payloads` with every seed and variation seed of -1 replaced by one derived from `root`."""
    drawn = random.Random(root)
    return tuple(
        dataclasses.replace(
            payload,
            seed=payload.seed if payload.seed >= 0 else drawn.randrange(MAX_SEED),
            subseed=payload.subseed if payload.subseed >= 0 else drawn.randrange(MAX_SEED),
        )
        for payload in payloads
    )


def drawn_like(payloads: tuple[Payload, ...], known: tuple[Payload, ...], root: str) -> tuple[Payload, ...]:
    """Return `payloads` with drawn seeds, those of `known` where a payload is the same but for its seeds."""

    def undrawn(payload: Payload) -> Payload:
        return dataclasses.replace(payload, seed=-1, subseed=-1)

    before = {payload.name: payload for payload in known}

    def kept(payload: Payload) -> Payload:
        same = before.get(payload.name)
        if same is None or undrawn(same) != undrawn(payload):
            return payload
        seed = payload.seed if payload.seed >= 0 else same.seed
        return dataclasses.replace(
            payload, seed=seed, subseed=payload.subseed if payload.subseed >= 0 else same.subseed
        )

    return drawn_seeds(tuple(map(kept, payloads)), root)


def same_picture(a: ImageJob, b: ImageJob) -> bool:
    """Whether both jobs make the same image of the same merge, however it counts and whatever it is called."""
    # the picture below is the same if its pixels are, wherever it lies
    compared = {f.name for f in dataclasses.fields(Payload)} - OWN_FIELDS - {"seed", "subseed", "init_image"}
    fields = compared | {"init_digest"}
    same = all(getattr(a.payload, name) == getattr(b.payload, name) for name in fields)
    varied = a.payload.subseed_strength > 0
    return same and a.seed == b.seed and (not varied or a.subseed == b.subseed)


def fresh_seeds(payloads: tuple[Payload, ...], root: str) -> tuple[Payload, ...]:
    """Return `payloads` with other seeds and variation seeds, derived from `root`: no image has one it had before."""
    drawn = random.Random(root)
    fresh = []
    for payload in payloads:
        taken = {(payload.seed + i) % (MAX_SEED + 1) for i in range(payload.images)}
        seed = drawn.randrange(MAX_SEED)
        while not taken.isdisjoint((seed + i) % (MAX_SEED + 1) for i in range(payload.images)):
            seed = drawn.randrange(MAX_SEED)
        fresh.append(dataclasses.replace(payload, seed=seed, subseed=drawn.randrange(MAX_SEED)))
    return tuple(fresh)
