"""Is a queue whole? Every problem of every run in it, before the first one begins."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from lib_optim.hosts.base import Checkpoint, Host
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.merge_lines import MergeLine, in_order, read_lines
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.run_plan import ModelRef, RunPlan
from lib_optim.run.check import check_plan
from lib_optim.run.folder import file_name
from lib_optim.run.queue_items import winner_path

__all__ = ["lines_to_plans", "queue_problems"]


def queue_problems(plans: Sequence[RunPlan], before: Sequence[RunPlan], host: Host, scorers_dir: Path) -> list[Problem]:
    """Return what is wrong with `plans`, which run after `before`, in this order.

    A model that an earlier run saves is not there yet: it is checked as what that run's model A is, whose tensors and
    precision it has.
    """
    models = host.paths().models
    like: dict[str, str] = {}
    named: dict[str, str] = {}
    problems: list[Problem] = []
    for number, plan in enumerate((*before, *plans), 1 - len(before)):
        if number >= 1:
            problems.extend(_problems(number, plan, named, like, host, scorers_dir))
        if plan.save.checkpoint and plan.save.name:
            path = str(winner_path(plan, models))
            named[path] = plan.save.name
            if plan.models:
                like[path] = like.get(plan.models[0].path, plan.models[0].path)
    return problems


def _problems(
    number: int, plan: RunPlan, named: Mapping[str, str], like: Mapping[str, str], host: Host, scorers_dir: Path
) -> list[Problem]:
    where = f"runs[{number}]"
    found = [
        Problem(f"{where}.{problem.where}", f"{plan.name}: {problem.sentence}")
        for problem in check_plan(plan, host, scorers_dir, like).problems
    ]
    if plan.save.checkpoint and plan.save.name:
        path = winner_path(plan, host.paths().models)
        if str(path) in named:
            found.append(Problem(f"{where}.save.name", f"Two runs save '{path.stem}'; give one another name."))
        elif path.exists():
            sentence = f"There is a checkpoint '{path.stem}' already; give the result of {plan.name} another name."
            found.append(Problem(f"{where}.save.name", sentence))
    return found


def lines_to_plans(text: str, template: RunPlan, before: Sequence[RunPlan], host: Host) -> list[RunPlan]:
    """Return a plan for each of the lines ``A + B = O``, in the order in which they can run.

    Args:
        text: The lines; see `lib_optim.plan.merge_lines`. A model is a checkpoint's title, file name with or without
            ending, or path; or what another line, or a run of `before`, saves its winner as.
        template: Everything but models and names.
        before: What is in the queue already.
        host: Whose checkpoints.

    Raises:
        PlanError: Every line that cannot be read, model that is unknown, name that is taken, and cycle.
    """
    if template.recipe:
        raise PlanError("Lines name the models, and so does a recipe; choose another merge method for them.")
    lines = in_order(read_lines(text))
    models = host.paths().models
    listed = host.checkpoints(refresh=True)
    known = _names(listed)
    made = {plan.save.name.casefold(): str(winner_path(plan, models)) for plan in before if plan.save.name}
    problems: list[Problem] = []
    plans: list[RunPlan] = []
    for line in lines:
        refs = [_model(parent, line, known, made, problems) for parent in line.parents]
        if line.name.casefold() in known or line.name.casefold() in made:
            sentence = f"Line {line.number}: there is a model '{line.name}' already; give the result another name."
            problems.append(Problem(line.where, sentence))
        save = dataclasses.replace(template.save, checkpoint=True, name=line.name)
        plan = dataclasses.replace(
            template, name=line.name, models=tuple(ref for ref in refs if ref is not None), save=save
        )
        made[line.name.casefold()] = str(winner_path(plan, models))
        plans.append(plan)
    if problems:
        raise PlanError(problems)
    return plans


def _names(listed: Sequence[Checkpoint]) -> dict[str, Checkpoint | None]:
    """Return the checkpoint that each name stands for; None for one that several have."""
    known: dict[str, Checkpoint | None] = {}
    for checkpoint in listed:
        path = checkpoint.path
        for name in {checkpoint.title, path.name, path.stem, str(path), file_name(path.stem)}:
            fold = name.casefold()
            known[fold] = checkpoint if known.get(fold, checkpoint) == checkpoint else None
    return known


def _model(
    name: str, line: MergeLine, known: Mapping[str, Checkpoint | None], made: Mapping[str, str], problems: list[Problem]
) -> ModelRef | None:
    fold = name.casefold()
    if fold in made:
        return ModelRef(made[fold], title=name)
    checkpoint = known.get(fold)
    if checkpoint is not None:
        return ModelRef(str(checkpoint.path), checkpoint.sha256, checkpoint.title)
    if fold in known:
        sentence = f"Line {line.number}: several models are called '{name}'; write the whole path of the one you mean."
    else:
        stems = {one.path.stem for one in known.values() if one is not None}
        hint = did_you_mean(name, {*stems, *made})
        sentence = f"Line {line.number}: there is no model '{name}'; write its name as it is in the list.{hint}"
    problems.append(Problem(line.where, sentence))
    return None
