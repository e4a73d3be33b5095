"""The whole plan of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from lib_optim.plan.combining import AS_BEFORE, Combining
from lib_optim.plan.design import StartDesign
from lib_optim.plan.drawn_prompts import drawn_prompts
from lib_optim.plan.guide import Guide
from lib_optim.plan.noun import Noun
from lib_optim.plan.payload import Payload, drawn_like, drawn_seeds
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.plan.starts import StartPoint
from lib_optim.plan.wildcards import Wildcards

__all__ = [
    "Budget",
    "DiskSpec",
    "ModelRef",
    "PassSpec",
    "RunPlan",
    "SamplerSpec",
    "SaveSpec",
    "SharedSpec",
    "VerifySpec",
]


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
        earlier: Trials of an earlier run that CMA-ES learns its first steps from (``begin``: ``warm start``); they are
            not tried again. Those that do not fit the space are left out.
    """

    id: str = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)
    presets: tuple[str, ...] = (
        "unchanged", "all A", "all B", "half", "GRAD_V", "GRAD_A", "SMOOTHSTEP", "REVERSE_SMOOTHSTEP",
    )  # fmt: skip
    start: tuple[StartPoint, ...] = ()
    design: StartDesign = field(default_factory=StartDesign)
    earlier: tuple[StartPoint, ...] = ()


