"""Validation of a whole plan, in one pass, before anything is touched."""

from __future__ import annotations

import dataclasses
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lib_optim.hosts.base import Checkpoint, Host
from lib_optim.merging.compose import plan_method
from lib_optim.merging.user_methods import load_user_methods
from lib_optim.plan.architectures import Architecture
from lib_optim.plan.blocks import BlockMap, block_map
from lib_optim.plan.earlier import earlier_problems
from lib_optim.plan.errors import CheckpointError, PlanError, Problem
from lib_optim.plan.header import CheckpointHeader, read_header
from lib_optim.plan.methods import MergeMethod
from lib_optim.plan.objectives import axes_of
from lib_optim.plan.own_maps import map_problems, plan_blocks
from lib_optim.plan.passes import first_pass, later_pass, verification_of
from lib_optim.plan.payload import ImageJob, jobs_of
from lib_optim.plan.refine import refined_for
from lib_optim.plan.run_plan import RunPlan
from lib_optim.plan.space import Space, space_of
from lib_optim.plan.starts import start_notes, start_problems
from lib_optim.run.check_models import architecture_for, shape_problems
from lib_optim.run.check_passes import free_problems, pass_problems
from lib_optim.run.check_save import save_size
from lib_optim.run.check_settings import settings_problems
from lib_optim.run.device import device_notes, device_problems
from lib_optim.run.disk import SPARE_BYTES
from lib_optim.run.folder import is_file
from lib_optim.run.notes import notes_of
from lib_optim.run.own_folders import methods_folder, scorers_folder
from lib_optim.run.pictures import bytes_per_pixel
from lib_optim.run.prompts import with_prompts
from lib_optim.scoring.user_scorers import load_user_scorers
from lib_optim.search.samplers import fit_problems

