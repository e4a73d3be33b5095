"""Validation of what a plan says of a shared study. Nothing is connected to."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from lib_optim.plan.errors import Problem, StoreError
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.run_plan import RunPlan
from lib_optim.plan.scorers import MANUAL
from lib_optim.search.shared_storage import Address

__all__ = ["shared_problems"]

_SCHEMES = ("sqlite", "postgresql", "mysql", "grpc")


def shared_problems(plan: RunPlan) -> Iterator[Problem]:
    """Yield why the run cannot take part in a shared study."""
    shared = plan.shared
    if not shared.url:
        if shared.name:
            yield Problem("shared.url", f"The shared study '{shared.name}' has no URL; give one, or clear its name.")
        return
    scheme = shared.url.partition("://")[0].partition("+")[0].casefold()
    if "://" not in shared.url or scheme not in _SCHEMES:
        yield Problem(
            "shared.url",
            f"'{shared.url.rpartition('@')[2]}' is no URL of a shared study; write sqlite:///file.db, "
            f"postgresql://…, mysql://… or grpc://host:port.{did_you_mean(scheme, _SCHEMES)}",
        )
    elif scheme == "grpc" and not _has_port(shared.url):
        yield Problem("shared.url", "The gRPC proxy's URL needs a port, such as grpc://localhost:13000.")
    else:
        try:
            Address(shared.url)
        except StoreError as error:
            yield Problem("shared.url", str(error))
    if not shared.name.strip():
        yield Problem("shared.name", "The shared study has no name; give it one, the same for all workers.")
    if not 1 <= shared.patience <= 86400:
        yield Problem("shared.patience", f"The patience must lie between 1 and 86400 s, not {shared.patience:g}.")
    if plan.passes:
        yield Problem("passes", "A shared study has one pass; take out the others, or the study.")
    if any(spec.id == MANUAL for spec in plan.scorers):
        yield Problem("scorers", "A shared study takes no human scores: they may change after all know them.")


def _has_port(url: str) -> bool:
    try:
        return urlsplit(url).port is not None
    except ValueError:
        return False