@dataclass(frozen=True)
class Budget(Noun):
    """How much a search may spend, and when it has found enough: it ends by the rule that holds first.

    Attributes:
        trials: Finished trials, starts and presets included; at least 1.
        images: Images in all; 0 sets no limit. No trial begins that would go beyond it.
        minutes: Time at work: merging, generating and scoring, not pauses or waiting for a human. No trial begins
            after it; 0 sets no limit.
        patience: Proposed trials in a row that do not beat the best by more than `min_delta`; 0 is endless.
        min_delta: What counts as better than the best, in units of the score; 0 takes any.
        target: The search ends with the first trial whose score is at least this.
    """

    trials: int = 30
    images: int = 0
    minutes: float = 0.0
    patience: int = 0
    min_delta: float = 0.0
    target: float | None = None

    def most_trials(self, images: int, extra: int = 0) -> int:
        """Return how many trials of `images` images each it allows, if `extra` are needed for something else."""
        return min(self.trials, max(self.images - extra, 0) // images) if self.images and images else self.trials


@dataclass(frozen=True)
class VerifySpec(Noun):
    """How the winner is verified: the best few are made again from seeds that the search never saw.

    Attributes:
        finalists: How many of the best are made again, 0 to 20; 0 names the best of the search, unverified.
        payloads: Held-out prompts, which only the finalists are judged by, beside the search's own on fresh seeds.
        scorers: Held-out scorers. They decide nothing: they show whether somebody else agrees.
    """

    finalists: int = 3
    payloads: tuple[Payload, ...] = ()
    scorers: tuple[ScorerSpec, ...] = ()


@dataclass(frozen=True)
class PassSpec(Noun):
    """A later pass of a run: it starts from the best so far. What is None is as in the first pass.

    Attributes:
        name: For the page; may be empty.
        payloads: What its merges are judged by; at least one with a score weight above 0.
        scorers: Who judges.
        sampler: Who proposes; None takes the first pass's sampler without its start design.
        budget: When it ends, counted by itself.
        free: The parameters that it searches, names or wildcards; all others stay as in the best so far. Empty: all.
    """

    name: str = ""
    payloads: tuple[Payload, ...] | None = None
    scorers: tuple[ScorerSpec, ...] | None = None
    sampler: SamplerSpec | None = None
    budget: Budget | None = None
    free: tuple[str, ...] = ()


@dataclass(frozen=True)
class SharedSpec(Noun):
    """A study that several workers (WebUIs, GPUs, machines) share.

    Attributes:
        url: Of the storage: ``sqlite:///…``, ``postgresql://…``, ``mysql://…`` or ``grpc://host:port``; ``$NAME``
            stands for a variable of the environment, such as a password. Empty: this run is alone.
        name: Of the study, the same for all its workers.
        patience: Seconds without a sign of life after which a worker's trial goes to another one, 1 to 86400.
    """

    url: str = ""
    name: str = ""
    patience: float = 60.0


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
        name: Of the file, without ending; after run and trial if empty.
    """

    dtype: Literal["fp16", "bf16", "fp32"] = "fp16"
    checkpoint: bool = True
    pruned: bool = False
    vae: str = ""
    fix_clip: bool = False
    name: str = ""


@dataclass(frozen=True)
class DiskSpec(Noun):
    """What a run may take of the disk.

    Attributes:
        gigabytes: Of 10**9 bytes, for the run's images; where they are used up, the run pauses before the next trial. 0
            sets no limit.
        format: Of the image files. Judges see the image before it is written; a resume or a new scoring reads the file.
        quality: Of JPEG and WebP, 50 to 100.
    """

    gigabytes: float = 0.0
    format: Literal["png", "jpeg", "webp"] = "png"
    quality: int = 90


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
        verify: How the winner is verified, after the last pass.
        passes: What comes after the first pass, which the fields above describe.
        shared: The study that other workers take part in, if any.
        save: What happens to the winner.
        seed: Root of every random choice of the run, 0 to 2**32 - 1.
        recipe: For the method ``recipe``: the text (``.mecha``) whose graph is merged. `models` are then its models, in
            the order in which `lib_optim.merging.graph` finds them; their files may have other names by now.
        merge_device: Where merges are computed: ``cpu``, ``gpu`` (the host's), or ``auto``, which takes the GPU if the
            model stays there. A run stays on one device, because two may round a last bit differently.
        adjust: Search the layer adjustment (`lib_optim.plan.adjust`) too, on top of the merge.
        methods: Further merge methods: every trial takes one of `method` and these, as one more thing that is searched.
        block_map: Text of a block map of the user (`lib_optim.plan.own_maps`); empty for the usual blocks.
        ahead: How many trials may wait for a person's ratings while the next one is made, 0 to 10.
        combining: How the scores of a trial become its value.
        disk: What its images may take of the disk, and how they are written.
    """

    VERSION: ClassVar[int] = 2  # 1 had no `combining`

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
    verify: VerifySpec = field(default_factory=VerifySpec)
    passes: tuple[PassSpec, ...] = ()
    methods: tuple[str, ...] = ()
    shared: SharedSpec = field(default_factory=SharedSpec)
    ahead: int = 0
    combining: Combining = field(default_factory=Combining)
    disk: DiskSpec = field(default_factory=DiskSpec)

    @classmethod
    def upgrade(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        """Return the fields of an older plan: its scores are combined as they were."""
        del version
        return {**data, "combining": AS_BEFORE.to_json()}

    def with_drawn_prompts(self, wildcards: Wildcards) -> RunPlan:
        """Return the plan with every wildcard in a prompt drawn, as `seed` and the payload's name say.

        Raises:
            PlanError: A wildcard file is missing, or the like; one sentence per payload.
        """
        root = f"prompts {self.seed}"
        verify = dataclasses.replace(self.verify, payloads=drawn_prompts(self.verify.payloads, wildcards, root))
        passes = tuple(
            dataclasses.replace(later, payloads=drawn_prompts(later.payloads, wildcards, root))
            if later.payloads is not None
            else later
            for later in self.passes
        )
        payloads = drawn_prompts(self.payloads, wildcards, root)
        return dataclasses.replace(self, payloads=payloads, verify=verify, passes=passes)

    def with_drawn_seeds(self) -> RunPlan:
        """Return the plan with every payload seed and variation seed of -1 replaced by one derived from `seed`."""
        payloads = drawn_seeds(self.payloads, f"payload seeds {self.seed}")
        held_out = drawn_seeds(self.verify.payloads, f"held-out seeds {self.seed}")
        verify = dataclasses.replace(self.verify, payloads=held_out)
        passes = tuple(
            dataclasses.replace(later, payloads=drawn_like(later.payloads, payloads, f"pass {i} seeds {self.seed}"))
            if later.payloads is not None
            else later
            for i, later in enumerate(self.passes, 2)
        )
        return dataclasses.replace(self, payloads=payloads, verify=verify, passes=passes)