__all__ = ["PlanCheck", "Resolved", "check_plan"]


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
        notes: What is so about the models, and what the merge does about it.
        counts: Trials and images per trial, of every pass and, last, of the verification, at most.
    """

    problems: tuple[Problem, ...]
    resolved: Resolved | None = None
    warnings: tuple[str, ...] = ()
    merged_bytes: int = 0
    image_bytes: int = 0
    notes: tuple[str, ...] = ()
    counts: tuple[tuple[int, int], ...] = ()

    @property
    def images_per_trial(self) -> int:
        """How many images one trial makes."""
        return len(self.resolved.jobs) if self.resolved else 0

    @property
    def trials(self) -> int:
        """How many trials the first pass makes at most."""
        return self.counts[0][0] if self.counts else 0

    @property
    def verify_images(self) -> int:
        """How many images the verification makes at most."""
        return self.counts[-1][0] * self.counts[-1][1] if self.counts else 0


def check_plan(plan: RunPlan, host: Host, scorers_dir: Path, like: Mapping[str, str] | None = None) -> PlanCheck:
    """Look at everything in `plan`, and name every problem, a sentence each. Reads headers only; any thread.

    Args:
        plan: The plan.
        host: Where to merge and generate.
        scorers_dir: Folder with the weights of scorers.
        like: Files that are not there yet (winners of runs still to come), to files that hold the same tensors.
    """
    drawing: list[Problem] = []
    twice = _twice(plan)
    if like:
        refs = tuple(dataclasses.replace(model, path=like.get(model.path, model.path)) for model in plan.models)
        plan = dataclasses.replace(plan, models=refs)
    try:
        plan = with_prompts(plan, host)
    except PlanError as error:
        drawing.extend(error.problems)  # the prompts stay open, so that what else is wrong is said, too
    plan = plan.with_drawn_seeds()
    load_user_methods(methods_folder(host))
    load_user_scorers(scorers_folder(host))
    problems = [*drawing, *settings_problems(plan, host, scorers_dir), *pass_problems(plan, host, scorers_dir)]
    headers = _headers(plan, twice, problems)
    architecture = architecture_for(headers, host, problems) if headers else None
    method = _method(plan, architecture, headers, problems)
    base = _base(plan, host, problems)
    if architecture is None or method is None or base is None or architecture.block_map is None:
        return PlanCheck(tuple(problems))
    try:
        blocks = _blocks(plan, method, architecture)
        blocks = refined_for(plan.guide, blocks, headers[0].floating)
        space = space_of(plan.guide, method, blocks)
    except PlanError as error:
        problems.extend(error.problems)
        return PlanCheck(tuple(problems))
    # How many images a payload makes can be said only when its numbers are within bounds.
    countable = not any(problem.where.startswith(("payloads", "budget", "verify", "passes")) for problem in problems)
    jobs = jobs_of(plan.payloads) if countable else ()
    models = tuple(Path(model.path) for model in plan.models)
    resolved = Resolved(plan, base, models, tuple(headers), architecture, blocks, method, space, jobs)
    problems.extend(_capabilities(resolved, host))
    problems.extend(device_problems(plan, host))
    if plan.block_map:
        problems.extend(map_problems(blocks, architecture, headers[0].floating, space.merged_blocks))
    problems.extend(shape_problems(headers, blocks, space))
    problems.extend(start_problems(plan.sampler.start, space, blocks))
    if not any(problem.where.startswith(("sampler", "budget")) for problem in problems):
        problems.extend(fit_problems(plan.sampler, space, plan.budget.trials, len(axes_of(plan.scorers))))
        problems.extend(earlier_problems(plan.sampler.earlier, space, blocks))
    problems.extend(free_problems(plan, space, blocks))
    tensors = headers[0].tensors
    merged = sum(info.nbytes for key, info in tensors.items() if blocks.block_of(key) in space.merged_blocks)
    counts, pixels = _images(plan) if countable else ((), 0)
    images = int(pixels * bytes_per_pixel(plan.disk))
    saved = save_size(plan.save, headers[0], architecture, resolved.components, problems)
    if countable:
        problems.extend(_disk(host, images, saved))
    notes = [note.sentence for note in notes_of(resolved) if note.kind == "note"]
    return PlanCheck(
        tuple(problems), resolved if not problems else None, tuple(_warnings(resolved, images)), merged, images,
        (*notes, *device_notes(plan, host)), counts,
    )  # fmt: skip


def _images(plan: RunPlan) -> tuple[tuple[tuple[int, int], ...], int]:
    """Return trials and images per trial of every pass and, last, of the verification; and the pixels of all."""
    searches = [first_pass(plan), *(later_pass(plan, i) for i in range(1, len(plan.passes) + 1))]
    again = jobs_of(verification_of(searches[-1], plan).payloads)
    parts = []
    for record in searches:
        jobs = jobs_of(record.payloads)
        extra = plan.verify.finalists * len(again) if record is searches[-1] else 0
        parts.append((record.budget.most_trials(len(jobs), extra), jobs))
    parts.append((plan.verify.finalists, again))
    pixels = sum(trials * job.payload.width * job.payload.height for trials, jobs in parts for job in jobs)
    return tuple((trials, len(jobs)) for trials, jobs in parts), pixels


def _twice(plan: RunPlan) -> list[Problem]:
    paths = [Path(model.path).resolve() for model in plan.models]
    return [
        Problem("models", f"{path.name} is chosen twice; choose different models.")
        for path, count in Counter(paths).items()
        if count > 1
    ]


def _headers(plan: RunPlan, twice: list[Problem], problems: list[Problem]) -> list[CheckpointHeader]:
    least = _fewest_models(plan)
    if len(plan.models) < least:
        needs = "A merge needs at least two models; choose model A and model B." if least > 1 else "Choose model A."
        problems.append(Problem("models", needs))
    problems.extend(twice)
    headers = []
    for i, model in enumerate(plan.models):
        try:
            headers.append(read_header(Path(model.path)))
        except CheckpointError as error:
            problems.append(Problem(f"models[{i}]", str(error)))
    return headers if len(headers) == len(plan.models) and len(headers) >= least else []


def _fewest_models(plan: RunPlan) -> int:
    try:
        return min(plan_method(plan).min_models, 2)
    except PlanError:  # named where the method is looked up
        return 2


def _method(
    plan: RunPlan, architecture: Architecture | None, headers: list[CheckpointHeader], problems: list[Problem]
) -> MergeMethod | None:
    try:
        method = plan_method(plan, architecture, headers[0].tensors if headers else ())
    except PlanError as error:
        problems.append(Problem("method", str(error)))
        return None
    if len(plan.models) >= min(method.min_models, 2) and not method.takes(len(plan.models)):
        most = method.max_models
        wanted = f"{method.min_models}" if most == method.min_models else f"{method.min_models} to {most or 'any'}"
        problems.append(Problem("method", f"{method.title} takes {wanted} models, but {len(plan.models)} are chosen."))
        return None
    return method


def _blocks(plan: RunPlan, method: MergeMethod, architecture: Architecture) -> BlockMap:
    if plan.block_map and (method.recipe or method.adjusted):
        what = "A recipe" if method.recipe else "The layer adjustment"
        raise PlanError([Problem("block_map", f"{what} takes the usual blocks; choose no block map of your own.")])
    return plan_blocks(plan.block_map, block_map(architecture.block_map or ""))


def _base(plan: RunPlan, host: Host, problems: list[Problem]) -> Checkpoint | None:
    if not plan.models:
        return None
    path = Path(plan.models[0].path)
    for refresh in (False, True):
        for checkpoint in host.checkpoints(refresh=refresh):
            if checkpoint.path == path or checkpoint.path.resolve() == path.resolve():
                return checkpoint
    if is_file(path):
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


def _disk(host: Host, images: int, checkpoint: int) -> Iterator[Problem]:
    outputs, models = _existing(host.paths().outputs), _existing(host.paths().models)
    if outputs.stat().st_dev == models.stat().st_dev:
        yield from _room(outputs, images + checkpoint, "the images of this run and its best merge need")
    else:
        yield from _room(outputs, images, "the images of this run need")
        yield from _room(models, checkpoint, "its best merge needs")


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _room(folder: Path, size: int, what: str) -> Iterator[Problem]:
    free = shutil.disk_usage(folder).free
    if size and free < size + SPARE_BYTES:
        yield Problem(
            "budget",
            f"The disk of {folder} has {free / 1e9:.1f} GB free, and {what} about {size / 1e9:.1f} GB; free some room, "
            "choose fewer trials, or do not have the best merge saved as a checkpoint.",
        )


def _warnings(resolved: Resolved, images: int) -> Iterator[str]:
    allowed = resolved.plan.disk.gigabytes
    if 0 < allowed * 1e9 < images:
        yield (
            f"The images of this run take about {images / 1e9:.2g} GB if it makes them all, and its disk budget is "
            f"{allowed:g} GB: the run will pause there."
        )
    design, trials = resolved.plan.sampler.design.total, resolved.plan.budget.trials
    if design >= trials:
        yield (
            f"The start design alone fills all {trials} trials, so the search itself gets none; take fewer points of "
            "it or more trials."
        )
    for point in resolved.plan.sampler.start:
        yield from start_notes(point, resolved.space, resolved.blocks)
    yield from (note.sentence for note in notes_of(resolved) if note.kind == "warning")
