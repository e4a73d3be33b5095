"""CLIP's byte pair encoding, from the file that open_clip bundles."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

from lib_optim.plan.errors import HostError

__all__ = ["BOS", "EOS", "tokens_of"]

BOS, EOS = 49406, 49407


def tokens_of(text: str) -> list[int]:
    """Return the tokens of `text` without start and end marks; vocabulary of 49408."""
    return list(_tokenizer().encode(text))


@functools.cache
def _tokenizer() -> Any:
    # By path: importing open_clip itself imports torchvision, which the lock does without.
    package = importlib.util.find_spec("open_clip")
    if package is None or not package.submodule_search_locations:
        raise HostError("The package open-clip-torch is missing, which holds CLIP's vocabulary; install it.")
    path = Path(package.submodule_search_locations[0]) / "tokenizer.py"
    spec = importlib.util.spec_from_file_location("_optim_open_clip_tokenizer", path)
    if spec is None or spec.loader is None:
        raise HostError(f"{path} cannot be loaded; install open-clip-torch again.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SimpleTokenizer()
