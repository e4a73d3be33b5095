"""The slow way: `sd_mecha.merge` itself, where the compiled executor does not fit the installed release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.merging.mecha import sd_mecha
from lib_optim.merging.methods import MethodRow
from lib_optim.merging.recipe import build_recipe, key_values
from lib_optim.plan.bounds import Value

if TYPE_CHECKING:
    import torch

__all__ = ["merged_by_sd_mecha", "quiet_progress"]


def merged_by_sd_mecha(
    row: MethodRow,
    models: Sequence[Path | dict[str, torch.Tensor]],
    config: str,
    assignment: Mapping[str, Mapping[str, Value]],
    blocks_of_keys: Mapping[str, str],
    seed: int,
) -> dict[str, torch.Tensor]:
    """Merge with `sd_mecha.merge` and nothing of ours, on the CPU (on CUDA it fails with torch before 2.6).

    Returns:
        The merged tensors in fp32, by sd-mecha's names of `blocks_of_keys`.
    """
    import torch

    mecha = sd_mecha()
    values = key_values(row, assignment, blocks_of_keys)
    literals = {
        name: mecha.literal(value, config, "param") if isinstance(value, dict) else value
        for name, value in values.items()
    }
    recipe = build_recipe(row, [mecha.model(model, config, "weight") for model in models], literals, seed)
    result: dict[str, Any] = {}
    mecha.merge(
        recipe, merge_device="cpu", merge_dtype=torch.float32, output_device="cpu", output_dtype=None, threads=0,
        total_buffer_size=1 << 20, check_extra_keys=False, check_finite_output=False, omit_non_finite_inputs=False,
        tqdm=quiet_progress(), output=result,
    )  # fmt: skip
    result.pop("__metadata__", None)
    return result


def quiet_progress() -> Any:
    """Return a progress bar that shows nothing."""
    import functools

    from tqdm import tqdm

    return functools.partial(tqdm, disable=True)
