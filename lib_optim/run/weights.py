"""The block weights of a trial, as other programs write them."""

from __future__ import annotations

from lib_optim.plan.bounds import Value
from lib_optim.plan.records import Trial
from lib_optim.plan.weight_export import write_weights
from lib_optim.run.check import Resolved

__all__ = ["block_weights"]


def block_weights(resolved: Resolved, trial: Trial) -> dict[str, dict[str, str]]:
    """Return the trial's block weights in every form of `write_weights`, by method parameter.

    Blocks that are not merged count as 0. Parameters that are no plain numbers are left out, and those that have one
    value everywhere because nothing searches them.
    """
    active = resolved.space.active(trial.values)
    searched = {parameter.method_parameter for parameter in resolved.space.parameters if parameter.name in active}
    texts = {}
    for name, table in resolved.space.assign(trial.values).items():
        if name in searched and all(_is_number(value) for value in table.values()):
            weights = {block: float(value) for block, value in table.items()}
            texts[name] = write_weights(weights, resolved.blocks)
    return texts


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
