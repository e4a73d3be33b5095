"""The one door to sd-mecha, imported when first used (it takes 1.5 s and pulls in torch)."""

from __future__ import annotations

import functools
import warnings
from typing import Any

__all__ = ["bare_sd_mecha", "merge_registry", "sd_mecha"]


@functools.cache
def sd_mecha() -> Any:
    """Return the sd_mecha module, its builtin methods and ours registered."""
    module = bare_sd_mecha()
    from lib_optim.merging import own  # registers through this module

    own.register()
    return module


@functools.cache
def bare_sd_mecha() -> Any:
    """Return the sd_mecha module with its builtin methods; ours may be missing."""
    with warnings.catch_warnings():
        # It wants a C version of fuzzywuzzy, which serves its error messages only.
        warnings.filterwarnings("ignore", message=".*python-Levenshtein.*")
        import sd_mecha as module
    return module


def merge_registry() -> dict[str, Any]:
    """Return every merge method that is registered now, by identifier, sorted."""
    methods = sd_mecha().extensions.merge_methods
    return {method.identifier: method for method in sorted(methods.get_all(), key=lambda m: m.identifier)}
