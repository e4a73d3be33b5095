"""Do the compiled recipe and its fast form compute what sd_mecha.merge computes? Asked on every opening, in 50 ms."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lib_optim.merging.direct import Direct, Tensors
from lib_optim.merging.executor import CompiledRecipe, Program
from lib_optim.merging.fallback import quiet_progress
from lib_optim.merging.mecha import sd_mecha
from lib_optim.merging.methods import MethodRow
from lib_optim.merging.recipe import build_recipe
from lib_optim.plan.bounds import Value
from lib_optim.plan.methods import MethodParameter

if TYPE_CHECKING:
    import torch

__all__ = ["disagreement"]

_SHAPES = {"optim.conv.weight": (6, 4, 3, 3), "optim.linear.weight": (12, 5), "optim.linear.bias": (12,)}


def disagreement(
    row: MethodRow,
    compiled: CompiledRecipe,
    direct_of: Callable[[Tensors], Direct],
    models: int,
    seed: int,
    device: torch.device,
) -> str | None:
    """Compare the compiled recipe with sd-mecha on small random tensors, with other parameters for each.

    sd-mecha computes them on the same device: two devices may round differently.

    Args:
        row: The merge method.
        compiled: The recipe.
        direct_of: Makes its fast form for other models.
        models: Their number.
        seed: For stochastic methods.
        device: Where merges are computed.

    Returns:
        None if every bit agrees, else why the compiled recipe must not be used, as a clause.
    """
    import torch

    generator = torch.Generator().manual_seed(seed % 2**32)
    states = [{key: torch.randn(shape, generator=generator) for key, shape in _SHAPES.items()} for _ in range(models)]
    values = {key: {p.name: _some(p, i + 1) for p in row.method.parameters} for i, key in enumerate(_SHAPES)}
    try:
        expected = _merged_by_sd_mecha(row, states, values, seed, device)
        there = [{key: tensor.to(device) for key, tensor in state.items()} for state in states]
        program = Program(lambda model, key: there[model][key], device)
        tensors = Tensors(lambda model, key: states[model][key], program.load, lambda model, key: 10.0)
        direct = direct_of(tensors)
        every = frozenset(p.name for p in row.method.parameters)
        usual = frozenset(p.name for p in row.method.parameters if p.searched)
        for key, shape in _SHAPES.items():
            got = compiled.run(key, values[key], program)
            if not torch.equal(got.cpu(), expected[key]):
                return f"the two disagree about {key}"
            for searched in (every, usual):
                piece = direct.piece(key, values[key], searched)
                if piece is not None:
                    target = torch.empty(shape, device=device)
                    direct.compute(piece, target)
                    if not torch.equal(target.cpu(), expected[key].reshape(target.shape)):
                        return f"the fast form disagrees about {key}"
    except Exception as error:  # noqa: BLE001  whatever it is, the slow way is there
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return None


def _merged_by_sd_mecha(
    row: MethodRow,
    states: list[dict[str, torch.Tensor]],
    values: dict[str, dict[str, Value]],
    seed: int,
    device: torch.device,
) -> dict[str, torch.Tensor]:
    import torch

    mecha = sd_mecha()
    parameters = {
        p.name: mecha.literal({key: table[p.name] for key, table in values.items()}) for p in row.method.parameters
    }
    nodes = [mecha.literal(state, merge_space="weight") for state in states]
    recipe = build_recipe(row, nodes, parameters, seed)
    result: dict[str, torch.Tensor] = {}
    with _without_recipe_warning():
        mecha.merge(
            recipe, merge_device=str(device), merge_dtype=torch.float32, output_device="cpu", output_dtype=None,
            threads=0, tqdm=quiet_progress(), output=result,
        )  # fmt: skip
    return result


def _some(parameter: MethodParameter, step: int) -> Value:
    """Return a value to try; where the parameter is searched, another one for every `step`."""
    bound, default = parameter.bound, parameter.default
    if parameter.searched and bound.low is not None and bound.high is not None:
        value = bound.low + (bound.high - bound.low) * (0.29 * step % 1.0)
        return int(value) if bound.kind == "int" else value
    return default if default is not None else 0


@contextlib.contextmanager
def _without_recipe_warning() -> Iterator[None]:
    """sd-mecha warns on the root logger that tensors in memory make no recipe text; here nobody wants one."""

    def keep(record: logging.LogRecord) -> bool:
        return "could not be serialized" not in record.getMessage()

    root = logging.getLogger()
    root.addFilter(keep)
    try:
        yield
    finally:
        root.removeFilter(keep)
