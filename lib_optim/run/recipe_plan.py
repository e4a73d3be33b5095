"""A plan that optimises a recipe file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from lib_optim.hosts.base import Host
from lib_optim.merging.graph_reader import read_graph
from lib_optim.merging.recipe_files import find_models, read_recipe
from lib_optim.merging.recipe_method import RECIPE
from lib_optim.plan.errors import PlanError
from lib_optim.plan.run_plan import ModelRef, RunPlan

__all__ = ["with_recipe"]


def with_recipe(plan: RunPlan, path: Path, host: Host) -> RunPlan:
    """Return `plan` with the recipe in `path` as its method, and the recipe's models, found among the host's.

    Raises:
        PlanError: The recipe cannot be read, or a model of it is not there.
    """
    text = read_recipe(path)
    names = read_graph(text).models
    checkpoints = {checkpoint.path: checkpoint for checkpoint in host.checkpoints(refresh=True)}
    found = [file for file in find_models(names, checkpoints) if file is not None]
    if len(found) < len(names):
        known = {file.name for file in found}
        missing = [name for name in names if name.rpartition("/")[2] not in known]
        raise PlanError(f"{', '.join(missing)} of the recipe is not among your models; put it into their folder.")
    models = tuple(ModelRef(str(file), checkpoints[file].sha256, checkpoints[file].title) for file in found)
    return dataclasses.replace(plan, method=RECIPE, recipe=text, models=models)
