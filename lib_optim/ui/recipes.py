"""Recipes for the page: which there are, and what one of them says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import OptimError, PlanError

if TYPE_CHECKING:
    from lib_optim.merging.graph import GraphInput, RecipeGraph
    from lib_optim.run.manager import RunManager

__all__ = ["known_recipes", "recipe_json"]


def known_recipes(manager: RunManager) -> list[dict[str, str]]:
    """Return the recipes at hand: the best of earlier runs, files beside the models, checkpoints that carry one."""
    from lib_optim.merging.recipe_files import has_recipe
    from lib_optim.run.folder import list_runs

    runs = [folder for folder in list_runs(manager.host.paths().outputs) if folder.best_recipe.is_file()]
    rows = [{"path": str(run.best_recipe), "title": run.name, "note": "best of this run"} for run in runs]
    models = manager.host.paths().models
    files = sorted(models.rglob("*.mecha")) if models.is_dir() else ()
    rows.extend({"path": str(path), "title": path.name, "note": "file"} for path in files)
    merged = [checkpoint for checkpoint in manager.host.checkpoints() if has_recipe(checkpoint.path)]
    return rows + [{"path": str(c.path), "title": c.title, "note": "how it was merged"} for c in merged]


def recipe_json(manager: RunManager, path: str, text: str = "") -> dict[str, Any]:
    """Return a recipe as the page shows it.

    Args:
        manager: Whose host's models are looked through.
        path: A file; read if there is no `text`.
        text: The recipe itself.

    Raises:
        PlanError: It cannot be read or used.
    """
    from lib_optim.merging.compose import composed
    from lib_optim.merging.graph_reader import read_graph
    from lib_optim.merging.recipe_files import find_models, read_recipe
    from lib_optim.plan.architectures import architecture_of
    from lib_optim.plan.header import read_header

    if not text:
        if not path.strip():
            raise PlanError("No recipe is chosen; choose one of the list, or give the path of a .mecha file.")
        text = read_recipe(Path(path.strip()).expanduser())
    graph = read_graph(text)
    found = find_models(graph.models, [checkpoint.path for checkpoint in manager.host.checkpoints()])
    missing = [name for name, file in zip(graph.models, found, strict=True) if file is None]
    problem = ""
    if missing:
        problem = f"{', '.join(missing)} is not among your models; put it there, refresh, and read the recipe again."
    base = next((file for file in found if file is not None), None)
    method = composed("recipe", text, False, None)
    if base is not None:
        try:
            header = read_header(base)
            method = composed("recipe", text, False, architecture_of(header), header.tensors, _names(graph))
        except OptimError as error:
            problem = problem or str(error)
    row = method.to_json()
    row.pop("recipe")
    for parameter, data in zip(method.parameters, row["parameters"], strict=True):
        data["range"] = str(parameter.bound)
    return {
        "text": text,
        "path": path,
        "models": [
            {"name": name, "path": str(file) if file is not None else ""}
            for name, file in zip(graph.models, found, strict=True)
        ],
        "problem": problem,
        "tree": list(_tree(graph)),
        "method": row,
    }


def _names(graph: RecipeGraph) -> list[str]:
    return [row.name for row in graph.inputs]


def _tree(graph: RecipeGraph) -> Iterator[dict[str, Any]]:
    letters = {name: f"model {chr(ord('A') + i)}" for i, name in enumerate(graph.models)}
    for depth, title, kind in graph.tree():
        inputs = [row for row in graph.inputs if row.name.startswith(f"{title}_") and _label(row) == title]
        yield {
            "depth": depth,
            "title": title,
            "kind": kind,
            "note": letters.get(title, ""),
            "inputs": [] if kind != "node" else [{"name": row.name, "value": _value(row)} for row in inputs],
        }


def _label(row: GraphInput) -> str:
    return row.name.rstrip("_").removesuffix(f"_{row.parameter}")


def _value(row: GraphInput) -> str:
    """Return an input's value in a few words."""
    if not isinstance(row.value, Mapping):
        return "none" if row.value is None else f"{row.value:g}" if isinstance(row.value, float) else str(row.value)
    values = sorted(set(row.value.values()), key=str)
    if len(values) == 1:
        return f"{values[0]} in {len(row.value)} tensors"
    return f"{values[0]:.3g} to {values[-1]:.3g}, by tensor" if isinstance(values[0], float) else "by tensor"
