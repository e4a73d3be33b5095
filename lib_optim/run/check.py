"""Validation of a whole plan, in one pass, before anything is touched."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lib_optim.hosts.base import Checkpoint, Host
from lib_optim.merging.methods import merge_method
from lib_optim.plan.architectures import ARCHITECTURES, Architecture, architecture_of
from lib_optim.plan.blocks import BlockMap, block_map
from lib_optim.plan.errors import CheckpointError, PlanError, Problem
from lib_optim.plan.header import CheckpointHeader, read_header
from lib_optim.plan.methods import MergeMethod
from lib_optim.plan.payload import ImageJob, jobs_of
from lib_optim.plan.presets import preset
from lib_optim.plan.run_plan import RunPlan
from lib_optim.plan.space import Space, space_of
from lib_optim.scoring.check import scorer_problems
from lib_optim.search.samplers import sampler_problems

__all__ = ["PlanCheck", "Resolved", "check_plan"]

MAX_TRIALS = 100_000
_BYTES_PER_PIXEL = 1.7  # measured PNG size of generated images is 1.2 to 1.9 bytes per pixel


@dataclass(frozen=True)
class Resolved:
    """A plan with everything it names looked up."""

    plan: RunPlan
    base: Checkpoint
    models: tuple[Path, ...]
    headers: tuple[CheckpointHeader, ...]
    architecture: Architecture
    blocks: BlockMap
    method: MergeMethod
    space: Space
    jobs: tuple[ImageJob, ...]

    @property
    def components(self) -> frozenset[str]:
        """Components of which at least one block is merged."""
        return frozenset(self.blocks.block(name).component for name in self.space.merged_blocks)


@dataclass(frozen=True)
class PlanCheck:
    """The result.

    Attributes:
        problems: Why it cannot run; empty if it can.
        resolved: The plan looked up, or None where problems prevent it.
        warnings: What the user should know and may ignore.
        merged_bytes: Size of the tensors that each trial writes, as stored in A's file.
        image_bytes: Rough size of all images of the run.
    """

    problems: tuple[Problem, ...]
    resolved: Resolved | None = None
    warnings: tuple[str, ...] = ()
    merged_bytes: int = 0
    image_bytes: int = 0

    @property
    def images_per_trial(self) -> int:
        """How many images one trial makes."""
        return len(self.resolved.jobs) if self.resolved else 0


def check_plan(plan: RunPlan, host: Host, scorers_dir: Path) -> PlanCheck:
    """Look at everything in `plan`, and name every problem, a sentence each. Reads headers only; any thread."""
    plan = plan.with_drawn_seeds()
    problems = [
        *_scalars(plan), *_payloads(plan, host), *_scorers(plan, scorers_dir), *sampler_problems(plan.sampler),
        *_presets(plan),
    ]  # fmt: skip
    headers = _headers(plan, problems)
    architecture = _architecture(headers, host, problems) if headers else None
    method = _method(plan, problems)
    base = _base(plan, host, problems)
    if architecture is None or method is None or base is None or architecture.block_map is None:
        return PlanCheck(tuple(problems))
    blocks = block_map(architecture.block_map)
    try:
        space = space_of(plan.guide, method, blocks)
    except PlanError as error:
        problems.extend(error.problems)
        return PlanCheck(tuple(problems))
    models = tuple(Path(model.path) for model in plan.models)
    resolved = Resolved(plan, base, models, tuple(headers), architecture, blocks, method, space, jobs_of(plan.payloads))
    problems.extend(_capabilities(resolved, host))
    merged = sum(
        info.nbytes
        for key, info in headers[0].tensors.items()
        if blocks.block_of(key) in space.merged_blocks
    )  # fmt: skip
    images = int(
        plan.budget.trials * sum(job.payload.width * job.payload.height for job in resolved.jobs) * _BYTES_PER_PIXEL
    )
    problems.extend(_disk(host, images))
    return PlanCheck(tuple(problems), resolved if not problems else None, tuple(_warnings(resolved)), merged, images)


def _scalars(plan: RunPlan) -> Iterator[Problem]:
    if not 1 <= plan.budget.trials <= MAX_TRIALS:
        yield Problem(
            "budget.trials", f"The number of trials must lie between 1 and {MAX_TRIALS}, not {plan.budget.trials}."
        )
    if not 0 <= plan.seed < 2**32:
        yield Problem("seed", f"The seed must lie between 0 and {2**32 - 1}, not {plan.seed}.")
    if not plan.name.strip():
        yield Problem("name", "The run has no name; give it one.")


def _payloads(plan: RunPlan, host: Host) -> Iterator[Problem]:
    if not plan.payloads:
        yield Problem("payloads", "No payload is chosen; choose at least one prompt to generate.")
    elif not any(payload.score_weight > 0 for payload in plan.payloads):
        yield Problem("payloads", "Every payload has score weight 0, so nothing would be scored; raise one.")
    for name, count in Counter(payload.name for payload in plan.payloads).items():
        if count > 1:
            yield Problem("payloads", f"Two payloads are called '{name}'; rename one.")
    can = host.capabilities()
    for i, payload in enumerate(plan.payloads):
        where = f"payloads[{i}]"
        yield from payload.problems(where)
        for name in payload.used_fields():
            if name not in can.payload_fields:
                yield Problem(
                    f"{where}.{name}",
                    f"Payload '{payload.name}' sets {name}, which {host.title} cannot honour; remove it.",
                )
        known = (("sampler_name", can.samplers, "sampler"), ("scheduler", can.schedulers, "scheduler"))
        for name, names, noun in known:
            value = getattr(payload, name)
            if value and name in can.payload_fields and value not in names:
                yield Problem(
                    f"{where}.{name}",
                    f"Payload '{payload.name}': {host.title} has no {noun} '{value}'; it has {', '.join(names[:12])}.",
                )
        if not can.loras and "<lora:" in payload.prompt:
            yield Problem(
                f"{where}.prompt", f"Payload '{payload.name}' uses a LoRA, which {host.title} cannot apply; remove it."
            )


def _scorers(plan: RunPlan, scorers_dir: Path) -> Iterator[Problem]:
    if not plan.scorers:
        yield Problem("scorers", "No scorer is chosen; choose at least one judge (or 'manual' to score by hand).")
    for name, count in Counter(scorer.id for scorer in plan.scorers).items():
        if count > 1:
            yield Problem("scorers", f"The scorer '{name}' is chosen twice; remove one.")
    for spec in plan.scorers:
        yield from scorer_problems(spec, scorers_dir)
        if not spec.weight > 0:
            yield Problem("scorers", f"The weight of scorer '{spec.id}' must be above 0, not {spec.weight:g}.")


def _presets(plan: RunPlan) -> Iterator[Problem]:
    for name in plan.sampler.presets:
        try:
            preset(name)
        except PlanError as error:
            yield Problem("sampler.presets", str(error))


def _headers(plan: RunPlan, problems: list[Problem]) -> list[CheckpointHeader]:
    if len(plan.models) < 2:
        problems.append(Problem("models", "A merge needs at least two models; choose model A and model B."))
    paths = [model.path for model in plan.models]
    problems.extend(
        Problem("models", f"{Path(path).name} is chosen twice; choose different models.")
        for path, count in Counter(paths).items()
        if count > 1
    )
    headers = []
    for i, model in enumerate(plan.models):
        try:
            headers.append(read_header(Path(model.path)))
        except CheckpointError as error:
            problems.append(Problem(f"models[{i}]", str(error)))
    return headers if len(headers) == len(plan.models) and len(headers) >= 2 else []


def _architecture(headers: list[CheckpointHeader], host: Host, problems: list[Problem]) -> Architecture | None:
    found = []
    for i, header in enumerate(headers):
        try:
            found.append(architecture_of(header))
        except CheckpointError as error:
            problems.append(Problem(f"models[{i}]", str(error)))
    if len(found) < len(headers):
        return None
    if len({architecture.id for architecture in found}) > 1:
        listed = ", ".join(f"{h.path.name} is {a.title}" for h, a in zip(headers, found, strict=True))
        problems.append(Problem("models", f"Models of different architectures cannot be merged: {listed}."))
        return None
    architecture = found[0]
    supported = [row.title for row in ARCHITECTURES if row.id in host.capabilities().architectures and row.block_map]
    if architecture.block_map is None or architecture.id not in host.capabilities().architectures:
        problems.append(
            Problem(
                "models",
                f"{headers[0].path.name} is {architecture.title}, which Optim cannot merge in {host.title} yet; it can "
                f"merge {' and '.join(dict.fromkeys(supported))}.",
            )
        )
        return None
    return architecture


def _method(plan: RunPlan, problems: list[Problem]) -> MergeMethod | None:
    try:
        method = merge_method(plan.method)
    except PlanError as error:
        problems.append(Problem("method", str(error)))
        return None
    if not method.takes(len(plan.models)):
        most = method.max_models
        wanted = f"{method.min_models}" if most == method.min_models else f"{method.min_models} to {most or 'any'}"
        problems.append(Problem("method", f"{method.title} takes {wanted} models, but {len(plan.models)} are chosen."))
        return None
    return method


def _base(plan: RunPlan, host: Host, problems: list[Problem]) -> Checkpoint | None:
    if not plan.models:
        return None
    path = Path(plan.models[0].path)
    for refresh in (False, True):
        for checkpoint in host.checkpoints(refresh=refresh):
            if checkpoint.path == path or checkpoint.path.resolve() == path.resolve():
                return checkpoint
    if path.is_file():
        problems.append(
            Problem(
                "models[0]",
                f"{host.title} does not list {path.name}; put model A into {host.paths().models} and refresh.",
            )
        )
    return None


def _capabilities(resolved: Resolved, host: Host) -> Iterator[Problem]:
    can = host.capabilities()
    for component, able in (("text_encoder", can.text_encoder), ("vae", can.vae)):
        if component in resolved.components and not able:
            yield Problem("guide", f"{host.title} cannot merge the {component.replace('_', ' ')}; take it out.")
    present = {resolved.architecture.component_of(key) for key in resolved.headers[0].tensors}
    for component in sorted(resolved.components - present):
        yield Problem(
            "guide",
            f"{resolved.models[0].name} holds no {component.replace('_', ' ')}, so it cannot be merged; take it out "
            "or choose a full checkpoint as model A.",
        )


def _disk(host: Host, image_bytes: int) -> Iterator[Problem]:
    folder = host.paths().outputs
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < image_bytes + 100_000_000:
        yield Problem(
            "budget",
            f"The disk of {folder} has {free / 1e9:.1f} GB free, and the images of this run need about "
            f"{image_bytes / 1e9:.1f} GB; free some room or choose fewer trials.",
        )


def _warnings(resolved: Resolved) -> Iterator[str]:
    base = resolved.headers[0].tensors
    for header in resolved.headers[1:]:
        missing = [
            key
            for key in base
            if resolved.blocks.block_of(key) in resolved.space.merged_blocks and key not in header.tensors
        ]
        if missing:
            yield (
                f"{header.path.name} lacks {len(missing)} of the merged tensors (such as {missing[0]}); there the "
                f"merge keeps those of {resolved.models[0].name}."
            )
