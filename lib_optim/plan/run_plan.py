"""The whole plan of a run."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lib_optim.plan.design import StartDesign
from lib_optim.plan.guide import Guide
from lib_optim.plan.noun import Noun
from lib_optim.plan.payload import MAX_SEED, Payload
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.plan.starts import StartPoint

__all__ = ["Budget", "ModelRef", "RunPlan", "SamplerSpec", "SaveSpec"]


@dataclass(frozen=True)
class ModelRef(Noun):
    """One checkpoint.

    Attributes:
        path: File, absolute.
        sha256: Of the whole file, lower-case hex; filled in at Start, found again by it if the file moved.
        title: As the host lists it.
    """

    path: str
    sha256: str = ""
    title: str = ""


@dataclass(frozen=True)
class SamplerSpec(Noun):
    """Who proposes parameters.

    Attributes:
        id: ``auto`` or a row of the sampler registry.
        options: Options of that sampler.
        presets: Names of the presets tried first, in this order; those that do not fit are left out.
        start: The user's own block weights, tried before the presets.
        design: What looks around after them, before the sampler takes over.
    """

    id: str = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)
    presets: tuple[str, ...] = (
        "unchanged", "all A", "all B", "half", "GRAD_V", "GRAD_A", "SMOOTHSTEP", "REVERSE_SMOOTHSTEP",
    )  # fmt: skip
    start: tuple[StartPoint, ...] = ()
    design: StartDesign = field(default_factory=StartDesign)


@dataclass(frozen=True)
class Budget(Noun):
    """How much a run may spend. `trials` counts finished trials, presets included; at least 1."""

    trials: int = 30


@dataclass(frozen=True)
class SaveSpec(Noun):
    """How the winner is written.

    Attributes:
        dtype: Of the weights.
        checkpoint: False keeps only the recipe.
        pruned: Leave out what no program needs to make images (EMA copies, the optimizer's state); False keeps
            everything that the base's file holds.
        vae: A VAE file, absolute, to be stored instead of the base's VAE; empty keeps that.
        fix_clip: Store CLIP's position ids as whole numbers 0 to 76 where the base's are broken.
    """

    dtype: Literal["fp16", "bf16", "fp32"] = "fp16"
    checkpoint: bool = True
    pruned: bool = False
    vae: str = ""
    fix_clip: bool = False


@dataclass(frozen=True)
class RunPlan(Noun):
    """Everything a run needs to know.

    Attributes:
        name: Part of the run folder's name.
        models: A first: the base, from which everything that is not merged comes; then B, C, ….
        method: Identifier of the merge method.
        guide: What to vary.
        payloads: At least one with a score weight above 0.
        scorers: At least one.
        sampler: Who proposes.
        budget: When to end.
        save: What happens to the winner.
        seed: Root of every random choice of the run, 0 to 2**32 - 1.
        recipe: For the method ``recipe``: the text (``.mecha``) whose graph is merged. `models` are then its models, in
            the order in which `lib_optim.merging.graph` finds them; their files may have other names by now.
        merge_device: Where merges are computed: ``cpu``, ``gpu`` (the host's), or ``auto``, which takes the GPU if the
            model stays there. A run stays on one device, because two may round a last bit differently.
        adjust: Search the layer adjustment (`lib_optim.plan.adjust`) too, on top of the merge.
        methods: Further merge methods: every trial takes one of `method` and these, as one more thing that is searched.
        block_map: Text of a block map of the user (`lib_optim.plan.own_maps`); empty for the usual blocks.
    """

    name: str
    models: tuple[ModelRef, ...]
    method: str
    guide: Guide
    payloads: tuple[Payload, ...]
    scorers: tuple[ScorerSpec, ...]
    sampler: SamplerSpec = field(default_factory=SamplerSpec)
    budget: Budget = field(default_factory=Budget)
    save: SaveSpec = field(default_factory=SaveSpec)
    seed: int = 0
    recipe: str = ""
    adjust: bool = False
    merge_device: Literal["auto", "cpu", "gpu"] = "auto"
    block_map: str = ""
    methods: tuple[str, ...] = ()

    def with_drawn_seeds(self) -> RunPlan:
        """Return the plan with every payload seed and variation seed of -1 replaced by one derived from `seed`."""
        drawn = random.Random(f"payload seeds {self.seed}")
        payloads = tuple(
            dataclasses.replace(
                payload,
                seed=payload.seed if payload.seed >= 0 else drawn.randrange(MAX_SEED),
                subseed=payload.subseed if payload.subseed >= 0 else drawn.randrange(MAX_SEED),
            )
            for payload in self.payloads
        )
        return dataclasses.replace(self, payloads=payloads)
