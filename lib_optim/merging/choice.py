"""Several merge methods as one, of which every trial takes one: the parameters of all of them in one space.

Parameters of one name, kind and range are one parameter of all methods that have it, so that what is learnt about alpha
with one method serves the others; those that differ are called after their method (``slerp_alpha``), and so do those
that are usually fixed, at other values. Where nobody searches a shared one, the first method's default is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lib_optim.plan.errors import PlanError
from lib_optim.plan.methods import MergeMethod, MethodChoice, MethodParameter

__all__ = ["choice_of"]


def choice_of(methods: Sequence[MergeMethod]) -> MergeMethod:
    """Return the method that stands for a choice between `methods`, at least two, the first of which starts.

    Raises:
        PlanError: One stands there twice, or no number of models suits them all.
    """
    ids = [method.id for method in methods]
    twice = next((method for method in methods if ids.count(method.id) > 1), None)
    if twice is not None:
        raise PlanError(f"{twice.title} is chosen twice; take it off the list of methods.")
    most = min((method.max_models for method in methods if method.max_models is not None), default=None)
    least = max(methods, key=lambda method: method.min_models)
    if most is not None and least.min_models > most:
        fewest = next(method for method in methods if method.max_models == most)
        raise PlanError(
            f"{fewest.title} takes at most {most} models and {least.title} at least {least.min_models}, so that "
            "no trial could choose between them; leave one out."
        )
    parameters: list[MethodParameter] = []
    choices = [_take(method, parameters) for method in methods]
    return MergeMethod(
        "+".join(ids), " or ".join(method.title for method in methods), "One of them in each trial",
        least.min_models, most, tuple(parameters), any(method.stochastic for method in methods),
        choices=tuple(choices),
    )  # fmt: skip


def _take(method: MergeMethod, parameters: list[MethodParameter]) -> MethodChoice:
    """Add the parameters of a method to those of the methods before it."""
    names: dict[str, str] = {}
    for parameter in method.parameters:
        i = next((i for i, known in enumerate(parameters) if known.name == parameter.name), None)
        same = i is not None and _alike(parameters[i], parameter)
        own = f"{method.id}_{parameter.name}"
        name = parameter.name if (i is None or same) and parameter.name != "method" else own
        names[parameter.name] = name
        if i is not None and same:
            parameters[i] = replace(parameters[i], searched=parameters[i].searched or parameter.searched)
        else:
            parameters.append(replace(parameter, name=name))
    return MethodChoice(method.id, method.title, names)


def _alike(one: MethodParameter, other: MethodParameter) -> bool:
    same = (one.kind, one.bound) == (other.kind, other.bound)
    return same and (one.default == other.default or (one.searched and other.searched))
