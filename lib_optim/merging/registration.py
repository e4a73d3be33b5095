"""Adding methods to sd-mecha's registry and taking them out again, which sd-mecha 1.1.8 itself cannot do.

A WebUI's "Reload UI" and a user who edits a file both register the same identifier a second time, which sd-mecha
answers with ValueError. Its registry is private there; this module is the only one that reaches into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from lib_optim.merging.mecha import bare_sd_mecha

__all__ = ["OWN_PREFIX", "origin_of", "own_method", "removals", "unregister"]

OWN_PREFIX = "optim_"
"""Begins the identifiers of the methods that Optim adds, so that they collide with nobody's."""

_removals = 0

F = TypeVar("F", bound=Callable[..., object])


def own_method(function: F) -> F:
    """Register a function as a merge method of Optim's, ``optim_<its name>``; returns the function.

    Its annotations must be real types, not text, so that its module cannot import ``annotations`` from the future.

    Raises:
        ValueError: Somebody else holds the identifier.
    """
    identifier = OWN_PREFIX + function.__name__
    if origin_of(identifier) == function.__module__:  # this module was loaded before
        unregister([identifier])
    function.__annotations__.pop("kwargs", None)  # sd-mecha takes a hint there for one about models
    bare_sd_mecha().merge_method(function, identifier=identifier)
    return function


def origin_of(identifier: str) -> str:
    """Return the name of the module that registered a method, or an empty string."""
    method = bare_sd_mecha().extensions.merge_methods._module_state.merge_methods_registry.get(identifier)
    return str(getattr(method.__wrapped__, "__module__", "")) if method is not None else ""


def removals() -> int:
    """Return a number that changes whenever methods go, so that others of the same names may stand in their place."""
    return _removals


def unregister(identifiers: Iterable[str]) -> None:
    """Take methods out of the registry, converters among them too; unknown ones are no error."""
    global _removals  # noqa: PLW0603 - the registry is the process's too
    _removals += 1
    state = bare_sd_mecha().extensions.merge_methods._module_state
    with state.registry_lock:
        for identifier in identifiers:
            state.merge_methods_registry.pop(identifier, None)
            state.interfaces_registry.pop(identifier, None)
            state.conversion_registry.pop(identifier, None)
            for paths in state.converter_paths.values():
                paths[:] = [path for path in paths if path[1].identifier != identifier]
