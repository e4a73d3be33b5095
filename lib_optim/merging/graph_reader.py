"""Reads the text of a recipe into a `RecipeGraph`, or says in a sentence why it cannot be optimised."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from lib_optim.merging.adjusting import ADJUST_METHOD
from lib_optim.merging.constant_inputs import constant_value
from lib_optim.merging.graph import Edge, GraphInput, RecipeGraph, model_name
from lib_optim.merging.mecha import merge_registry, sd_mecha
from lib_optim.merging.shapes import space_name
from lib_optim.plan.adjust import ADJUSTMENTS
from lib_optim.plan.errors import PlanError

__all__ = ["read_graph"]

_UNFIT = {"optim_add_lora", "pick_component", "omit_component", "exchange_ema", "exchange_ema_'sd1-ldm'"}
_MOST_NODES = 2000


@functools.lru_cache(maxsize=16)
def read_graph(text: str) -> RecipeGraph:
    """Read a recipe.

    Raises:
        PlanError: It cannot be read, or holds what Optim cannot optimise; one sentence.
    """
    return _Reader(_deserialized(text)).read()


def _deserialized(text: str) -> Any:
    lines = [line.strip() for line in text.strip().splitlines()]
    known = merge_registry()
    if not lines or not lines[0].startswith("version"):
        raise PlanError("This is no recipe: its first line is not 'version 0.1.0', as sd-mecha's .mecha files begin.")
    if len(lines) > _MOST_NODES:
        raise PlanError(f"The recipe has {len(lines)} lines, and Optim reads up to {_MOST_NODES}; simplify it.")
    for line in lines[1:]:
        words = line.split('"')
        if words[0].strip() == "merge" and len(words) > 2 and words[1] not in known:
            raise PlanError(
                f"The recipe uses the merge method '{words[1]}', which is not there; add the file that defines it, or "
                "install the sd-mecha that the recipe was made with."
            )
    try:
        root = sd_mecha().deserialize([lines[0], *filter(None, lines[1:])])
    except Exception as error:  # sd-mecha raises anything on text that it does not expect
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise PlanError(f"The recipe cannot be read ({reason.rstrip('.')}); get a fresh copy of it.") from error
    if not hasattr(root, "merge_method"):
        raise PlanError("The recipe holds no merge; choose one that merges something.")
    return root


class _Reader:
    def __init__(self, root: Any) -> None:
        self.adjust: dict[str, float] | None = None
        base, self.root = self._stripped(root)
        self.models: list[str] = [base] if base else []
        self.configs: set[str] = set()
        self.inputs: list[GraphInput] = []
        self.edges: dict[Edge, GraphInput] = {}
        self.names: dict[int, str] = {}
        self.used: dict[str, int] = {}
        self.has_model: dict[int, bool] = {}

    def read(self) -> RecipeGraph:
        self._visit(self.root)
        if not self.models:
            raise PlanError("The recipe names no model; choose one that merges models.")
        if len(self.configs) > 1:
            raise PlanError(f"The recipe mixes models of {' and '.join(sorted(self.configs))}, which Optim cannot.")
        inputs = tuple(self.inputs)
        return RecipeGraph(
            tuple(self.models), next(iter(self.configs), ""), inputs, self.adjust, self.root, self.edges, self.names
        )

    def _stripped(self, root: Any) -> tuple[str, Any]:
        """Take fallbacks on a model and layer adjustments off the end; return the base's name and the rest."""
        base = ""
        while hasattr(root, "merge_method"):
            method, arguments = root.merge_method.identifier, root.bound_args
            if (
                method == "fallback"
                and hasattr(arguments.args[1], "path")
                and base in ("", model_name(arguments.args[1]))
            ):
                base = model_name(arguments.args[1])
                root = arguments.args[0]
            elif method == ADJUST_METHOD and self.adjust is None and (given := _adjustment(arguments)) is not None:
                self.adjust = given
                root = arguments.args[0]
            else:
                break
        return base, root

    def _visit(self, node: Any) -> None:
        if id(node) in self.names:
            return
        if hasattr(node, "path"):
            self._model(node)
            return
        if not hasattr(node, "merge_method"):
            raise PlanError("The recipe holds numbers or tensors where a model should be, which Optim cannot search.")
        _refuse(node.merge_method)
        arguments = node.bound_args
        names = node.merge_method.get_param_names().as_dict(len(arguments.args))
        types = node.merge_method.get_input_types().as_dict(len(arguments.args))
        spaces = node.merge_method.get_input_merge_spaces().as_dict(len(arguments.args))
        places = [*range(len(arguments.args)), *arguments.kwargs]
        found: list[tuple[int | str, str, Any, type]] = []
        for place, (key, name) in zip(places, names.items(), strict=True):
            child = arguments.args[place] if isinstance(place, int) else arguments.kwargs[place]
            if self._has_model(child) or space_name(spaces[key]) != "param":
                self._visit(child)
            else:
                found.append((place, name, child, types[key]))
        method = node.merge_method.identifier
        self.used[method] = self.used.get(method, 0) + 1
        label = method if self.used[method] == 1 else f"{method}{self.used[method]}"
        self.names[id(node)] = label
        for place, name, child, kind in found:
            value = constant_value(child, f"{label}_{name}")
            if isinstance(value, Mapping) and not value:
                raise PlanError(f"The recipe gives no value at all for {label}.{name}; get a fresh copy of it.")
            title = f"{label}_{name}"
            while any(row.name == title for row in self.inputs):
                title += "_"  # method and parameter of another node read the same
            row = GraphInput(title, method, name, kind, value)
            self.inputs.append(row)
            self.edges[id(node), place] = row

    def _model(self, node: Any) -> None:
        name = model_name(node)
        config = "" if node.model_config is None else getattr(node.model_config, "identifier", None)
        if not isinstance(config, str):
            raise PlanError(f"The recipe gives the model {PurePosixPath(name).name} no kind that can be read.")
        if config.endswith("_lora"):
            raise PlanError(f"The recipe applies the LoRA {PurePosixPath(name).name}, which Optim cannot; take it out.")
        space = "weight" if node.merge_space is None else getattr(node.merge_space, "identifier", node.merge_space)
        if space != "weight":
            raise PlanError(
                f"The recipe takes {PurePosixPath(name).name} for a difference ({space}) instead of a model, which "
                "Optim cannot load."
            )
        if config:
            self.configs.add(config)
        if name not in self.models:
            self.models.append(name)

    def _has_model(self, node: Any) -> bool:
        if id(node) not in self.has_model:
            children: tuple[Any, ...] = ()
            if hasattr(node, "bound_args"):
                children = (*node.bound_args.args, *node.bound_args.kwargs.values())
            elif hasattr(node, "value_dict"):
                children = tuple(value for value in node.value_dict.values() if hasattr(value, "accept"))
            self.has_model[id(node)] = hasattr(node, "path") or any(self._has_model(child) for child in children)
        return self.has_model[id(node)]


def _refuse(method: Any) -> None:
    name = method.identifier
    if name == "fallback":
        raise PlanError(
            "The recipe falls back to another model in the middle of a merge, which Optim cannot follow; it can at the "
            "recipe's end."
        )
    if name in _UNFIT or method.interface is not None or hasattr(method.__wrapped__, "map_keys"):
        raise PlanError(
            f"The recipe uses {name}, which takes keys of its own choice from a model (a converter, a LoRA or a part "
            "of it), and Optim merges tensor by tensor; take that step out."
        )


def _adjustment(arguments: Any) -> dict[str, float] | None:
    """Return the eight numbers of a layer adjustment; None where one of them is no plain number."""
    found: dict[str, float] = {}
    for parameter in ADJUSTMENTS:
        value = constant_value(arguments.kwargs[parameter.name], parameter.name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        found[parameter.name] = float(value)
    return found
