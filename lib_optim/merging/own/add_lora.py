"""A LoRA added to a model by the name of its file: for recipes with a LoRA that sd-mecha cannot read by itself."""

import functools
from pathlib import Path
from typing import Any

from sd_mecha.extensions import model_dirs
from sd_mecha.extensions.merge_methods import Parameter
from torch import Tensor

from lib_optim.merging.lora_file import LoraFile
from lib_optim.merging.registration import own_method

__all__ = ["add_lora"]


@own_method
def add_lora(a: Tensor, file: Parameter(str, "param"), **kwargs: Any) -> Tensor:  # type: ignore[valid-type]
    """Return A plus what the LoRA in `file` adds to it at full strength.

    Args:
        a: A tensor of the model.
        file: Absolute, or relative to a folder of ``sd_mecha.model_dirs``.
        kwargs: sd-mecha gives the tensor's name.
    """
    delta = _opened(model_dirs.normalize_path(Path(file))).delta(kwargs["key"], tuple(a.shape), a.cpu)
    return a if delta is None else a + delta.to(a)


@functools.lru_cache(maxsize=4)
def _opened(path: Path) -> LoraFile:
    return LoraFile(path)
